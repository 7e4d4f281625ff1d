/** From the scale measurements to rows. Nobody has measured another controller of this kind: the peers' column stays empty. */
import type { IdleResult } from './idle.ts';
import type { Counts, Scale, Steady } from './scale.ts';
import { routesPerSecond } from './scale.ts';
import type { Throttled } from './scale-throttled.ts';
import { percentile, summary } from './statistics.ts';
import { atMost, type Row, type Section } from './table.ts';

const whole = (value: number): string => value.toFixed(0);
const seconds = (value: number): string => `${value.toFixed(2)} s`;
const megabytes = (value: number): string => `${value.toFixed(0)} MB`;
const ratio = (value: number): string => value.toFixed(2);

/** Addresses in one request for next hops, and writes between two looks. */
const resolvePage = 200;
const passWrites = 100;
/** Requests of EC2 that come at once before the pace counts. */
const burst = 25;
/** Reads of a start: once more for an event that came while it looked. */
const spareReads = 6;

/** What the first fill may read: each address once, and the tables before and after each hundred writes. */
function fillReadBudget(leases: number, tables: number): number {
  return Math.ceil(leases / resolvePage) + 2 * Math.ceil((leases * tables) / passWrites) + spareReads;
}

export function fillSection({ leases, tables, fill }: Scale): Section {
  const { calls, requests, passes } = fill;
  const writes = routeWrites(calls);
  const atPace = Math.max(0, writes - burst) / routesPerSecond / 60;
  return {
    title: `controller, first fill: ${leases} leases on ${tables} tables (providers/memory behind EC2's wire, real etcd, no pace)`,
    rows: [
      atMost('route writes', writes, leases * tables, whole),
      atMost('source/dest checks switched off', count(calls, 'ModifyNetworkInterfaceAttribute'), leases, whole),
      atMost('reads', readsOf(calls), fillReadBudget(leases, tables), whole),
      { what: 'all calls', ours: textOf(calls) },
      atMost('etcd transactions a lease', count(requests, 'Txn') / leases, 1 + (passes + 5) / leases, ratio),
      atMost('etcd reads a pass', count(requests, 'Range') / passes, 3 + 6 / passes, ratio),
      { what: `passes; at EC2's pace they take`, ours: `${passes}; ${atPace.toFixed(0)} min` },
      { what: 'time and CPU without it', ours: `${seconds(fill.seconds)}, ${seconds(fill.cpu)}` },
      { what: 'memory at the most (from source)', ours: megabytes(fill.peakMemory) },
    ],
  };
}

export function steadySection({ leases, tables, steady }: Scale): Section {
  const { restart, resyncs, resyncCalls, resyncRequests, lookMs } = steady;
  const other = total(resyncCalls) - count(resyncCalls, 'DescribeRouteTables');
  const perResync = (value: number): number => value / resyncs;
  const { DescribeRouteTables: reads = 0 } = resyncCalls;
  return {
    title: `controller, ${leases} leases on ${tables} tables stand (the built program, EC2 answers in 30 ms)`,
    rows: [
      atMost('restart: reads', readsOf(restart), Math.ceil(leases / resolvePage) + 2, whole),
      atMost('restart: writes', total(restart) - readsOf(restart), 0, whole),
      atMost('a resync: reads of the tables', perResync(reads), 1, ratio),
      atMost('a resync: other calls', perResync(other), 0, ratio),
      { what: 'a resync: etcd requests', ours: textOf(resyncRequests, resyncs) },
      { what: 'a resync: time, CPU', ours: `${whole(summary(lookMs).median)} ms, ${seconds(perResync(steady.cpu))}` },
      ...memoryRows(steady),
      { what: 'status page', ours: `${whole(steady.pageMs)} ms, ${whole(steady.pageBytes / 1_024)} KB` },
      { what: 'lease to routes, one by one: median, 99th', ours: timesOf(steady.single) },
      ...togetherRows(steady, tables),
    ],
  };
}

function memoryRows({ memory, peakMemory, peakWithPage }: Steady): readonly Row[] {
  return [
    { what: 'resident memory (RSS), at the most so far', ours: `${megabytes(memory.rss)}, ${megabytes(peakMemory)}` },
    { what: 'at the most, once the status page was shown', ours: megabytes(peakWithPage) },
  ];
}

function togetherRows({ together, togetherCalls: calls }: Steady, tables: number): readonly Row[] {
  const { length } = together;
  const floor = Math.max(0, length * tables - burst) / routesPerSecond;
  const reads = fillReadBudget(length, tables);
  return [
    { what: `lease to routes, ${length} at once: median, 99th`, ours: timesOf(together) },
    { what: 'the pace alone takes, for the last of them', ours: seconds(floor) },
    atMost(`${length} at once: route writes`, routeWrites(calls), length * tables, whole),
    atMost(`${length} at once: reads`, readsOf(calls), reads, whole),
  ];
}

/** `most`: calls for each that is needed. */
export function throttledSection(result: Throttled, title: string, most: number): Section {
  const { leases, tables, calls } = result;
  const needed = leases * tables + leases;
  return {
    title: `controller, ${leases} leases at once on ${tables} tables (${result.cloud}), ${title}`,
    rows: [
      {
        what: 'routes that stand',
        ours: whole(result.routes),
        budget: whole(leases * tables),
        ok: result.routes === leases * tables,
      },
      atMost('writes for each that is needed', (total(calls) - readsOf(calls)) / needed, most, ratio),
      atMost('reads', readsOf(calls), Math.ceil(most * fillReadBudget(leases, tables)), whole),
      { what: 'refused for being too many', ours: whole(result.refused) },
      { what: 'until the last route', ours: seconds(result.seconds) },
      ...(result.instanceSeconds > 0
        ? [{ what: 'LocalStack alone, to make an instance', ours: seconds(result.instanceSeconds) }]
        : []),
    ],
  };
}

/** An agent beside thousands of others. */
export function crowdSection(crowd: number, result: IdleResult): Section {
  const other = Object.entries(result.requests).filter(([method]) => method !== 'LeaseKeepAlive');
  return {
    title: `idle agent in a cluster of ${crowd} leases, ${result.seconds} s`,
    rows: [
      {
        ...{ what: 'etcd requests', ours: textOf(result.requests) },
        ...{ budget: 'keepalives', ok: other.length === 0 },
      },
      atMost('watch answers', result.watchAnswers, 0, whole),
      { what: 'resident memory (RSS)', ours: megabytes(result.memory.rss) },
    ],
  };
}

function count(counts: Counts, name: string): number {
  return counts[name] ?? 0;
}

function total(counts: Counts): number {
  return Object.values(counts).reduce((sum, each) => sum + each, 0);
}

function readsOf(calls: Counts): number {
  return Object.entries(calls).reduce((sum, [name, each]) => sum + (name.startsWith('Describe') ? each : 0), 0);
}

function routeWrites(calls: Counts): number {
  return count(calls, 'CreateRoute') + count(calls, 'ReplaceRoute') + count(calls, 'DeleteRoute');
}

function timesOf(ms: readonly number[]): string {
  return `${seconds(summary(ms).median / 1_000)}, ${seconds(percentile(ms, 0.99) / 1_000)}`;
}

function textOf(counts: Counts, by = 1): string {
  const parts = Object.entries(counts).map(([name, each]) => `${name} ${by === 1 ? each : ratio(each / by)}`);
  return parts.join(', ') || 'none';
}
