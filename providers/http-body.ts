/** The body of an HTTP answer, of a length that nobody has to trust the server for. */
import type { ClientRequest, IncomingMessage } from 'node:http';

/** The whole body. One longer than `maxBytes` ends the request, whose own error event then tells; so does a broken connection. */
export function readBody(sent: ClientRequest, response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const parts: Buffer[] = [];
  let size = 0;
  response.on('data', (part: Buffer) => {
    size += part.length;
    if (size > maxBytes) sent.destroy(new Error('the answer is too long'));
    else parts.push(part);
  });
  response.on('end', () => resolve(Buffer.concat(parts)));
  response.on('error', reject);
  return promise;
}
