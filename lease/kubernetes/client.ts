/**
 * Requests to the API server: plain HTTP with a deadline each, every answer through a schema. The official client's generated models
 * would cost an agent more memory than all the rest of it (docs/adr).
 */

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type * as z from 'zod';
import { certificateTimeHint, certificateTrouble } from '../../src/core/certificate-trouble.ts';
import { backoffMs, type Clock, type Random } from '../../src/core/clock.ts';
import { errorMessage, FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { parseJson } from '../../src/core/json.ts';
import { untilDone } from '../../src/core/until.ts';
import type { KubernetesAccess } from './access.ts';
import { failureOf, unreadable } from './failures.ts';
import type { RequestAccess } from './request-access.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface KubernetesRequest<T> {
  readonly method: Method;
  /** Such as `/api/v1/nodes/a`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: 'application/merge-patch+json' | 'application/strategic-merge-patch+json' | 'application/json';
  readonly schema: z.ZodType<T>;
  /** Continues "can't …", such as `read node a`. */
  readonly doing: string;
}

export interface KubernetesClient {
  /** The server's URL, for messages. */
  readonly description: string;
  /** Fires at `close`. */
  readonly closed: AbortSignal;
  /**
   * One request. Those that failed on the way are sent again until the deadline: every change is a patch or a compare-and-swap, so
   * that twice is as good as once.
   *
   * @throws STORE_UNAVAILABLE, STORE_DENIED, NOT_FOUND, CONFLICT, INVALID; or the signal's reason.
   */
  call<T>(request: KubernetesRequest<T>, signal: AbortSignal): Promise<T>;
  /** Lines of a watch until the server ends it, which it does after `seconds`. Silence is no sign of a fault. @throws as `call`. */
  stream(
    watch: {
      readonly path: string;
      readonly query: Readonly<Record<string, string>>;
      readonly seconds: number;
      readonly doing: string;
    },
    signal: AbortSignal,
  ): AsyncIterable<string>;
  close(): void;
}

export interface KubernetesClientOptions {
  readonly access: KubernetesAccess;
  readonly clock: Clock;
  readonly random: Random;
  /** Longest time of one call, tries included, milliseconds; default 10 s. */
  readonly deadlineMs?: number;
}

/** Longest time of one try, milliseconds. */
const attemptMs = 5_000;
/** Largest answer, bytes: a list of 500 nodes with all their images is some 10 MB. */
const maxBodyBytes = 64 << 20;
const retryBaseMs = 100;
const retryMaxMs = 2_000;
/** How long after the end of its time a watch is given up, milliseconds. */
const overtimeMs = 10_000;
/** Idle time after which the kernel asks whether the other end is there, milliseconds: half a minute and ten tries at most. */
const keepAliveMs = 30_000;

