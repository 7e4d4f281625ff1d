/** One elected controller writes the routes of agents that hold no credentials, and nothing is lost when it changes. */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Policy } from '../clouds/aws/iam-policy.ts';
import { type Cluster, type ClusterNode, createCluster } from '../fabric/cluster.ts';
import { type Controller, startController } from '../fabric/controller.ts';
import { leasePrefix as leases } from '../fabric/etcd-places.ts';
import type { Pod } from '../fabric/pod.ts';
import { countAnswers, startPing } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';

const nothing: Policy = { Version: '2012-10-17', Statement: [] };
/** EC2's writes may take 10 s; a term is longer. */
const termMs = 12_000;
const retryMs = 1_000;
const election = [
  `--leader-elect-lease-duration=${termMs / 1_000}s`,
  `--leader-elect-retry-period=${retryMs / 1_000}s`,
];
const args = [...election, '--resync=2s', '--reap-terminated'];

let cluster: Cluster;
let first: Controller;
let second: Controller;
const nodes: ClusterNode[] = [];
const pods: Pod[] = [];

beforeAll(async () => {
  cluster = await createCluster({ nodePolicy: nothing, backend: { Writer: 'controller' } });
  first = startController(cluster, { name: 'first', args });
  await first.logged(/leading: this controller writes/);
  second = startController(cluster, { name: 'second', args });
  await second.logged(/standing by/);
});

afterAll(async () => {
  for (const controller of [first, second]) await controller?.kill('SIGKILL');
  await cluster?.stop();
});

