/** What must hold of a cluster once a fault is over: read from the store, the cloud and the kernels, judged by one pure function. */

import { cidrContains, parseCidr } from '../../../src/core/ip.ts';
import type { CloudWorld } from '../../clouds/cloud-world.ts';
import { type Cluster, type ClusterNode, podNetwork } from '../../fabric/cluster.ts';
import { leasePrefix, recordPrefix, subnetOfKey } from '../../fabric/etcd-places.ts';

/** Where a route leads in the data path. */
export type Leads = { readonly nicId: string } | 'blackhole' | 'gateway' | 'ecmp';

export interface ClusterState {
  /** Live leases: subnet to the NIC that holds it. */
  readonly leases: Readonly<Record<string, string>>;
  /** Routes inside the pod network, table by table, but the foreign ones. */
  readonly routes: Readonly<Record<string, Readonly<Record<string, Leads>>>>;
  /** Records of routes: those of each table, and whether somebody is removing the route. */
  readonly records: Readonly<Record<string, Readonly<Record<string, 'stands' | 'being removed'>>>>;
  /** Each table as the cloud stores it, without the routes above. */
  readonly foreign: Readonly<Record<string, string>>;
  /** Rules and routes of each node that stand there more than once. */
  readonly doubled: Readonly<Record<string, readonly string[]>>;
}

interface Lease {
  readonly FlannelVPC?: { readonly instanceId?: string; readonly nicId?: string };
}

/** Reads it. `foreign`: destinations inside the pod network that somebody else's routes have. */
export async function readClusterState(
  cluster: Cluster,
  nodes: readonly ClusterNode[],
  foreign: readonly string[],
): Promise<ClusterState> {
  const { world, etcd } = cluster;
  const leases: Record<string, string> = {};
  for (const { key, value } of await etcd.keys(leasePrefix)) {
    leases[subnetOfKey(key)] = nicOf(value, nodes);
  }
  const routes: Record<string, Record<string, Leads>> = {};
  const documents: Record<string, string> = {};
  for (const tableId of world.tableIds) {
    const inside = await routesInside(world, tableId, foreign);
    routes[tableId] = inside;
    documents[tableId] = await world.document(tableId, Object.keys(inside));
  }
  const records = await readRecords(cluster);
  const doubled: Record<string, readonly string[]> = {};
  for (const { node } of nodes) doubled[node.name] = await doubledOn(node);
  return { leases, routes, records, foreign: documents, doubled };
}

/** All that is wrong with it, in words. `before`: the state that foreign routes are compared with. */
export function problemsOf(state: ClusterState, before: Pick<ClusterState, 'foreign'>): readonly string[] {
  const problems: string[] = [];
  for (const [tableId, routes] of Object.entries(state.routes)) {
    for (const [subnet, nicId] of Object.entries(state.leases)) {
      const leads = routes[subnet];
      if (leads === undefined) problems.push(`${tableId}: no route for the lease ${subnet} of ${nicId}`);
      else if (typeof leads === 'string' || leads.nicId !== nicId) {
        problems.push(`${tableId}: ${subnet} leads to ${JSON.stringify(leads)}, its lease is of ${nicId}`);
      }
    }
    for (const destination of Object.keys(routes)) {
      if (!(destination in state.leases)) problems.push(`${tableId}: a route for ${destination}, which no lease has`);
    }
    const records = state.records[tableId] ?? {};
    for (const destination of Object.keys(routes)) {
      if (!(destination in records)) problems.push(`${tableId}: no record says that the route ${destination} is ours`);
    }
    for (const [destination, record] of Object.entries(records)) {
      // The mark of a removal that was cut short is heeded for a while: nobody may touch the record before.
      if (record === 'stands' && !(destination in routes)) {
        problems.push(`${tableId}: a record of ${destination}, for which no route stands`);
      }
    }
    if (state.foreign[tableId] !== before.foreign[tableId]) {
      problems.push(`${tableId}: others' routes changed\n${before.foreign[tableId]}\n${state.foreign[tableId]}`);
    }
  }
  for (const [node, lines] of Object.entries(state.doubled)) {
    for (const line of lines) problems.push(`${node}: more than once: ${line}`);
  }
  return problems;
}

async function readRecords({ etcd }: Cluster): Promise<ClusterState['records']> {
  const records: Record<string, Record<string, 'stands' | 'being removed'>> = {};
  for (const { key, value } of await etcd.keys(recordPrefix)) {
    const [subnet = '', table = ''] = key.slice(recordPrefix.length).split('/');
    const ofTable = (records[decodeURIComponent(table)] ??= {});
    ofTable[subnet.replace('-', '/')] = 'removingUntil' in JSON.parse(value) ? 'being removed' : 'stands';
  }
  return records;
}

/** The holder's NIC as the cloud's routes name it: Azure's agents know their own by its MAC. */
function nicOf(value: string, nodes: readonly ClusterNode[]): string {
  const { FlannelVPC: holder } = JSON.parse(value) as Lease;
  const node = nodes.find(({ instance }) => instance.id === holder?.instanceId);
  return node?.instance.nicId ?? holder?.nicId ?? 'unknown';
}

async function routesInside(
  world: CloudWorld,
  tableId: string,
  foreign: readonly string[],
): Promise<Record<string, Leads>> {
  const network = parseCidr(podNetwork);
  if (!network) throw new Error(`${podNetwork} is no network`);
  const found: Record<string, Leads> = {};
  for (const { destination, target } of await world.forwarding(tableId)) {
    const cidr = parseCidr(destination);
    if (!cidr || !cidrContains(network, cidr) || foreign.includes(destination)) continue;
    found[destination] = target.kind === 'nic' ? { nicId: target.nicId } : target.kind;
  }
  return found;
}

/** Lines of the node's packet rules, policy rules and routes that occur twice. */
async function doubledOn(node: ClusterNode['node']): Promise<readonly string[]> {
  const lists = await Promise.all([
    node.exec(['iptables-save']),
    node.exec(['ip', 'rule', 'show']),
    node.exec(['ip', 'route', 'show', 'table', 'all']),
  ]);
  return lists.flatMap((text) => {
    // A chain's rules are lines of their table.
    let table = '';
    const seen = new Set<string>();
    return text.split('\n').filter((line) => {
      if (line.startsWith('*')) table = line;
      if (line === '' || !/^(?:-A|\d|default|blackhole|unreachable)/.test(line)) return false;
      const named = `${table} ${line}`;
      const twice = seen.has(named);
      seen.add(named);
      return twice;
    });
  });
}
