/** The cluster most end-to-end tests start from: three nodes in two subnets with a table each, a pod on every node. */

import { type Cluster, type ClusterNode, type ClusterOptions, createCluster } from '../fabric/cluster.ts';
import { reportPrefix } from '../fabric/etcd-places.ts';
import type { Pod } from '../fabric/pod.ts';
import { until } from '../support/until.ts';

export interface ThreeNodes {
  readonly cluster: Cluster;
  readonly nodes: readonly [ClusterNode, ClusterNode, ClusterNode];
  readonly pods: readonly [Pod, Pod, Pod];
}

export interface ThreeNodesOptions extends ClusterOptions {
  /** More of the agents' arguments. */
  readonly args?: readonly string[];
}

/** Starts it; the agents are ready. Nodes one and two share the subnet with a table of its own, three is on the main table. */
export async function startThreeNodes(options: ThreeNodesOptions = {}): Promise<ThreeNodes> {
  const cluster = await createCluster(options);
  const nodes = [
    await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11', rpFilter: 1 }),
    await cluster.addNode({ name: 'two', subnet: 'first', address: '10.0.1.12', rpFilter: 2 }),
    await cluster.addNode({ name: 'three', subnet: 'second', address: '10.0.2.13', rpFilter: 2 }),
  ] as const;
  cluster.aws.proxy.resetLog();
  for (const node of nodes) node.start({ args: options.args ?? [] });
  for (const node of nodes) await node.agent.ready();
  const [one, two, three] = nodes;
  const pods = [await one.addPod('pod'), await two.addPod('pod'), await three.addPod('pod')] as const;
  return { cluster, nodes, pods };
}

/**
 * Waits until every node has told the store that it is ready, and that nothing of it is unproven: from then on there is nothing left
 * to report. Words alone are stored once a minute.
 */
export async function reportsSettled({ cluster, nodes }: Pick<ThreeNodes, 'cluster' | 'nodes'>): Promise<void> {
  const told = async (): Promise<number> => {
    const stored = await cluster.etcd.keys(reportPrefix);
    return stored.filter(({ value }) => value.includes('"ready":true,"reason":""')).length;
  };
  await until('reports that say ready and no more', async () => (await told()) === nodes.length, 120_000);
}

/** What must not change over a restart: packet rules of the node, without counters, and the store's revision. */
export async function kernelRules({ node }: ClusterNode): Promise<string> {
  const saved = await node.exec(['iptables-save']);
  return saved.replace(/^#.*$/gm, '').replace(/\[\d+:\d+\]/g, '');
}

/** Names of the EC2 actions that change something, as counted so far. */
export function writesOf(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([action]) => !action.startsWith('Describe')));
}