async function join(name: string, subnet: 'first' | 'second', address: string): Promise<ClusterNode> {
  const node = await cluster.addNode({ name, subnet, address });
  // It must find no credentials, wherever the SDK would look for them.
  node.start({ env: { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' } });
  return node;
}

async function targets(subnet: string): Promise<readonly (string | undefined)[]> {
  const { aws: world } = cluster;
  const tables = [world.explicitTableId, world.mainTableId];
  return await Promise.all(tables.map(async (tableId) => (await world.staticRoutes(tableId))[subnet]));
}

/** Routes of both tables but those of the pod network. */
async function foreignRoutes(): Promise<string> {
  const { aws: world } = cluster;
  const routes = [...(await world.routes(world.explicitTableId)), ...(await world.routes(world.mainTableId))];
  return JSON.stringify(routes.filter((route) => !route.DestinationCidrBlock?.startsWith('10.244.')));
}

/** Both tables lead to the node for the subnet its lease has, with subnet.env or yet without. */
async function routed({ instance }: ClusterNode): Promise<boolean> {
  const keys = await cluster.etcd.keys(leases);
  const key = keys.find(({ value }) => value.includes(`"${instance.id}"`))?.key;
  if (key === undefined) return false;
  const subnet = key.slice(leases.length).replace('-', '/');
  return (await targets(subnet)).every((target) => target === instance.nicId);
}

const leaseKey = (subnet: string): string => `${leases}${subnet.replace('/', '-')}`;

describe('three nodes without any right in EC2', () => {
  test('join, get their routes in every table, and their pods reach each other', async () => {
    const foreign = await foreignRoutes();
    nodes.push(await join('one', 'first', '10.0.1.11'));
    nodes.push(await join('two', 'first', '10.0.1.12'));
    nodes.push(await join('three', 'second', '10.0.2.13'));
    for (const node of nodes) await node.agent.ready(60_000);
    for (const node of nodes) {
      const { nicId } = node.instance;
      await until(`routes of ${node.node.name}`, async () =>
        (await targets(await node.podSubnet())).every((target) => target === nicId),
      );
      await until('its source/dest check is off', async () => !(await cluster.aws.sourceDestCheck(nicId)));
      pods.push(await node.addPod('pod'));
    }
    for (const from of pods) {
      for (const to of pods) if (from !== to) expect(await countAnswers({ from, to }, 5)).toBe(5);
    }
    expect(await foreignRoutes()).toBe(foreign);
  });

  test('made no call to EC2 themselves: all are the leader’s', () => {
    const callers = new Set(cluster.aws.proxy.log.map(({ caller }) => caller));
    expect([...callers]).toEqual(['controller/first']);
  });

  test('say in their leases who they are', async () => {
    const [node] = nodes;
    const [stored] = await cluster.etcd.keys(leaseKey(await (node as ClusterNode).podSubnet()));
    expect(JSON.parse(stored?.value ?? '{}').FlannelVPC).toMatchObject({
      instanceId: node?.instance.id,
      nicId: node?.instance.nicId,
      zone: 'eu-west-1a',
      addresses: expect.arrayContaining(['10.0.1.11']),
      nodeName: expect.any(String),
    });
  });

  test('cost one read of the tables a resync while nothing happens', async () => {
    await delay(3_000);
    cluster.aws.proxy.resetLog();
    await delay(9_000);
    const { DescribeRouteTables = 0, ...others } = cluster.aws.proxy.counts();
    expect(others).toEqual({});
    expect(DescribeRouteTables).toBeGreaterThanOrEqual(3);
    expect(DescribeRouteTables).toBeLessThanOrEqual(6);
  });

  test('are shown by the status page of the leader, and by the other who leads', async () => {
    const report = await first.report();
    expect(report).toMatchObject({ healthy: true, problems: [], writer: 'controller' });
    expect(report.nodes.map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
    expect(report.controller?.role).toBe('leader');
    const standby = await second.report();
    expect(standby.controller).toMatchObject({ role: 'standby', leader: { holder: report.controller?.holder } });
    expect((await first.get('/')).body).toContain('<title>Healthy · flannel-vpc</title>');
    expect((await second.get('/')).body).toContain('<title>On standby · flannel-vpc</title>');
  });

  test('are counted by the leader alone', async () => {
    const { body } = await first.get('/metrics');
    expect(body).toContain('\nflannel_vpc_leader 1\n');
    expect(body).toContain('\nflannel_vpc_leases{state="ok"} 3\n');
    expect(body).toMatch(/\nflannel_vpc_cloud_calls_total\{action="create",result="ok"\} [1-9]/);
    expect(body).toMatch(/\nflannel_vpc_lease_to_route_seconds_count 3\n/);
    const standby = await second.get('/metrics');
    expect(standby.body).toContain('\nflannel_vpc_leader 0\n');
    expect(standby.body).not.toContain('\nflannel_vpc_leases{');
  });
});

test('a route that was removed by hand comes back by the next resync, and other people’s routes stay', async () => {
  const { aws: world } = cluster;
  const subnet = await (nodes[0] as ClusterNode).podSubnet();
  const foreign = await foreignRoutes();
  await world.removeRoute(world.mainTableId, subnet);
  await until('the route is back', async () => (await targets(subnet))[1] === nodes[0]?.instance.nicId);
  expect(await foreignRoutes()).toBe(foreign);
});

test('a lease can point no route at an instance that does not own its address', async () => {
  const [victim, liar] = nodes as [ClusterNode, ClusterNode];
  const { id, nicId } = victim.instance;
  const value = { PublicIP: liar.instance.address, FlannelVPC: { instanceId: id, nicId, nodeName: 'liar' } };
  await cluster.etcd.put(`${leases}10.244.250.0-24`, JSON.stringify(value));
  await until('the controller says so', async () =>
    (await first.report()).problems.some(({ text }) => text.includes('10.244.250.0/24') && text.includes(id)),
  );
  expect(await targets('10.244.250.0/24')).toEqual([undefined, undefined]);
  await cluster.etcd.delete(`${leases}10.244.250.0-24`);
});

test('a lease that real flannel wrote gets its routes by its public IP', async () => {
  const outsider = await cluster.aws.runInstance(cluster.aws.mainSubnet, '10.0.2.77');
  await cluster.etcd.put(`${leases}10.244.251.0-24`, JSON.stringify({ PublicIP: '10.0.2.77' }));
  await until('its routes stand', async () =>
    (await targets('10.244.251.0/24')).every((target) => target === outsider.nicId),
  );
});

describe('the leader', () => {
  test('killed with SIGKILL: no packet is lost, and another one writes within its term', async () => {
    const ping = startPing({ from: pods[0] as Pod, to: pods[2] as Pod });
    await ping.flowing();
    await first.kill('SIGKILL');
    const killed = performance.now();
    nodes.push(await join('four', 'second', '10.0.2.14'));
    await second.logged(/leading: this controller writes/, termMs + retryMs + 2_000);
    const node = nodes[3] as ClusterNode;
    await until('the new node’s routes stand', async () => await routed(node), 30_000);
    const took = performance.now() - killed;
    const { lost } = await ping.stop();
    expect(lost).toBe(0);
    // Term, retry period, 2 s, and one pass.
    expect(took).toBeLessThan(termMs + retryMs + 2_000 + 10_000);
    await node.agent.ready(30_000);
  });

  test('frozen while EC2 holds its request: what lands late is repaired by one pass of the next one', async () => {
    const { aws: world } = cluster;
    first = startController(cluster, { name: 'third', args });
    await first.logged(/standing by/);
    const [node, other] = nodes as [ClusterNode, ClusterNode];
    const subnet = await node.podSubnet();
    // The second one, which leads, sends a request that EC2 keeps; then it is frozen.
    const held = world.proxy.hold('CreateRoute', 'second');
    await world.removeRoute(world.mainTableId, subnet);
    await held.arrived(1);
    second.process.signal('SIGSTOP');
    await first.logged(/leading: this controller writes/, termMs + retryMs + 4_000);
    await until('the next one wrote the route', async () => (await targets(subnet))[1] === node.instance.nicId, 30_000);
    const sent = world.proxy.log.filter(({ caller }) => caller === 'controller/second').length;

    second.process.signal('SIGCONT');
    await second.logged(/no longer leading/);
    held.release();
    await delay(3_000);

    expect(
      world.proxy.log.filter(({ caller, action }) => caller === 'controller/second' && !action.startsWith('Describe'))
        .length,
    ).toBeLessThanOrEqual(sent);
    expect(await targets(subnet)).toEqual([node.instance.nicId, node.instance.nicId]);
    expect(await countAnswers({ from: pods[1] as Pod, to: pods[0] as Pod }, 5)).toBe(5);
    expect(other.agent.process.pid).toBeGreaterThan(0);
  });

  test('ended with SIGTERM hands over at once', async () => {
    second.process.signal('SIGCONT');
    await until('it stands by', async () => (await second.report()).controller?.role === 'standby');
    const ping = startPing({ from: pods[2] as Pod, to: pods[1] as Pod });
    await ping.flowing();
    expect(await first.kill('SIGTERM')).toBe(0);
    const ended = performance.now();
    await until('the other one leads', async () => (await second.report()).controller?.role === 'leader');
    expect(performance.now() - ended).toBeLessThan(5_000);
    expect((await ping.stop()).lost).toBe(0);
  });
});

test('a lease that has ended loses its routes, though its instance runs on', async () => {
  await cluster.etcd.delete(`${leases}10.244.251.0-24`);
  await until('they are gone', async () => (await targets('10.244.251.0/24')).every((target) => target === undefined));
});

test('a terminated instance loses its routes and its lease at once, and one that is stopped loses nothing', async () => {
  const { aws: world } = cluster;
  const [, stopped, , gone] = nodes as [ClusterNode, ClusterNode, ClusterNode, ClusterNode];
  const [kept, freed] = [await stopped.podSubnet(), await gone.podSubnet()];
  await gone.agent.kill('SIGKILL');
  await gone.destroy();
  await world.stopInstance(stopped.instance.id);
  await cluster.sync();
  await until(
    'its routes are gone',
    async () => (await targets(freed)).every((target) => target === undefined),
    30_000,
  );
  await until('its lease has ended', async () => (await cluster.etcd.keys(leaseKey(freed))).length === 0);
  await delay(3_000);
  expect(await targets(kept)).toEqual([stopped.instance.nicId, stopped.instance.nicId]);
  await world.startInstance(stopped.instance.id);
});
