/**
 * Bounds of what an SDK does over HTTP where it has none of its own: the length of an answer, and a signal. Node tells of each request by
 * a channel; those that are made while `run` is under way are bound, whichever library makes them.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';

export interface Bounds {
  /** Longest body of an answer, bytes. */
  readonly maxBytes: number;
  /** Ends requests. Undefined where the SDK does that by itself, or where others wait for the same answer. */
  readonly signal?: AbortSignal | undefined;
}

const current = new AsyncLocalStorage<Bounds>();
let isWatching = false;

/** Runs it within the bounds. A request that goes beyond them fails, as for a connection that broke. */
export async function withinBounds<T>(bounds: Bounds, run: () => Promise<T>): Promise<T> {
  if (!isWatching) {
    isWatching = true;
    subscribe('http.client.request.created', (message) => {
      const found = current.getStore();
      if (found) bind((message as { readonly request: ClientRequest }).request, found);
    });
  }
  return await current.run(bounds, run);
}

function bind(request: ClientRequest, { maxBytes, signal }: Bounds): void {
  request.prependOnceListener('response', (response) => limit(response, maxBytes));
  if (!signal) return;
  // Libraries write into what they are given, which a reason may not let them.
  const end = (): void => void request.destroy(new Error('given up'));
  // An abort may come between the call and the moment when its request is made.
  if (signal.aborted) {
    end();
    return;
  }
  signal.addEventListener('abort', end, { once: true });
  request.once('close', () => signal.removeEventListener('abort', end));
}

/** By what fills the stream: a listener of its data would set it flowing before its reader is there. */
function limit(response: IncomingMessage, maxBytes: number): void {
  const push = response.push.bind(response);
  let size = 0;
  response.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
    size += chunk?.length ?? 0;
    if (size <= maxBytes) return push(chunk, encoding);
    response.destroy(new Error('the answer is too long'));
    return false;
  };
}
