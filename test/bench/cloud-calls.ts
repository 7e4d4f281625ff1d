/** What an aws-vpc node asks of EC2 and for how long its route is absent: at its first join, a restart and a route's move. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Ec2Change } from '../clouds/aws/ec2-rules.ts';
import { type Cluster, type ClusterNode, createCluster } from '../fabric/cluster.ts';
import { type Memory, memoryOf } from './proc.ts';

export interface Calls {
  readonly reads: number;
  readonly writes: number;
  readonly byAction: Readonly<Record<string, number>>;
  /** Longest time that a route of the node was absent or led elsewhere between two changes, milliseconds. */
  readonly absentMs: number;
}

export interface CloudCalls {
  readonly tables: number;
  readonly join: Calls;
  readonly restart: Calls;
  /** The node's routes led to another NIC when it started. */
  readonly move: Calls;
  /** Requests to EC2 while nothing happened. */
  readonly idleCalls: number;
  /** Of the agent, after the idle time. */
  readonly memory: Memory;
}

/** Late calls would be missed by a look at the moment of being ready. */
const settleMs = 1_500;

export async function cloudCalls(idleMs: number): Promise<CloudCalls> {
  const cluster = await createCluster();
  try {
    const other = await cluster.addNode({ name: 'other', subnet: 'second', address: '10.0.2.11' });
    const node = await cluster.addNode({ name: 'node', subnet: 'first', address: '10.0.1.11' });
    const tables = [cluster.aws.explicitTableId, cluster.aws.mainTableId];
    const join = await callsWhile(cluster, () => start(node));
    cluster.aws.proxy.resetLog();
    await delay(idleMs);
    const idleCalls = cluster.aws.proxy.log.length;
    const memory = await memoryOf(node.agent.process.pid);
    const restart = await callsWhile(cluster, async () => {
      await node.agent.kill('SIGTERM');
      await start(node);
    });
    await node.agent.kill('SIGTERM');
    const subnet = await node.podSubnet();
    for (const tableId of tables) {
      await cluster.aws.removeRoute(tableId, subnet);
      await cluster.aws.putRoute(tableId, subnet, other.instance.nicId);
    }
    const move = await callsWhile(cluster, () => start(node));
    for (const tableId of tables) {
      const target = (await cluster.aws.staticRoutes(tableId))[subnet];
      if (target !== node.instance.nicId) throw new Error(`the route of ${subnet} leads to ${target} after the move`);
    }
    return { tables: tables.length, join, restart, move, idleCalls, memory };
  } finally {
    await cluster.stop();
  }
}

async function start(node: ClusterNode): Promise<void> {
  await node.start().ready();
}

async function callsWhile({ aws: world }: Cluster, work: () => Promise<void>): Promise<Calls> {
  const absences = new Absences();
  world.proxy.resetLog();
  const stop = world.proxy.onChange((change) => absences.see(change));
  await work();
  await delay(settleMs);
  stop();
  const byAction = world.proxy.counts();
  const count = (isRead: boolean): number =>
    Object.entries(byAction)
      .filter(([action]) => action.startsWith('Describe') === isRead)
      .reduce((sum, [, each]) => sum + each, 0);
  return { reads: count(true), writes: count(false), byAction, absentMs: absences.longestMs() };
}

/** Times between the deletion of a route and its return, as EC2 carried them out. */
class Absences {
  readonly #since = new Map<string, number>();
  #longest = 0;

  see(change: Ec2Change): void {
    if (change.kind !== 'route') return;
    const route = `${change.tableId} ${change.destination}`;
    const since = this.#since.get(route);
    if (change.action === 'delete') this.#since.set(route, since ?? performance.now());
    else if (since !== undefined) {
      this.#since.delete(route);
      this.#longest = Math.max(this.#longest, performance.now() - since);
    }
  }

  /** A route that did not come back has been absent for ever. */
  longestMs(): number {
    return this.#since.size > 0 ? Number.POSITIVE_INFINITY : this.#longest;
  }
}
