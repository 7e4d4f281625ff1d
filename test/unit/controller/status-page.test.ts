/** What the status page says, as markup. How it behaves in a browser is test/integration/controller/status-page.test.ts. */
import { describe, expect, it } from '@jest/globals';
import { renderPage, renderParts } from '../../../src/controller/page/page.ts';
import { mostRows } from '../../../src/controller/page/view.ts';
import type { ClusterReport } from '../../../src/report/cluster-report.ts';
import {
  clusterReport,
  controllerRow,
  nodeRow,
  routeRow,
  tableRow,
  troubledReport,
} from '../../support/cluster-reports.ts';

const page = (report: ClusterReport | undefined, filter = '', waitingFor = {}): string =>
  renderPage({ report, filter, waitingFor });

/** The text of one part, without its tags. */
function part(id: string, report: ClusterReport | undefined, filter = ''): string {
  const all = renderParts({ report, filter, waitingFor: {} });
  const start = all.indexOf(`id="${id}" data-part`);
  expect(start).toBeGreaterThan(0);
  const end = all.indexOf('data-part', start + id.length + 20);
  return all
    .slice(start, end < 0 ? undefined : end)
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');
}

describe('the status page', () => {
  it('says how far a cluster is that moves from an overlay, and nothing of it elsewhere', () => {
    const moving = { from: 'vxlan', to: 'aws-vpc', nodes: 4, moved: 1, open: [] };
    expect(part('status', clusterReport({ moving }))).toContain('from vxlan to aws-vpc: 1 of 4 nodes have moved');
    expect(part('status', clusterReport())).not.toContain('Moving');
  });

  it('puts errors before warnings, and problems before everything else', () => {
    const text = page(troubledReport());
    const order = [
      'QUOTA_EXCEEDED',
      'pcx-0123 and is not ours',
      'Route tables',
      'Nodes <span',
      'Routes that need',
      'Last changes',
    ];
    const places = order.map((each) => text.indexOf(each));
    expect(places.every((place) => place > 0)).toBe(true);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(text).toContain('1 error, 1 warning');
  });

  it('puts the nodes first that are not ok', () => {
    const text = part('nodes', troubledReport());
    const found = [...text.matchAll(/ (refused|waiting|unready|ended|ok) /g)].map(([, state]) => state);
    expect(found).toEqual(['refused', 'waiting', 'unready', 'ended', 'ok', 'ok']);
  });

  it('says what a node says of itself, and what holds it back', () => {
    const text = part('nodes', troubledReport());
    expect(text).toContain('Not ready: no peer answered the probe, since 2026-11-01 12:00:11 UTC');
    expect(text).toContain('i-0005 does not own 172.31.0.5 A vxlan node; it says nothing of itself');
    expect(text).toContain('reserved');
  });

  it('leaves out the routes that are simply present', () => {
    const text = part('routes', troubledReport());
    expect(text).not.toContain('10.244.1.0/24');
    expect(text.indexOf('conflict')).toBeLessThan(text.indexOf('foreign'));
  });

  it.each([
    { used: 399, limit: 500, says: '399 of 500, 79 %', word: 'room left', grade: 'good' },
    { used: 400, limit: 500, says: '400 of 500, 80 %', word: 'nearly full', grade: 'near' },
    { used: 499, limit: 500, says: '499 of 500, 99 %', word: 'nearly full', grade: 'near' },
    { used: 500, limit: 500, says: '500 of 500, 100 %', word: 'full', grade: 'bad' },
    { used: 600, limit: 500, says: '600 of 500, 120 %', word: 'full', grade: 'bad' },
    { used: 0, limit: 0, says: '0 of 0, 100 %', word: 'full', grade: 'bad' },
  ])('says that $used of $limit routes is $word', ({ used, limit, says, word, grade }) => {
    const use = [{ family: 6, used, limit, limitSource: 'api' }] as const;
    const text = page(clusterReport({ tables: [tableRow('rtb-1', { use })] }));
    expect(text).toContain(`class="quota ${grade}"`);
    expect(text).toContain(`aria-label="rtb-1, IPv6: ${says}, ${word}"`);
  });

  it('shows whatever names and texts hold as text', () => {
    const nasty = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;\u202e\u0007`;
    const report = clusterReport({
      version: nasty,
      networks: [nasty],
      backendType: nasty,
      store: nasty,
      problems: [{ severity: 'warning', code: nasty, text: nasty, hint: nasty }],
      nodes: [
        nodeRow(1, {
          ...{ lease: nasty, subnets: [nasty], publicIps: [nasty], instanceId: nasty, nicId: nasty, zone: nasty },
          ...{
            nodeName: nasty,
            backendType: nasty,
            reason: nasty,
            report: { ready: false, reason: nasty, since: nasty },
          },
        }),
      ],
      tables: [tableRow(nasty, { networkId: nasty })],
      routes: [routeRow(nasty, { tableId: nasty, target: nasty, cloudState: nasty, lease: nasty, reason: nasty })],
      controller: controllerRow({
        holder: nasty,
        leader: { holder: nasty, since: nasty },
        changes: [{ at: nasty, action: nasty, tableId: nasty, destination: nasty, reason: nasty }],
      }),
    });
    const text = renderPage({ report, filter: nasty, waitingFor: { [nasty]: nasty } });
    expect(text.match(/<script/g)).toHaveLength(1);
    for (const raw of ['<img', `onerror='`, '\u202e', '\u0007']) expect(text).not.toContain(raw);
    expect(text).toContain('&amp;amp;\\u202e\\u0007');
  });

  it('keeps a name of a megabyte short', () => {
    const text = page(clusterReport({ nodes: [nodeRow(1, { nodeName: 'x'.repeat(1 << 20) })] }));
    expect(text.length).toBeLessThan(30_000);
  });

  it('shows no more rows than a browser likes, those with trouble first, and says how many there are', () => {
    const nodes = Array.from({ length: 5_000 }, (_, index) => nodeRow(index));
    nodes[4_321] = nodeRow(4_321, { state: 'waiting', reason: 'the table is full' });
    const text = part('nodes', clusterReport({ nodes }));
    expect(text).toContain('Nodes 5,000');
    expect(text).toContain('worker-4321');
    expect(text.match(/worker-\d+/g)).toHaveLength(mostRows);
    expect(text).toContain(`The first ${mostRows} are shown`);
  });

  it('finds rows that hold every word of the filter, whatever their case', () => {
    const nodes = [
      nodeRow(1, { nodeName: 'Web-1' }),
      nodeRow(2, { nodeName: 'web-2' }),
      nodeRow(3, { nodeName: 'mail-3' }),
    ];
    const text = part('nodes', clusterReport({ nodes }), 'WEB eu-west-1b');
    expect(text).toContain('Web-1');
    expect(text).not.toMatch(/web-2|mail-3/);
    expect(text).toContain('1 of 3 nodes match the filter');
    expect(part('nodes', clusterReport({ nodes }), 'nothing')).toContain('None matches the filter');
  });

  it('shows what is waited for before the first look', () => {
    const text = page(undefined, '', { leader: 'nobody leads yet' });
    expect(text).toContain('Starting');
    expect(text).toContain('<b>leader</b>: nobody leads yet');
  });

  it('shows on a standby who leads, and no empty tables that look like an empty cluster', () => {
    const leader = { holder: 'ctl-2/1/abcd', since: '2026-11-01T07:59:58.000Z' };
    const report = clusterReport({
      ...{ nodes: [], tables: [] },
      controller: controllerRow({ role: 'standby', leader }),
    });
    const text = page(report);
    expect(text).toContain('On standby');
    expect(text).toContain('<code>ctl-2/1/abcd</code> leads since');
    for (const id of ['tables', 'nodes', 'routes', 'changes']) expect(text).toContain(`id="${id}" data-part hidden`);
  });

  it.each([
    [
      'a leader that has not looked',
      clusterReport({ controller: controllerRow({ nextResync: undefined }) }),
      {},
      'Starting',
    ],
    [
      'one that has yet to find out who leads',
      clusterReport({ controller: controllerRow({ role: 'starting' }) }),
      {},
      'Starting',
    ],
    [
      'a standby that waits for a leader',
      clusterReport({ controller: controllerRow({ role: 'standby' }) }),
      { leader: 'none' },
      'Not ready',
    ],
    ['a leader with a warning', { ...troubledReport(), healthy: true }, {}, '1 error, 1 warning'],
    ['a leader that has seen that all is well', clusterReport(), {}, 'Healthy'],
  ])('calls %s neither more nor less than that', (_what, report, waitingFor, says) => {
    expect(page(report, '', waitingFor)).toContain(`<title>${says} · flannel-vpc</title>`);
  });

  it('says that nothing is written in a dry run', () => {
    expect(page(clusterReport({ controller: controllerRow({ dryRun: true }) }))).toContain('Dry run');
    expect(page(clusterReport())).not.toContain('Dry run');
  });
});
