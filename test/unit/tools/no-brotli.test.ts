/** node-fetch as the bundle has it, against a server that answers in Brotli; and as its package has it, which would decode that. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { build, type Plugin } from 'esbuild';
import { noBrotli } from '../../../tools/no-brotli.ts';

type Fetch = (url: string) => Promise<{ text(): Promise<string> }>;

const root = fileURLToPath(new URL('../../..', import.meta.url));
let folder: string;
let server: Server;
let address: string;
const asked: (string | undefined)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-no-brotli-'));
  server = createServer((request, response) => {
    asked.push(request.headers['accept-encoding']?.toString());
    const gzip = request.url === '/gzip';
    response.setHeader('content-encoding', gzip ? 'gzip' : 'br');
    response.end(gzip ? gzipSync('an answer') : brotliCompressSync('an answer'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

async function nodeFetch(name: string, plugins: Plugin[]): Promise<Fetch> {
  const outfile = join(folder, `${name}.mjs`);
  const entry = { contents: "export { default as fetch } from 'node-fetch'", resolveDir: root };
  await build({ stdin: entry, outfile, bundle: true, platform: 'node', format: 'esm', plugins, logLevel: 'silent' });
  return ((await import(outfile)) as { fetch: Fetch }).fetch;
}

it('is refused in the bundle, and would have been decoded', async () => {
  const bundled = await nodeFetch('bundled', [noBrotli]);
  await expect(bundled(`${address}/br`)).rejects.toThrow('Brotli');
  expect(await (await bundled(`${address}/gzip`)).text()).toBe('an answer');
  expect(asked).toEqual(['gzip, deflate', 'gzip, deflate']);

  const original = await nodeFetch('original', []);
  expect(await (await original(`${address}/br`)).text()).toBe('an answer');
});
