/** `status`: problems first, then the cluster in a few lines. Pure. */

import type { LeaderInfo } from '../../lease/election.ts';
import type { ClusterReport, LimitSource, NodeRow, TableRow, TableUseRow } from '../report/cluster-report.ts';
import { movingLine } from '../report/moving.ts';
import { routesOf } from '../report/problem-rows.ts';
import { type Paint, printable } from './paint.ts';
import { countProblems, renderProblems } from './render-problems.ts';
import { longest, type TableStyle } from './table.ts';

export interface ClusterStatus extends ClusterReport {
  /** Who leads, as etcd shows it; undefined when nobody does. */
  readonly leader: LeaderInfo | undefined;
}

const label = 12;

/** Problems, then a line or a few of each: network, store, controller, leases, agents, routes, tables; the verdict last. */
export function renderStatus(status: ClusterStatus, style: TableStyle): readonly string[] {
  const { paint } = style;
  const problems = renderProblems(status.problems, style);
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['network', [network(status)]],
    ['store', [printable(status.store)]],
    ['controller', controller(status, paint)],
    ['moving', moving(status)],
    ['leases', [leases(status.nodes)]],
    ['agents', agents(status.nodes)],
    ['routes', routes(status)],
    ['tables', status.tables.flatMap((table) => table.use.map((use) => tableLine(table, use, status.tables, paint)))],
  ];
  return [
    ...problems,
    ...(problems.length > 0 ? [''] : []),
    ...rows.flatMap(([name, lines]) =>
      lines.map((line, at) => `${paint.faint((at === 0 ? name : '').padEnd(label))}${line}`),
    ),
    '',
    verdict(status, paint),
  ];
}

function network({ networks, backendType, writer }: ClusterReport): string {
  if (networks.length === 0) return 'unknown';
  const by = writer === 'controller' ? 'the controller' : 'each node';
  return printable(`${networks.join(', ')}, ${backendType}, routes written by ${by}`);
}

function controller({ leader, writer, at }: ClusterStatus, paint: Paint): readonly string[] {
  if (leader) {
    const since = Date.parse(leader.since);
    const ago = Number.isNaN(since) ? '' : `, ${duration(Date.parse(at) - since)} ago`;
    return [printable(`${leader.holder} leads since ${leader.since}${ago}`)];
  }
  return writer === 'controller' ? [paint.bad('none leads')] : [];
}

/** Lines of nodes that are not done; more of them are counted. */
const mostOpen = 5;

function moving({ moving: way }: ClusterReport): readonly string[] {
  if (!way) return [];
  const { open } = way;
  return [
    `${movingLine(way)}${open.length > 0 ? ':' : ''}`,
    ...open.slice(0, mostOpen),
    ...(open.length > mostOpen ? [`and ${open.length - mostOpen} more`] : []),
  ].map(printable);
}

function leases(nodes: readonly NodeRow[]): string {
  if (nodes.length === 0) return 'none';
  const counts = [...Map.groupBy(nodes, ({ state }) => state)].map(([state, of]) => `${of.length} ${state}`);
  const pinned = nodes.filter(({ reserved }) => reserved).length;
  return [`${nodes.length}: ${counts.join(', ')}`, ...(pinned > 0 ? [`${pinned} pinned`] : [])].join('; ');
}

function agents(nodes: readonly NodeRow[]): readonly string[] {
  if (nodes.length === 0) return [];
  const reports = nodes.flatMap(({ report }) => report ?? []);
  const ready = reports.filter((report) => report.ready).length;
  const parts = [
    `${ready} ready`,
    ...(ready < reports.length ? [`${reports.length - ready} not ready`] : []),
    ...(reports.length < nodes.length ? [`${nodes.length - reports.length} say nothing`] : []),
  ];
  return [parts.join(', ')];
}

function routes({ tables }: ClusterReport): readonly string[] {
  if (tables.length === 0) return [];
  const sum = (of: (table: TableRow) => number): number => tables.reduce((total, table) => total + of(table), 0);
  const some = (count: number, word: string): readonly string[] => (count > 0 ? [`${count} ${word}`] : []);
  return [
    [
      `${sum(({ routesPresent }) => routesPresent)} of ${sum(({ routesWanted }) => routesWanted)} present`,
      ...some(
        sum(({ routesWaiting }) => routesWaiting),
        'waiting',
      ),
      ...some(
        sum(({ routesStale }) => routesStale),
        'stale',
      ),
      ...some(
        sum(({ routesForeign }) => routesForeign),
        'foreign',
      ),
    ].join(', '),
  ];
}

const sources: Readonly<Record<LimitSource, string>> = {
  api: '',
  configured: ', --route-limit',
  refusal: ', refused above',
  default: ', documented default',
};
const barWidth = 20;

/** `rtb-0a1  [#####···············]  12 of 50 IPv4 routes (24 %, documented default)`. */
function tableLine(table: TableRow, use: TableUseRow, all: readonly TableRow[], paint: Paint): string {
  const { used, limit, family, limitSource } = use;
  const share = limit === 0 ? 1 : used / limit;
  const filled = Math.min(barWidth, Math.ceil(share * barWidth));
  const colour = share >= 1 ? paint.bad : share >= 0.8 ? paint.caution : paint.good;
  const bar = `[${colour('#'.repeat(filled))}${'.'.repeat(barWidth - filled)}]`;
  const id = printable(table.id).padEnd(longest(all.map((each) => each.id)));
  return `${id}  ${bar}  ${used} of ${limit} ${routesOf(family)} (${Math.floor(share * 100)} %${sources[limitSource]})`;
}

function verdict({ healthy, problems }: ClusterReport, paint: Paint): string {
  const count = countProblems(problems);
  return healthy
    ? `${paint.good('healthy')}${count === '' ? '' : `, ${count}`}`
    : `${paint.bad('not healthy')}: ${count}`;
}

/** The two largest units: `3d 4h`, `12s`. */
function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}
