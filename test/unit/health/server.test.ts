/** The health server, asked over real connections. */
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startHealthServer } from '../../../src/health/server.ts';
import { createReadiness, type Readiness } from '../../../src/health/status.ts';
import { createAgentMetrics } from '../../../src/metrics.ts';

type Server = Awaited<ReturnType<typeof startHealthServer>>;

describe('the health server', () => {
  let server: Server;
  let readiness: Readiness;

  beforeEach(async () => {
    readiness = createReadiness({ lease: 'no lease yet' });
    const metrics = createAgentMetrics(readiness.isReady);
    server = await startHealthServer({ ip: '127.0.0.1', port: 0, readiness, metrics: metrics.render });
  });
  afterEach(async () => {
    server.close();
    await once(server, 'close');
  });

  const portOf = (): number => (server.address() as AddressInfo).port;

  /** The whole answer to a request line, sent as it stands: clients would tidy it up. */
  async function ask(requestLine: string): Promise<string> {
    const socket = connect(portOf(), '127.0.0.1');
    socket.write(`${requestLine} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    return await text(socket);
  }

  it('says what is waited for, and then that it is ready', async () => {
    expect(await ask('GET /healthz')).toMatch(/^HTTP\/1.1 200 .*flanneld is running/s);
    const waiting = await ask('GET /readyz');
    expect(waiting).toMatch(/^HTTP\/1.1 503 .*flanneld is not ready yet/s);
    expect(waiting).toContain('X-Flannel-VPC-Waiting-For: lease: no lease yet\r\n');
    expect(await ask('GET /metrics')).toContain('\nflannel_vpc_ready 0\n');
    readiness.reached('lease');
    expect(await ask('GET /readyz?verbose')).toMatch(/^HTTP\/1.1 200 .*flanneld is ready/s);
    expect(await ask('GET /metrics')).toContain('\nflannel_vpc_ready 1\n');
  });

  it('puts reasons with line breaks and other scripts on one line of plain text', async () => {
    readiness.missing('lease', 'no lease\r\nInjected: yes – ü');
    expect(await ask('GET /readyz')).toContain('X-Flannel-VPC-Waiting-For: lease: no lease  Injected: yes');
  });

  it.each(['GET //', 'GET http://', 'GET http://[', 'OPTIONS *', 'GET /nothing', 'GET /%'])(
    'answers %s with 404 and lives on',
    async (requestLine) => {
      expect(await ask(requestLine)).toMatch(/^HTTP\/1.1 404 /);
      expect(await ask('GET /healthz')).toMatch(/^HTTP\/1.1 200 /);
    },
  );

  it('lives on when a connection can’t be accepted', async () => {
    server.emit('error', new Error('accept EMFILE'));
    expect(await ask('GET /healthz')).toMatch(/^HTTP\/1.1 200 /);
  });

  it('names an address in use, and what to do', async () => {
    const second = startHealthServer({
      ...{ ip: '127.0.0.1', port: portOf(), readiness },
      metrics: async () => ({ contentType: 'text/plain', text: '' }),
    });
    await expect(second).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`127.0.0.1:${portOf()}`),
      hint: expect.stringContaining('--healthz-port'),
    });
  });
});
