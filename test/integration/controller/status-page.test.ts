/** The status page as people meet it: in a real browser, from the real server. */
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startControllerServer } from '../../../src/controller/http.ts';
import { createReadiness } from '../../../src/health/status.ts';
import type { ClusterReport } from '../../../src/report/cluster-report.ts';
import { type Browser, type Page, startBrowser } from '../../fabric/browser.ts';
import { clusterReport, nodeRow, tableRow, troubledReport } from '../../support/cluster-reports.ts';
import { unreadableTexts } from './contrast.ts';

const artifacts = new URL('../../../test-artifacts/', import.meta.url);
const desktop = { width: 1400, height: 900, colours: 'light' } as const;

let browser: Browser;
let server: Server;
let report: ClusterReport | undefined;
let page: Page;

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(async () => await browser?.close());

beforeEach(async () => {
  report = troubledReport();
  server = await listen(0);
  page = await browser.open();
  await page.look(desktop);
});
afterEach(async () => {
  await page.close();
  await end(server);
});

async function listen(port: number): Promise<Server> {
  return await startControllerServer({
    ip: '127.0.0.1',
    port,
    report: () => report,
    readiness: createReadiness({}),
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
  });
}

async function end(each: Server): Promise<void> {
  if (!each.listening) return;
  each.close();
  each.closeAllConnections();
  await once(each, 'close');
}

const origin = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const textOf = async (selector: string): Promise<string> =>
  String(await page.evaluate(`document.querySelector(${JSON.stringify(selector)}).innerText`));
const settled = `document.getElementById('heard').textContent.startsWith('Up to date')`;

/** What a page must never do. */
function expectQuiet(each: Page, from: string): void {
  expect(each.requests.length).toBeGreaterThan(0);
  expect(each.requests.filter((url) => !url.startsWith(`${from}/`))).toEqual([]);
  expect(each.errors).toEqual([]);
}

async function keep(name: string): Promise<void> {
  await mkdir(artifacts, { recursive: true });
  await writeFile(new URL(name, artifacts), await page.screenshot());
}

