/** LocalStack behind the proxy, asked in its own name. */
import { Agent, request } from 'node:http';
import type { Ec2Answer } from './ec2-error.ts';
import { parseXml, type XmlElement } from './xml.ts';

/** Which of LocalStack's services is meant, and the version of its API. */
export interface Service {
  readonly name: 'ec2' | 'iam';
  readonly version: string;
}

const ec2Service: Service = { name: 'ec2', version: '2016-11-15' };
export const iamService: Service = { name: 'iam', version: '2010-05-08' };

export class Upstream {
  readonly #url: URL;
  readonly #service: Service;
  // LocalStack closes a connection after five idle seconds; a request sent at that moment would be lost.
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16, timeout: 2_000 });

  constructor(url: string, service = ec2Service) {
    this.#url = new URL(url);
    this.#service = service;
  }

  /** Sends a form and gives the answer as it is. */
  async send(parameters: URLSearchParams, region: string): Promise<Ec2Answer> {
    const body = parameters.toString();
    const { promise, resolve, reject } = Promise.withResolvers<Ec2Answer>();
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': Buffer.byteLength(body),
      // LocalStack reads service, Region and account from here and checks no signature.
      authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/${this.#service.name}/aws4_request, SignedHeaders=host, Signature=0`,
    };
    const sent = request(this.#url, { method: 'POST', agent: this.#agent, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const requestId = response.headers['x-amzn-requestid'];
        resolve({
          status: response.statusCode ?? 500,
          body: Buffer.concat(parts).toString('utf8'),
          headers: typeof requestId === 'string' ? { 'x-amzn-requestid': requestId } : {},
        });
      });
    });
    sent.on('error', reject);
    sent.end(body);
    return await promise;
  }

  /** Sends an action and gives the answer's root. @throws Error when it fails. */
  async ask(action: string, fields: Readonly<Record<string, string>>, region: string): Promise<XmlElement> {
    const parameters = new URLSearchParams({ Action: action, Version: this.#service.version, ...fields });
    const { status, body } = await this.send(parameters, region);
    if (status !== 200) throw new Error(`LocalStack refused ${action} (${status}): ${body.slice(0, 500)}`);
    return parseXml(body);
  }

  close(): void {
    this.#agent.destroy();
  }
}
