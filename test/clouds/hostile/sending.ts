/** How bytes go out that no client has to like: whole, cut, without an end, or no HTTP at all. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

type Headers = Readonly<Record<string, string>>;

export type Sending =
  /** Of the length that it says. */
  | { readonly kind: 'whole'; readonly status: number; readonly headers: Headers; readonly body: string | Buffer }
  /** The connection ends in the middle of it: of a length that was said, or of a chunk. */
  | {
      readonly kind: 'cut';
      readonly status: number;
      readonly headers: Headers;
      readonly body: string | Buffer;
      readonly chunked: boolean;
    }
  /** Goes on until the client goes away; `pauseMs` between two pieces. */
  | {
      readonly kind: 'endless';
      readonly status: number;
      readonly headers: Headers;
      readonly start: string;
      readonly piece: string;
      readonly pauseMs: number;
      /** Called when the client went away. */
      readonly onClose?: (() => void) | undefined;
    }
  /** Nothing is ever said. */
  | { readonly kind: 'silent' }
  /** As they are, in place of an answer. */
  | { readonly kind: 'raw'; readonly bytes: string };

/** Sends it. @returns bytes of the body that the client took. */
export async function send(sending: Sending, response: ServerResponse): Promise<number> {
  const { socket } = response;
  switch (sending.kind) {
    case 'silent':
      return 0;
    case 'raw':
      socket?.end(sending.bytes);
      return sending.bytes.length;
    case 'whole': {
      const { status, headers, body } = sending;
      // Node sends no body behind these, nor a final answer with a status below 200.
      if (status < 200 || status === 204 || status === 304) {
        socket?.end(`HTTP/1.1 ${status} Hm\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
        return 0;
      }
      response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) });
      response.end(body);
      return Buffer.byteLength(body);
    }
    case 'cut': {
      const { status, headers, body, chunked } = sending;
      const more = Buffer.byteLength(body) + 1_000;
      response.writeHead(status, { ...headers, ...(chunked ? {} : { 'content-length': String(more) }) });
      response.write(body, () => socket?.destroy());
      return Buffer.byteLength(body);
    }
    case 'endless':
      return await sendForEver(sending, response);
  }
}

async function sendForEver(
  { status, headers, start, piece, pauseMs, onClose = () => {} }: Extract<Sending, { kind: 'endless' }>,
  response: ServerResponse,
): Promise<number> {
  const closed = once(response, 'close');
  let taken = start.length;
  response.writeHead(status, headers);
  response.write(start);
  while (!response.destroyed && response.socket?.destroyed === false) {
    const goesOn = response.write(piece);
    taken += piece.length;
    if (!goesOn) await Promise.race([once(response, 'drain'), closed]);
    if (pauseMs > 0) await Promise.race([delay(pauseMs), closed]);
    // Also to let the client, which lives in the same process, come to its turn.
    else await delay(0);
  }
  onClose();
  return taken;
}
