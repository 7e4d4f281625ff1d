/** EC2 calls at join and restart, and how long a route is absent, on the whole rig. */
import type { Ec2Change } from '../clouds/aws/ec2-rules.ts';
import { createCluster } from '../fabric/cluster.ts';
import { peers } from './peers.ts';
import type { Row } from './table.ts';

export interface CallCounts {
  readonly join: Readonly<Record<string, number>>;
  readonly restart: Readonly<Record<string, number>>;
  readonly move: Readonly<Record<string, number>>;
  /** Longest time a route was absent at the restart and at the move, milliseconds. */
  readonly restartAbsentMs: number;
  readonly moveAbsentMs: number;
}

/** One node joins, restarts, and is replaced by another machine at the same address. Two tables. */
export async function measureCalls(): Promise<CallCounts> {
  const cluster = await createCluster();
  const { proxy } = cluster.world;
  const watch = watchAbsence(proxy.onChange);
  const place = { name: 'one', subnet: 'explicit', address: '10.0.1.11' } as const;
  const node = await cluster.addNode(place);
  proxy.resetLog();
  node.start();
  await node.agent.ready();
  const join = proxy.counts();
  await node.agent.kill('SIGKILL');
  proxy.resetLog();
  watch.reset();
  node.start();
  await node.agent.ready();
  const restart = proxy.counts();
  const restartAbsentMs = watch.longestMs();
  await node.agent.kill('SIGKILL');
  await node.destroy();
  await cluster.sync();
  const next = await cluster.addNode({ ...place, name: 'two' });
  proxy.resetLog();
  watch.reset();
  next.start();
  await next.agent.ready();
  const move = proxy.counts();
  const moveAbsentMs = watch.longestMs();
  await cluster.stop();
  return { join, restart, move, restartAbsentMs, moveAbsentMs };
}

export function callRows(counts: CallCounts): readonly Row[] {
  const tables = 2;
  const join = split(counts.join);
  const restart = split(counts.restart);
  const move = split(counts.move);
  return [
    {
      what: 'EC2 calls, first join, two tables',
      ours: `${join.reads} reads, ${join.writes} writes`,
      budget: `<= 3 reads, ${tables + 1} writes`,
      ok: join.reads <= 3 && join.writes <= tables + 1,
      peer: peers.joinCalls,
    },
    {
      what: 'EC2 calls, restart with nothing changed',
      ours: `${restart.reads} reads, ${restart.writes} writes`,
      budget: '<= 2 reads, 0 writes',
      ok: restart.reads <= 2 && restart.writes === 0,
      peer: peers.restartCalls,
    },
    {
      what: 'route absent at a restart',
      ours: `${counts.restartAbsentMs.toFixed(0)} ms`,
      budget: '0 ms',
      ok: counts.restartAbsentMs === 0,
      peer: peers.absentMs,
    },
    {
      what: 'EC2 calls, another machine takes the address over',
      ours: `${move.reads} reads, ${move.writes} writes`,
      budget: `<= 3 reads, ${tables + 1} writes`,
      ok: move.reads <= 3 && move.writes <= tables + 1,
    },
    {
      what: 'route absent at that move (replaced in place)',
      ours: `${counts.moveAbsentMs.toFixed(0)} ms`,
      budget: '0 ms',
      ok: counts.moveAbsentMs === 0,
      peer: peers.moveAbsent,
    },
  ];
}

function split(counts: Readonly<Record<string, number>>): { readonly reads: number; readonly writes: number } {
  const sum = (wanted: boolean): number =>
    Object.entries(counts)
      .filter(([action]) => action.startsWith('Describe') === wanted)
      .reduce((total, [, count]) => total + count, 0);
  return { reads: sum(true), writes: sum(false) };
}

/** From each deletion of a route to its next creation, as EC2 answers them. One that never comes back counts for ever. */
function watchAbsence(onChange: (listener: (change: Ec2Change) => void) => () => void) {
  let longest = 0;
  const gone = new Map<string, number>();
  onChange((change) => {
    if (change.kind !== 'route') return;
    const key = `${change.tableId} ${change.destination}`;
    const since = gone.get(key);
    if (change.action === 'delete') gone.set(key, performance.now());
    else if (since !== undefined) longest = Math.max(longest, performance.now() - since);
    if (change.action !== 'delete') gone.delete(key);
  });
  return {
    reset() {
      longest = 0;
      gone.clear();
    },
    longestMs: () => (gone.size > 0 ? Number.POSITIVE_INFINITY : longest),
  };
}
