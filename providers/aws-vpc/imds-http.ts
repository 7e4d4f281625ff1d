/** IMDSv2's protocol: `PUT /latest/api/token`, then GETs that carry the token. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type MetadataHints, MetadataHttp } from '../metadata-http.ts';

export interface MetadataOptions {
  /** `AWS_EC2_METADATA_DISABLED`, `…_SERVICE_ENDPOINT` and `…_SERVICE_ENDPOINT_MODE`, as the SDKs read them. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Milliseconds for one answer. Default 2000: the server is on the machine itself. */
  readonly timeoutMs?: number | undefined;
}

const tokenPath = '/latest/api/token';

const hints: MetadataHints = {
  // A token's answer has a hop limit of its own, 1 by default, so that it never enters a container's network.
  silent:
    'in a container use the host’s network, or raise the hop limit: aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2; else see whether a firewall drops 169.254.169.254',
  unreachable:
    'this program finds out who it is from EC2’s metadata server, so it must run on an EC2 instance that can reach it',
  refused: 'try again; if it stays, restart the instance’s network',
};

export class MetadataServer {
  readonly #http: MetadataHttp;
  #token = '';

  private constructor(http: MetadataHttp) {
    this.#http = http;
  }

  /** Finds the server and gets a token. @throws METADATA_UNAVAILABLE with advice. */
  static async open({ environment, timeoutMs }: MetadataOptions, signal: AbortSignal): Promise<MetadataServer> {
    if (environment['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') {
      const what = 'the EC2 metadata server is not usable: AWS_EC2_METADATA_DISABLED is set';
      const hint = 'unset AWS_EC2_METADATA_DISABLED for this program';
      throw new FlannelVpcError('METADATA_UNAVAILABLE', what, { hint });
    }
    const http = new MetadataHttp({ endpoint: endpointOf(environment), cloud: 'EC2', timeoutMs, hints });
    const server = new MetadataServer(http);
    try {
      await server.#authenticate(signal);
      return server;
    } catch (error) {
      server.close();
      throw error;
    }
  }

  /** The text at a path, or undefined where there is none (404). */
  async get(path: string, signal: AbortSignal): Promise<string | undefined> {
    return await this.#http.text(path, signal, { headers: { 'x-aws-ec2-metadata-token': this.#token } });
  }

  /** The name at a path, or undefined where there is none. @throws METADATA_UNAVAILABLE for what is no name. */
  async word(path: string, signal: AbortSignal): Promise<string | undefined> {
    return this.#http.word(path.split('/').at(-1) ?? path, await this.get(path, signal));
  }

  /** This machine's clock minus the server's, milliseconds, by the last answer that told its time. */
  get clockAheadMs(): number | undefined {
    return this.#http.clockAheadMs;
  }

  close(): void {
    this.#http.close();
  }

  async #authenticate(signal: AbortSignal): Promise<void> {
    const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '300' };
    const { status, body } = await this.#http.send(tokenPath, signal, { method: 'PUT', headers });
    if (status === 200 && body !== '') {
      this.#token = body;
      return;
    }
    const hint =
      status === 403
        ? 'switch it on: aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled'
        : 'see whether something else answers at the metadata address (AWS_EC2_METADATA_SERVICE_ENDPOINT, a proxy)';
    throw this.#http.unusable(`the request for a token gave HTTP status ${status}`, { hint, status });
  }
}

function endpointOf(environment: MetadataOptions['environment']): URL {
  const configured = environment['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
  const mode = environment['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE']?.toLowerCase();
  const text = configured || (mode === 'ipv6' ? 'http://[fd00:ec2::254]' : 'http://169.254.169.254');
  const url = URL.parse(text);
  if (url?.protocol === 'http:') return url;
  throw new FlannelVpcError('CONFIG_INVALID', `AWS_EC2_METADATA_SERVICE_ENDPOINT is ${JSON.stringify(configured)}`, {
    hint: 'give a URL such as http://169.254.169.254',
  });
}
