/** Anybody may send anything to the ports of an agent and a controller: it is answered or dropped, and nothing of it goes further. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { startControllerServer } from '../../../src/controller/http.ts';
import { startHealthServer } from '../../../src/health/server.ts';
import { createReadiness } from '../../../src/health/status.ts';
import { troubledReport } from '../../support/cluster-reports.ts';
import { hostileText, propertyRuns } from '../../support/hostile.ts';

const metrics = async () => ({ contentType: 'text/plain', text: 'flannel_vpc_ready 1\n' });
const readiness = createReadiness({ 'a\r\nSet-Cookie: b': 'c\r\n\r\n<html>' });
const servers = new Map<string, Server>();

beforeAll(async () => {
  servers.set('agent', await startHealthServer({ ip: '127.0.0.1', port: 0, readiness, metrics }));
  servers.set(
    'controller',
    await startControllerServer({ ip: '127.0.0.1', port: 0, report: () => troubledReport(), readiness, metrics }),
  );
});
afterAll(async () => {
  for (const server of servers.values()) {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }
});

/** All that comes back to these bytes, until the other end closes, or nothing more comes. */
async function answerTo(which: string, bytes: string | Buffer): Promise<string> {
  const { port } = (servers.get(which) as Server).address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (part) => {
    text += part.toString('latin1');
  });
  socket.on('error', () => {});
  socket.setTimeout(300, () => socket.destroy());
  socket.end(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

const paths = fc.oneof(
  fc.constantFrom('/', '/healthz', '/readyz', '/metrics', '/fragment?q=', '/status.json', '/page.js'),
  fc.constantFrom(
    '/../../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/..%5c..%5c',
    '//etc/passwd',
    '/page.js/../../x',
    '*',
    'http://[',
    '/%00',
    '/%',
  ),
  hostileText.map((text) => `/${encodeURIComponent(text.toWellFormed())}`),
  hostileText.map((text) => `/fragment?q=${encodeURIComponent(text.toWellFormed())}`),
  hostileText,
);
const methods = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'TRACE',
  'CONNECT',
  'OPTIONS',
  'PRI',
  'get',
  'G\0T',
  '',
);
const headers = fc.array(
  fc.oneof(
    fc.constantFrom(
      'Host: localhost',
      'Host: evil.example',
      'Host: [',
      'Content-Length: -1',
      'Content-Length: 99999999999999',
      'Transfer-Encoding: chunked',
    ),
    fc.constantFrom(
      'Expect: 100-continue',
      'Upgrade: websocket\r\nConnection: Upgrade',
      'Range: bytes=0-9999999999',
      'If-None-Match: *',
      ': x',
      'X',
    ),
    fc
      .tuple(fc.constantFrom('Host', 'Cookie', 'If-None-Match', 'X-Forwarded-For'), hostileText)
      .map((two) => two.join(': ')),
    fc.constant(`X-Long: ${'a'.repeat(100_000)}`),
    fc.constant('X: y\r\n'.repeat(3_000)),
  ),
  { maxLength: 4 },
);
const requests = fc.oneof(
  {
    weight: 10,
    arbitrary: fc
      .tuple(methods, paths, headers, hostileText)
      .map(
        ([method, path, lines, body]) =>
          `${method} ${path} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`,
      ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: hostileText },
);

describe.each(['agent', 'controller'])('the port of the %s', (which) => {
  it('answers or drops what it is sent, and goes on answering', async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (request) => {
        const answer = await answerTo(which, request);
        expect(answer === '' || /^HTTP\/1\.1 \d{3} /.test(answer)).toBe(true);
        expect(answer).not.toMatch(/root:x:0|^Set-Cookie|node:internal|\bat .*\.ts:\d/m);
        // What writes is refused, whatever its path.
        if (which === 'controller' && /^(POST|PUT|DELETE) /.test(String(request)))
          expect(answer).not.toMatch(/^HTTP\/1\.1 2/);
      }),
      { numRuns: propertyRuns(150) },
    );
    expect(await answerTo(which, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1.1 200 /,
    );
  }, 120_000);

  it('has a time for a request that never ends', () => {
    const { requestTimeout = 0, headersTimeout = 0 } = servers.get(which) ?? {};
    expect(requestTimeout).toBeGreaterThan(0);
    expect(headersTimeout).toBeGreaterThan(0);
  });
});
