/** The controller's server, asked over real connections. */
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startControllerServer } from '../../../src/controller/http.ts';
import { createReadiness, type Readiness } from '../../../src/health/status.ts';
import type { ClusterReport } from '../../../src/report/cluster-report.ts';
import { clusterReport, nodeRow } from '../../support/cluster-reports.ts';

type Server = Awaited<ReturnType<typeof startControllerServer>>;

describe('the controller’s server', () => {
  let server: Server;
  let readiness: Readiness;
  let report: ClusterReport | undefined;
  let metrics: () => Promise<{ contentType: string; text: string }>;

  beforeEach(async () => {
    report = clusterReport();
    readiness = createReadiness({ leader: 'nobody leads yet' });
    metrics = async () => ({ contentType: 'text/plain; version=0.0.4', text: 'flannel_vpc_leader 1\n' });
    server = await listen('127.0.0.1');
  });
  afterEach(async () => await end(server));

  async function listen(ip: string): Promise<Server> {
    return await startControllerServer({ ip, port: 0, report: () => report, readiness, metrics: () => metrics() });
  }

  async function end(each: Server): Promise<void> {
    each.close();
    await once(each, 'close');
  }

  /** The whole answer to a request line and headers, sent as they stand. */
  async function ask(
    requestLine: string,
    headers: readonly string[] = ['Host: localhost'],
    of = server,
  ): Promise<string> {
    const socket = connect((of.address() as AddressInfo).port, '127.0.0.1');
    socket.write([`${requestLine} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n'));
    return await text(socket);
  }

  it('serves the page and all that it is made of, with a policy that lets nothing else in', async () => {
    for (const [path, type] of [
      ['/', 'text/html'],
      ['/fragment', 'text/html'],
      ['/page.css', 'text/css'],
      ['/page.js', 'text/javascript'],
      ['/icon.svg', 'image/svg+xml'],
      ['/status.json', 'application/json'],
      ['/healthz', 'text/plain'],
    ]) {
      const answer = await ask(`GET ${path}`);
      expect(answer).toMatch(/^HTTP\/1.1 200 /);
      expect(answer).toContain(`Content-Type: ${type}`);
      expect(answer).toContain(
        "Content-Security-Policy: default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'",
      );
      expect(answer).toContain('X-Content-Type-Options: nosniff');
      expect(answer).toContain('Cache-Control: no-store');
    }
  });

  it('gives the report as JSON, or says what it waits for', async () => {
    const [, body = ''] = (await ask('GET /status.json')).split('\r\n\r\n');
    expect(JSON.parse(body)).toEqual(JSON.parse(JSON.stringify(report)));
    report = undefined;
    const answer = await ask('GET /status.json');
    expect(answer).toMatch(/^HTTP\/1.1 503 /);
    expect(answer).toContain('{"waitingFor":{"leader":"nobody leads yet"}}');
  });

  it('says whether it is ready, and what it waits for', async () => {
    expect(await ask('GET /readyz')).toMatch(
      /^HTTP\/1.1 503 .*X-Flannel-VPC-Waiting-For: leader: nobody leads yet\r\n/s,
    );
    readiness.reached('leader');
    expect(await ask('GET /readyz')).toMatch(/^HTTP\/1.1 200 /);
  });

  it('serves metrics, and says when they can’t be made', async () => {
    expect(await ask('GET /metrics')).toMatch(/Content-Type: text\/plain; version=0.0.4\r\n.*flannel_vpc_leader 1/s);
    metrics = () => Promise.reject(new Error('broken'));
    expect(await ask('GET /metrics')).toMatch(/^HTTP\/1.1 500 .*metrics is not available/s);
    expect(await ask('GET /healthz')).toMatch(/^HTTP\/1.1 200 /);
  });

  it('sends the parts again only when they changed', async () => {
    const [, tag] = /ETag: ("[\w-]+")/.exec(await ask('GET /fragment')) ?? [];
    const known = ['Host: localhost', `If-None-Match: ${tag}`];
    expect(await ask('GET /fragment', known)).toMatch(/^HTTP\/1.1 304 [^<]*$/);
    report = clusterReport();
    expect(await ask('GET /fragment', known)).toMatch(/^HTTP\/1.1 304 /);
    expect(await ask('GET /fragment?q=worker-1', known)).toMatch(/^HTTP\/1.1 200 /);
    readiness.reached('leader');
    expect(await ask('GET /fragment', known)).toMatch(/^HTTP\/1.1 200 /);
    report = clusterReport({ nodes: [nodeRow(7)] });
    expect(await ask('GET /fragment')).toContain('worker-7');
  });

  it('answers HEAD without a body, and refuses to be told anything', async () => {
    const head = await ask('HEAD /');
    expect(head).toMatch(/^HTTP\/1.1 200 .*\r\n\r\n$/s);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      expect(await ask(`${method} /`)).toMatch(/^HTTP\/1.1 405 .*Allow: GET, HEAD\r\n/s);
    }
  });

  it.each(['Host: localhost:9000', 'Host: 127.0.0.1', 'Host: 127.0.0.1:8085', 'Host: [::1]:8085', 'Host: LOCALHOST'])(
    'answers on loopback to %s',
    async (host) => {
      expect(await ask('GET /', [host])).toMatch(/^HTTP\/1.1 200 /);
    },
  );

  it.each([
    'Host: evil.example',
    'Host: localhost.evil.example',
    'Host: 127.0.0.1.evil.example',
    'Host: a@b@c',
    'Host:',
  ])('does not answer on loopback to %s, which a page from elsewhere may have pointed here', async (host) => {
    for (const path of ['/', '/status.json', '/fragment', '/metrics']) {
      const answer = await ask(`GET ${path}`, [host]);
      expect(answer).toMatch(/^HTTP\/1.1 421 /);
      expect(answer).not.toContain('10.244');
    }
  });

  it('answers to any name where it is bound to more than loopback', async () => {
    const open = await listen('0.0.0.0');
    expect(await ask('GET /', ['Host: controller.internal'], open)).toMatch(/^HTTP\/1.1 200 /);
    await end(open);
  });

  it.each(['GET //', 'GET http://', 'GET http://[', 'GET /nothing', 'GET /%', 'GET /../etc/passwd'])(
    'answers %s with 404 and lives on',
    async (requestLine) => {
      expect(await ask(requestLine)).toMatch(/^HTTP\/1.1 404 /);
      expect(await ask('GET /healthz')).toMatch(/^HTTP\/1.1 200 /);
    },
  );

  it('names an address in use, and what to do', async () => {
    const { port } = server.address() as AddressInfo;
    const second = startControllerServer({ ip: '127.0.0.1', port, report: () => report, readiness, metrics });
    await expect(second).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`can't serve the status page on 127.0.0.1:${port}`),
      hint: expect.stringContaining('--healthz-port'),
    });
  });
});