describe('the status page in a browser', () => {
  it('shows problems first, errors before warnings, and nothing that is hard to read', async () => {
    await page.goto(origin());
    await page.waitFor(settled);
    const tops = await page.evaluate(
      `['status', 'problems', 'tables', 'nodes', 'routes', 'changes'].map((id) => document.getElementById(id).getBoundingClientRect().top)`,
    );
    expect(tops).toEqual([...(tops as number[])].sort((a, b) => a - b));
    expect(await textOf('.problems li:first-child')).toContain('Ask for a higher quota');
    expect(await textOf('#nodes tbody tr:first-child')).toContain('i-0005 does not own 172.31.0.5');
    expect(await page.evaluate(unreadableTexts)).toEqual([]);
    await keep('status-page.png');
    await page.look({ ...desktop, colours: 'dark' });
    expect(await page.evaluate(`getComputedStyle(document.body).backgroundColor`)).toBe('rgb(15, 20, 26)');
    expect(await page.evaluate(unreadableTexts)).toEqual([]);
    await keep('status-page-dark.png');
    expectQuiet(page, origin());
  });

  it('draws the use of each quota, and says it in words', async () => {
    await page.goto(origin());
    const bars = await page.evaluate(`[...document.querySelectorAll('.bar')].map((bar) => {
      const [track, fill] = [...bar.querySelectorAll('rect')].map((each) => each.getBoundingClientRect().width);
      return [bar.getAttribute('aria-label'), Math.round((100 * fill) / track), getComputedStyle(bar.querySelector('.fill')).fill];
    })`);
    expect(bars).toEqual([
      ['rtb-0aaa, IPv4: 412 of 500, 82 %, nearly full', 82, 'rgb(224, 154, 22)'],
      ['rtb-0aaa, IPv6: 12 of 500, 2 %, room left', 2, 'rgb(47, 158, 88)'],
      ['rtb-0bbb, IPv4: 50 of 50, 100 %, full', 100, 'rgb(214, 58, 56)'],
    ]);
  });

  it('follows the report without being loaded again, and leaves the reader’s place alone', async () => {
    await page.goto(origin());
    await page.waitFor(settled);
    await page.evaluate(`window.notLoadedAgain = true; document.getElementById('nodes-scroll').focus()`);
    report = clusterReport({ tables: [tableRow('rtb-0ccc')], nodes: [nodeRow(77)] });
    await page.waitFor(`document.getElementById('nodes').innerText.includes('worker-77')`);
    expect(await textOf('#tables')).toContain('rtb-0ccc');
    expect(await textOf('#problems')).toContain('None.');
    expect(await page.evaluate(`[window.notLoadedAgain, document.activeElement.id, document.title]`)).toEqual([
      true,
      'nodes-scroll',
      'Healthy · flannel-vpc',
    ]);
    expect(await textOf('#said')).toBe('Healthy');
    expectQuiet(page, origin());
  });

  it('says that it can’t reach the controller, and goes on when it can', async () => {
    await page.goto(origin());
    await page.waitFor(settled);
    const { port } = server.address() as AddressInfo;
    await end(server);
    await page.waitFor(`!document.getElementById('lost').hidden`);
    expect(await textOf('#lost')).toContain('Can’t reach the controller since');
    expect(await textOf('#nodes')).toContain('worker-3');
    report = clusterReport({ nodes: [nodeRow(78)] });
    server = await listen(port);
    await page.waitFor(`document.getElementById('lost').hidden`);
    await page.waitFor(`document.getElementById('nodes').innerText.includes('worker-78')`);
  });

  it('shows names from outside as text, wherever they stand', async () => {
    const nasty = `<script>window.harmed = 1</script><img src="http://127.0.0.2/x" onerror="window.harmed = 2"><a href="javascript:1">`;
    report = troubledReport({
      networks: [nasty],
      nodes: [nodeRow(1, { nodeName: nasty, zone: nasty, reason: nasty })],
      tables: [tableRow(`"><svg onload="window.harmed = 3">`)],
      problems: [{ severity: 'error', code: nasty, text: nasty, hint: nasty }],
    });
    await page.goto(`${origin()}/?q=${encodeURIComponent('"><script>window.harmed = 4</script>')}`);
    await page.waitFor(settled);
    expect(await page.evaluate(`document.getElementById('nodes-search').value`)).toContain('window.harmed = 4');
    await page.goto(origin());
    await page.waitFor(settled);
    // Once more by the script, which puts in what it fetched.
    report = { ...report, nodes: [nodeRow(2, { nodeName: `${nasty} again` })] };
    await page.waitFor(`document.getElementById('nodes').innerText.includes('again')`);
    expect(await textOf('#nodes')).toContain(nasty);
    expect(
      await page.evaluate(`[window.harmed ?? 'unharmed', document.images.length, document.scripts.length]`),
    ).toEqual(['unharmed', 0, 1]);
    expectQuiet(page, origin());
  });

  it('finds a node among five thousand while one types', async () => {
    const nodes = Array.from({ length: 5_000 }, (_, index) => nodeRow(index));
    report = clusterReport({ nodes });
    await page.goto(origin());
    await page.waitFor(settled);
    expect(await page.evaluate(`document.querySelectorAll('#nodes tbody tr').length`)).toBe(200);
    expect(await textOf('#nodes')).toContain('The first 200 are shown');
    await page.evaluate(`document.getElementById('nodes-search').focus()`);
    await page.type('worker-4321');
    await page.waitFor(`document.querySelectorAll('#nodes tbody tr').length === 1`);
    expect(await textOf('#nodes')).toContain('1 of 5,000 nodes match');
    expect(await page.evaluate(`[location.search, document.activeElement.id]`)).toEqual([
      '?q=worker-4321',
      'nodes-search',
    ]);
    expectQuiet(page, origin());
  });

  it('fits a phone', async () => {
    report = troubledReport({ nodes: [nodeRow(1, { nodeName: 'n'.repeat(300), zone: 'z'.repeat(300) }), nodeRow(2)] });
    await page.look({ width: 375, height: 800, colours: 'light' });
    await page.goto(origin());
    await page.waitFor(settled);
    expect(await page.evaluate(`document.documentElement.scrollWidth`)).toBe(375);
    expect(await page.evaluate(`getComputedStyle(document.querySelector('#nodes td'), '::before').content`)).toBe(
      '"State"',
    );
    await keep('status-page-phone.png');
  });

  it('can be used by keyboard', async () => {
    await page.goto(origin());
    await page.waitFor(settled);
    const reached: unknown[] = [];
    for (let at = 0; at < 8; at++) {
      await page.press('Tab');
      reached.push(await page.evaluate(`document.activeElement.id || document.activeElement.getAttribute('href')`));
    }
    expect(reached).toEqual([
      '#nodes-search',
      'tables-scroll',
      'nodes-search',
      'nodes-scroll',
      'routes-scroll',
      'changes-scroll',
      '/status.json',
      '/metrics',
    ]);
  });

  it('works without scripts', async () => {
    const plain = await browser.open({ scripts: false });
    await plain.goto(origin());
    const shown = (): Promise<unknown> => plain.evaluate('document.body.innerText');
    expect(await shown()).toContain('The state when this page was loaded');
    expect(await shown()).toContain('Ask for a higher quota');
    expect(await shown()).toContain('worker-4');
    await plain.evaluate(`document.getElementById('nodes-search').focus()`);
    await plain.type('worker-3');
    await plain.press('Enter');
    await plain.waitFor(`location.search === '?q=worker-3' && document.readyState === 'complete'`);
    expect(await shown()).toContain('1 of 6 nodes match');
    expect(await shown()).not.toContain('worker-4');
    expectQuiet(plain, origin());
    await plain.close();
  });
});

describe('the witnesses of these tests', () => {
  it('see a page that runs what it was given, asks elsewhere, complains and is hard to read', async () => {
    const careless = createServer((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html' });
      response.end(`<body style="background: #fff"><p style="color: #999">pale</p>
        <script>window.harmed = 1; console.error('oh')</script><img src="http://127.0.0.2:9/x">`);
    });
    careless.listen(0, '127.0.0.1');
    await once(careless, 'listening');
    const from = `http://127.0.0.1:${(careless.address() as AddressInfo).port}`;
    await page.goto(from);
    expect(await page.evaluate(`[window.harmed, document.images.length]`)).toEqual([1, 1]);
    expect(page.requests).toContain('http://127.0.0.2:9/x');
    expect(page.errors).toEqual(expect.arrayContaining(['oh']));
    expect(() => expectQuiet(page, from)).toThrow();
    expect(await page.evaluate(unreadableTexts)).toEqual([expect.stringContaining('pale')]);
    await end(careless);
  });
});
