/** IMDSv2's protocol: `PUT /latest/api/token`, then GETs that carry the token. */
import { Agent, request } from 'node:http';
import { errorMessage, FlannelVpcError, isAbortError } from '../../src/core/errors.ts';

export interface MetadataOptions {
  /** `AWS_EC2_METADATA_DISABLED`, `…_SERVICE_ENDPOINT` and `…_SERVICE_ENDPOINT_MODE`, as the SDKs read them. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Milliseconds for one answer. Default 2000: the server is on the machine itself. */
  readonly timeoutMs?: number | undefined;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** Its clock by the answer's Date header, wall clock milliseconds; to the second. */
  readonly date: number;
}

/** Largest answer taken; real ones are a few kilobytes. */
const maxBodyBytes = 1024 * 1024;

export class MetadataServer {
  readonly #endpoint: URL;
  readonly #timeoutMs: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });
  #token = '';
  #clockAheadMs: number | undefined;

  private constructor(endpoint: URL, timeoutMs: number) {
    this.#endpoint = endpoint;
    this.#timeoutMs = timeoutMs;
  }

  /** Finds the server and gets a token. @throws METADATA_UNAVAILABLE with advice. */
  static async open({ environment, timeoutMs = 2000 }: MetadataOptions, signal: AbortSignal): Promise<MetadataServer> {
    if (environment['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') {
      throw unavailable('AWS_EC2_METADATA_DISABLED is set', 'unset AWS_EC2_METADATA_DISABLED for this program');
    }
    const server = new MetadataServer(endpointOf(environment), timeoutMs);
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
    const { status, body } = await this.#send('GET', path, { 'x-aws-ec2-metadata-token': this.#token }, signal);
    if (status === 404) return undefined;
    if (status === 200) return body;
    throw unavailable(
      `GET ${path} gave HTTP status ${status}`,
      'try again; if it stays, restart the instance’s network',
      { status },
    );
  }

  /** This machine's clock minus the server's, milliseconds, by the last answer that told its time. */
  get clockAheadMs(): number | undefined {
    return this.#clockAheadMs;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #authenticate(signal: AbortSignal): Promise<void> {
    const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '300', 'content-length': '0' };
    const { status, body } = await this.#send('PUT', '/latest/api/token', headers, signal);
    if (status === 200 && body !== '') {
      this.#token = body;
      return;
    }
    const hint =
      status === 403
        ? 'switch it on: aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled'
        : 'see whether something else answers at the metadata address (AWS_EC2_METADATA_SERVICE_ENDPOINT, a proxy)';
    throw unavailable(`the request for a token gave HTTP status ${status}`, hint, { status });
  }

  async #send(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const deadline = AbortSignal.timeout(this.#timeoutMs);
    try {
      const answer = await exchange(new URL(path, this.#endpoint), {
        method,
        headers,
        agent: this.#agent,
        signal: AbortSignal.any([signal, deadline]),
      });
      if (!Number.isNaN(answer.date)) this.#clockAheadMs = Date.now() - answer.date;
      return answer;
    } catch (error) {
      if (signal.aborted && !isDeadline(signal.reason)) {
        throw isAbortError(signal.reason) ? signal.reason : new DOMException('gave up', 'AbortError');
      }
      const silent = deadline.aborted || signal.aborted;
      const what = silent ? 'no answer in time' : errorMessage(error);
      throw unavailable(`${method} ${path} at ${this.#endpoint.host}: ${what}`, adviceFor(silent), { cause: error });
    }
  }
}

function isDeadline(reason: unknown): boolean {
  return (reason as { name?: unknown } | undefined)?.name === 'TimeoutError';
}

/** A token's answer has a hop limit of its own, 1 by default, so that it never enters a container's network. */
function adviceFor(silent: boolean): string {
  return silent
    ? 'in a container use the host’s network, or raise the hop limit: aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2; else see whether a firewall drops 169.254.169.254'
    : 'this program finds out who it is from EC2’s metadata server, so it must run on an EC2 instance that can reach it';
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

async function exchange(
  url: URL,
  options: { method: string; headers: Readonly<Record<string, string>>; agent: Agent; signal: AbortSignal },
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request(url, options, (response) => {
    const parts: Buffer[] = [];
    let size = 0;
    response.on('data', (part: Buffer) => {
      size += part.length;
      if (size > maxBodyBytes) sent.destroy(new Error('the answer is too long'));
      else parts.push(part);
    });
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        body: Buffer.concat(parts).toString('utf8'),
        date: Date.parse(response.headers.date ?? ''),
      }),
    );
    response.on('error', reject);
  });
  sent.on('error', reject);
  sent.end();
  return await promise;
}

function unavailable(what: string, hint: string, more: { status?: number; cause?: unknown } = {}): FlannelVpcError {
  return new FlannelVpcError('METADATA_UNAVAILABLE', `the EC2 metadata server is not usable: ${what}`, {
    hint,
    cause: more.cause,
    details: more.status === undefined ? {} : { status: more.status },
  });
}
