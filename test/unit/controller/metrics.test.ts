/** A controller's metrics, what is written of them, and the dashboard that shows them. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { createControllerMetrics } from '../../../src/controller/metrics.ts';
import { agentMetrics, controllerMetrics, metricsDocument } from '../../../tools/metrics-document.ts';
import { clusterReport, controllerRow, tableRow, troubledReport } from '../../support/cluster-reports.ts';

const file = (path: string): URL => new URL(`../../../${path}`, import.meta.url);
const create = () => createControllerMetrics({ isReady: () => true, isLeader: () => true });

/** Series of a rendered registry, without comments. */
async function seriesOf(metrics: ReturnType<typeof create>): Promise<readonly string[]> {
  const { text } = await metrics.render();
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

describe('the metrics of a controller', () => {
  it('follow the report', async () => {
    const metrics = create();
    metrics.observeReport(troubledReport());
    expect(await seriesOf(metrics)).toEqual(
      expect.arrayContaining([
        'flannel_vpc_leases{state="ok"} 2',
        'flannel_vpc_leases{state="refused"} 1',
        'flannel_vpc_routes_wanted{table="rtb-0bbb"} 40',
        'flannel_vpc_routes{table="rtb-0bbb",state="present"} 38',
        'flannel_vpc_routes{table="rtb-0bbb",state="stale"} 1',
        'flannel_vpc_table_routes_used{table="rtb-0aaa",family="ipv6"} 12',
        'flannel_vpc_table_routes_limit{table="rtb-0bbb",family="ipv4",source="refusal"} 50',
        'flannel_vpc_problems{severity="error"} 1',
        'flannel_vpc_last_look_timestamp_seconds 1793534584',
        'flannel_vpc_leader 1',
      ]),
    );
  });

  it('forget a table, a limit’s former source and a state when the report does', async () => {
    const metrics = create();
    metrics.observeReport(troubledReport());
    metrics.observeReport(clusterReport({ tables: [tableRow('rtb-0aaa')] }));
    const series = (await seriesOf(metrics)).join('\n');
    expect(series).not.toMatch(/rtb-0bbb|ipv6|configured/);
    expect(series).toContain('flannel_vpc_leases{state="refused"} 0');
  });

  it.each(['standby', 'starting'] as const)('of one that is %s have no cluster in them', async (role) => {
    const metrics = create();
    metrics.observeReport(troubledReport());
    metrics.observeReport(clusterReport({ nodes: [], tables: [], controller: controllerRow({ role }) }));
    const series = (await seriesOf(metrics)).join('\n');
    expect(series).not.toMatch(/^flannel_vpc_(leases|routes|routes_wanted|table_\w+)\{/m);
    expect(series).toContain('flannel_vpc_last_look_timestamp_seconds 0');
  });

  it('hold names of tables, which a cloud chose, as text', async () => {
    const metrics = create();
    metrics.observeReport(clusterReport({ tables: [tableRow('x"} 1\nflannel_vpc_leader 0')] }));
    const series = await seriesOf(metrics);
    expect(series.filter((line) => line.startsWith('flannel_vpc_leader '))).toEqual(['flannel_vpc_leader 1']);
  });

  it('count calls and throttles', async () => {
    const metrics = create();
    metrics.onCloudCall({ action: 'create', result: 'THROTTLED', throttled: true });
    metrics.onCloudCall({ action: 'create', result: 'ok', throttled: false });
    expect(await seriesOf(metrics)).toEqual(
      expect.arrayContaining([
        'flannel_vpc_cloud_calls_total{action="create",result="THROTTLED"} 1',
        'flannel_vpc_cloud_calls_total{action="create",result="ok"} 1',
        'flannel_vpc_cloud_throttles_total{action="create"} 1',
      ]),
    );
  });

  it('are in the document as they are', async () => {
    expect(await readFile(file('docs/metrics.md'), 'utf8')).toBe(metricsDocument());
  });
});

const dashboardSchema = z.object({
  panels: z.array(
    z.object({
      title: z.string(),
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
      targets: z.array(z.object({ expr: z.string() })).default([]),
    }),
  ),
});

/** What an expression asks for that nothing gives: metrics, and labels in braces and `by` lists. */
function unknownIn(expression: string): readonly string[] {
  const labelsOf = new Map<string, readonly string[]>();
  for (const { name, type, labelNames } of [...controllerMetrics(), ...agentMetrics()]) {
    if (type === 'histogram') labelsOf.set(`${name}_bucket`, [...labelNames, 'le']).set(`${name}_count`, labelNames);
    else labelsOf.set(name, labelNames);
  }
  // Given by Prometheus to everything it scrapes.
  const scraped = ['instance', 'job'];
  const names = [...expression.matchAll(/\b(?:flannel_vpc|process)_\w+/g)].map(([name]) => name);
  const known = new Set([...names.flatMap((name) => labelsOf.get(name) ?? []), ...scraped]);
  const asked = [...expression.matchAll(/(\w+)\s*(?:!=|=~|!~|=)\s*"/g)].map(([, label = '']) => label);
  const grouped = [...expression.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(/\s*,\s*/),
  );
  return [
    ...names.filter((name) => !labelsOf.has(name)),
    ...[...asked, ...grouped].filter((label) => !known.has(label)),
    ...(names.length === 0 ? ['no metric of ours'] : []),
  ];
}

describe('the Grafana dashboard', () => {
  it('asks for nothing but metrics and labels that there are', async () => {
    const { panels } = dashboardSchema.parse(
      JSON.parse(await readFile(file('deploy/grafana/flannel-vpc.json'), 'utf8')),
    );
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(expressions.length).toBeGreaterThan(20);
    expect(expressions.flatMap(unknownIn)).toEqual([]);
  });

  it('has every panel in a place of its own', async () => {
    const { panels } = dashboardSchema.parse(
      JSON.parse(await readFile(file('deploy/grafana/flannel-vpc.json'), 'utf8')),
    );
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
  });

  it('and the document’s alerts are held to the same', () => {
    const alerts = metricsDocument().split('## What to be woken for')[1] ?? '';
    const expressions = [...alerts.matchAll(/`([^`]*flannel_vpc[^`]*)`/g)].map(([, text = '']) => text);
    expect(expressions.length).toBeGreaterThan(5);
    expect(expressions.flatMap(unknownIn)).toEqual([]);
  });

  it.each([
    ['sum(flannel_vpc_leeses)', ['flannel_vpc_leeses']],
    ['flannel_vpc_leases{colour="red"}', ['colour']],
    ['sum by (table) (flannel_vpc_leases)', ['table']],
    ['up', ['no metric of ours']],
  ])('could not ask for what there is not: %s', (expression, unknown) => {
    expect(unknownIn(expression)).toEqual(unknown);
  });
});
