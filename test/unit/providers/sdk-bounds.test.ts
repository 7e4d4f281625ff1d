/** A request that an SDK makes is bound by a signal, whether it fires before the request is made or while it is under way. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { withinBounds } from '../../../providers/sdk-bounds.ts';

let server: Server;
let received: number;

beforeEach(async () => {
  received = 0;
  // Answers nothing.
  server = createServer(() => {
    received += 1;
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => void server.close(resolve));
});

/** Asks once something else is done, as an SDK that reads credentials first. */
async function askAfter(before: Promise<unknown>): Promise<void> {
  await before;
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port }, resolve).on('error', reject).end();
  });
}

it('a request that is made after the signal has fired is not sent', async () => {
  const stop = new AbortController();
  const before = Promise.withResolvers<void>();
  const asked = withinBounds({ maxBytes: 1_000, signal: stop.signal }, () => askAfter(before.promise));
  stop.abort();
  before.resolve();
  await expect(asked).rejects.toThrow('given up');
  expect(received).toBe(0);
});

it('a request that is under way ends with the signal', async () => {
  const stop = new AbortController();
  const arrived = new Promise((resolve) => void server.once('request', resolve));
  const asked = withinBounds({ maxBytes: 1_000, signal: stop.signal }, () => askAfter(Promise.resolve()));
  await Promise.race([arrived, asked]);
  stop.abort();
  await expect(asked).rejects.toThrow('given up');
});
