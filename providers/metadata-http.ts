/**
 * Plain HTTP to a cloud's metadata server: the machine's own link, so no proxy, short timeouts, small answers, and errors that say
 * what to do.
 */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { errorMessage, FlannelVpcError, isAbortError } from '../src/core/errors.ts';
import { readBody } from './http-body.ts';

export interface MetadataHttpOptions {
  /** Where it is, such as `http://169.254.169.254`. Paths of requests are resolved against it. */
  readonly endpoint: URL;
  /** Whose it is, for messages: "the … metadata server", such as `Google Cloud`. */
  readonly cloud: string;
  /** Headers of every request, such as `Metadata-Flavor: Google`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds for one answer. Default 2000: the server is on the machine itself. */
  readonly timeoutMs?: number | undefined;
  readonly hints: MetadataHints;
}

/** What the reader can do, by what happened. */
export interface MetadataHints {
  /** No answer came in time. */
  readonly silent: string;
  /** Nothing listens there, or the connection broke. */
  readonly unreachable: string;
  /** It answered with a status that is none of those expected. */
  readonly refused: string;
}

export interface MetadataAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}

export interface MetadataRequest {
  readonly method?: 'GET' | 'PUT' | undefined;
  /** Added to those of every request. Never logged: they may hold a session's token. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Largest answer taken; real ones are a few kilobytes. */
const maxBodyBytes = 1024 * 1024;

export class MetadataHttp {
  readonly #options: MetadataHttpOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });
  #clockAheadMs: number | undefined;

  constructor(options: MetadataHttpOptions) {
    this.#options = options;
  }

  /** This machine's clock minus the server's, milliseconds, by the last answer that told its time; true to a second. */
  get clockAheadMs(): number | undefined {
    return this.#clockAheadMs;
  }

  /** One request, whatever its status. @throws METADATA_UNAVAILABLE with a hint when there is no answer; an AbortError. */
  async send(
    path: string,
    signal: AbortSignal,
    { method = 'GET', headers }: MetadataRequest = {},
  ): Promise<MetadataAnswer> {
    const { endpoint, hints, timeoutMs = 2_000 } = this.#options;
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      signal.throwIfAborted();
      const answer = await exchange(new URL(path, endpoint), {
        method,
        headers: { ...this.#options.headers, ...headers, ...(method === 'PUT' ? { 'content-length': '0' } : {}) },
        agent: this.#agent,
        signal: AbortSignal.any([signal, deadline]),
      });
      const date = Date.parse(answer.headers.date ?? '');
      if (!Number.isNaN(date)) this.#clockAheadMs = Date.now() - date;
      return answer;
    } catch (error) {
      if (signal.aborted && !isDeadline(signal.reason)) {
        throw isAbortError(signal.reason) ? signal.reason : new DOMException('gave up', 'AbortError');
      }
      const silent = deadline.aborted || signal.aborted;
      const what = silent ? 'no answer in time' : errorMessage(error);
      const hint = silent ? hints.silent : hints.unreachable;
      throw this.unusable(`${method} ${pathOf(path)} at ${endpoint.host}: ${what}`, { hint, cause: error });
    }
  }

  /** The text at a path, or undefined where there is none (404). @throws as `send` does; METADATA_UNAVAILABLE for any other status. */
  async text(path: string, signal: AbortSignal, options: MetadataRequest = {}): Promise<string | undefined> {
    const { status, body } = await this.send(path, signal, options);
    if (status === 404) return undefined;
    if (status === 200) return body;
    throw this.unusable(`${options.method ?? 'GET'} ${pathOf(path)} gave HTTP status ${status}`, { status });
  }

  /**
   * A name that such servers give: of an instance, a network, a zone. Undefined for an empty one. It goes into the node's lease, where
   * others read it, so that whatever answers in the server's place must not put anything else there.
   *
   * @throws METADATA_UNAVAILABLE.
   */
  word(what: string, text: string | undefined): string | undefined {
    const found = text?.trim();
    if (!found || /^[\w.:/-]{1,200}$/.test(found)) return found || undefined;
    throw this.unusable(`it answered, but its ${what} is ${JSON.stringify(found.slice(0, 40))}`);
  }

  /** An error for an answer that can't be used. */
  unusable(
    what: string,
    more: { readonly hint?: string; readonly status?: number; readonly cause?: unknown } = {},
  ): FlannelVpcError {
    const { cloud, hints } = this.#options;
    return new FlannelVpcError('METADATA_UNAVAILABLE', `the ${cloud} metadata server is not usable: ${what}`, {
      hint: more.hint ?? hints.refused,
      cause: more.cause,
      details: more.status === undefined ? {} : { status: more.status },
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Without the query, which is long and says nothing to the reader. */
function pathOf(path: string): string {
  return path.split('?', 1)[0] ?? path;
}

/** By its name: errors of Node's own come from another realm under a test runner. */
function isDeadline(reason: unknown): boolean {
  return (reason as { name?: unknown } | undefined)?.name === 'TimeoutError';
}

async function exchange(
  url: URL,
  options: { method: string; headers: Readonly<Record<string, string>>; agent: Agent; signal: AbortSignal },
): Promise<MetadataAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<MetadataAnswer>();
  const sent = request(url, options, (response) => {
    const { statusCode: status = 0, headers } = response;
    readBody(response, maxBodyBytes).then((body) => resolve({ status, body: body.toString('utf8'), headers }), reject);
  });
  sent.on('error', reject);
  sent.end();
  return await promise;
}