/** Nothing is sent before the first call. */
export function createKubernetesClient(options: KubernetesClientOptions): KubernetesClient {
  const { access, clock, random, deadlineMs = 10_000 } = options;
  const secure = access.server.protocol === 'https:';
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, maxSockets: 16 })
    : new HttpAgent({ keepAlive: true, maxSockets: 16 });
  const closing = new AbortController();

  /** A kubeconfig's credential plugin may take half a minute, and knows no signal. A later try finds what it gave meanwhile. */
  async function credentials(signal: AbortSignal): Promise<RequestAccess> {
    try {
      return await untilDone(access.request(), signal);
    } catch (error) {
      throw signal.reason instanceof TimedOut ? credentialsLate(signal.reason) : error;
    }
  }

  async function send(
    request: Pick<KubernetesRequest<unknown>, 'method' | 'path' | 'query' | 'body' | 'contentType'>,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { headers, tls } = await credentials(signal);
    const url = new URL(access.server);
    url.pathname = `${url.pathname.replace(/\/$/, '')}${request.path}`;
    url.search = new URLSearchParams(request.query ?? {}).toString();
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const answer = Promise.withResolvers<IncomingMessage>();
    const sent = (secure ? httpsRequest : httpRequest)(
      url,
      {
        ...tls,
        agent,
        signal,
        method: request.method,
        headers: {
          ...headers,
          accept: 'application/json',
          'user-agent': 'flannel-vpc',
          ...(body === undefined
            ? {}
            : { 'content-type': request.contentType ?? 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
      },
      answer.resolve,
    );
    sent.on('error', answer.reject);
    sent.end(body);
    return await answer.promise;
  }

  async function attempt<T>(request: KubernetesRequest<T>, signal: AbortSignal, ms: number): Promise<T> {
    const { answer, text } = await inTime(signal, ms, async (limit) => {
      const head = await send(request, limit);
      return { answer: head, text: await readBody(head) };
    });
    const status = answer.statusCode ?? 0;
    if (status < 200 || status > 299) throw failureOf({ status, text, headers: answer.headers, ...request });
    let json: unknown;
    try {
      json = parseJson(text);
    } catch {
      throw unreadable(request, 'it is no JSON');
    }
    const parsed = request.schema.safeParse(json);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw unreadable(request, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not what was asked for'}`);
  }

  return {
    description: access.server.origin,
    closed: closing.signal,
    async call(request, callerSignal) {
      const signal = AbortSignal.any([callerSignal, closing.signal]);
      const end = clock.monotonic() + deadlineMs;
      let refused = false;
      for (let tries = 0; ; tries++) {
        signal.throwIfAborted();
        try {
          return await attempt(request, signal, Math.min(attemptMs, end - clock.monotonic()));
        } catch (error) {
          signal.throwIfAborted();
          const failure = isFlannelVpcError(error) ? error : unreachable(access, request.doing, error);
          if (isUnknownToServer(failure) && !refused) {
            refused = true;
            access.forget();
            continue;
          }
          const pause = Math.max(failure.retryAfterMs ?? 0, backoffMs(tries, retryBaseMs, retryMaxMs, random));
          if (failure.code !== 'STORE_UNAVAILABLE' || clock.monotonic() + pause >= end) throw failure;
          await clock.sleep(pause, signal);
        }
      }
    },
    async *stream({ path, query, seconds, doing }, callerSignal) {
      const stop = AbortSignal.any([callerSignal, closing.signal]);
      const ending = new AbortController();
      // Whoever stops listening half-way keeps no process alive by it.
      const over = setTimeout(() => ending.abort(new TimedOut()), seconds * 1_000 + overtimeMs).unref();
      try {
        const all = { ...query, watch: 'true', timeoutSeconds: String(seconds) };
        // The head of the answer comes at once, events or not.
        const late = setTimeout(() => ending.abort(new TimedOut()), attemptMs);
        const signal = AbortSignal.any([stop, ending.signal]);
        const answer = await send({ method: 'GET', path, query: all }, signal).finally(() => clearTimeout(late));
        answer.socket.setKeepAlive(true, keepAliveMs);
        const status = answer.statusCode ?? 0;
        if (status !== 200) {
          const text = await readBody(answer);
          const failure = failureOf({ status, text, headers: answer.headers, method: 'WATCH', path, doing });
          if (isUnknownToServer(failure)) access.forget();
          throw failure;
        }
        let rest = '';
        for await (const part of answer.setEncoding('utf8')) {
          const lines = `${rest}${part}`.split('\n');
          rest = lines.pop() ?? '';
          if (rest.length > maxBodyBytes) throw unreadable({ doing }, 'a line is too long');
          yield* lines.filter((line) => line !== '');
        }
      } catch (error) {
        stop.throwIfAborted();
        if (isFlannelVpcError(error)) throw error;
        throw unreachable(access, doing, ending.signal.aborted ? ending.signal.reason : error);
      } finally {
        clearTimeout(over);
      }
    },
    close() {
      closing.abort(new DOMException('the connection was closed', 'AbortError'));
      agent.destroy();
    },
  };
}

/** Does it within so many milliseconds. @throws Error after them. */
async function inTime<T>(signal: AbortSignal, ms: number, act: (limit: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new TimedOut()), Math.max(1, ms));
  try {
    return await act(AbortSignal.any([signal, late.signal]));
  } catch (error) {
    throw late.signal.aborted && !isFlannelVpcError(error) ? late.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

class TimedOut extends Error {
  constructor() {
    super('no answer in time');
  }
}

function credentialsLate(cause: TimedOut): FlannelVpcError {
  return new FlannelVpcError(
    'STORE_UNAVAILABLE',
    'the credential plugin of the kubeconfig gave no credential in time',
    {
      hint: 'Run it by hand and see how long it takes.',
      cause,
    },
  );
}

/** True for credentials that the server does not know, which may have been replaced meanwhile. */
function isUnknownToServer(error: FlannelVpcError): boolean {
  return error.details['status'] === 401;
}

async function readBody(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBodyBytes) throw new Error('the answer is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function unreachable({ server }: KubernetesAccess, doing: string, error: unknown): FlannelVpcError {
  return new FlannelVpcError('STORE_UNAVAILABLE', `can't ${doing} at ${server.origin}: ${errorMessage(error)}`, {
    hint:
      certificateTrouble(errorMessage(error)) === 'time'
        ? certificateTimeHint
        : 'Check --kube-api-url or the kubeconfig, and that the API server is running.',
    cause: error,
  });
}
