/** The body of an HTTP answer, of a length that nobody has to trust the server for. */
import type { IncomingMessage } from 'node:http';

/** Longest answer of a cloud that is taken, bytes; a page of hundreds of machines with all that belongs to them is a few megabytes. */
export const longestAnswer = 64 * 1024 * 1024;

/** The whole body. @throws Error for one longer than `maxBytes`, which ends the connection, and for a connection that breaks. */
export function readBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const parts: Buffer[] = [];
  let size = 0;
  response.on('data', (part: Buffer) => {
    size += part.length;
    if (size > maxBytes) response.destroy(new Error('the answer is too long'));
    else parts.push(part);
  });
  response.on('end', () => resolve(Buffer.concat(parts)));
  response.on('error', reject);
  return promise;
}
