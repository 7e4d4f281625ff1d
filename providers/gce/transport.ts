/**
 * How requests of the SDK reach Compute Engine: one attempt each, with a token put on at the last moment. In place of the SDK's own
 * transport, which asks again by itself and takes twice the memory.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { longestAnswer, readBody } from '../http-body.ts';
import type { AuthClient, FetchAnswer, FetchRequest } from './clients.mjs';
import type { Credentials } from './credentials.ts';
import type { Environment } from './metadata.ts';

export class Transport implements AuthClient {
  readonly #credentials: Credentials;
  readonly #agents: { readonly 'http:': HttpAgent; readonly 'https:': HttpsAgent };

  /** `environment`: for HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
  constructor(credentials: Credentials, environment: Environment) {
    this.#credentials = credentials;
    const proxyEnv = Object.fromEntries(
      Object.entries(environment).filter(([name]) => /^(https?|no)_proxy$/i.test(name)),
    );
    const options = { keepAlive: true, maxSockets: 16, ...(Object.keys(proxyEnv).length > 0 ? { proxyEnv } : {}) };
    this.#agents = { 'http:': new HttpAgent(options), 'https:': new HttpsAgent(options) };
  }

  /** Part of what the SDK calls an auth client; `fetch` does what it is for. */
  async getRequestHeaders(): Promise<Headers> {
    return new Headers();
  }

  async fetch(url: string, { method, headers, body, signal }: FetchRequest): Promise<FetchAnswer> {
    const inner = signal ?? new AbortController().signal;
    const authorization = await this.#credentials.authorization(inner);
    const all = { ...Object.fromEntries(headers), 'user-agent': 'flannel-vpc', authorization: authorization.reveal() };
    const answer = await this.#exchange(new URL(url), { method, headers: all, body, signal: inner });
    if (answer.status === 401) this.#credentials.refused();
    return answer;
  }

  close(): void {
    this.#agents['http:'].destroy();
    this.#agents['https:'].destroy();
  }

  async #exchange(
    url: URL,
    {
      body,
      ...options
    }: { method: string; headers: Readonly<Record<string, string>>; body: string | undefined; signal: AbortSignal },
  ): Promise<FetchAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<FetchAnswer>();
    const [send, agent] =
      url.protocol === 'http:'
        ? ([httpRequest, this.#agents['http:']] as const)
        : ([httpsRequest, this.#agents['https:']] as const);
    const sent = send(url, { ...options, agent }, (response) => {
      const { statusCode: status = 0 } = response;
      readBody(response, longestAnswer).then((body) => {
        const bytes = Uint8Array.from(body);
        resolve({ ok: status >= 200 && status < 300, status, arrayBuffer: async () => bytes.buffer });
      }, reject);
    });
    sent.on('error', reject);
    sent.end(body);
    return await promise;
  }
}
