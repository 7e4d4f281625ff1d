/** What the agent looks after while it runs, and what it never touches. */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ClusterNode } from '../fabric/cluster.ts';
import { leasePrefix as leases } from '../fabric/etcd-places.ts';
import { countAnswers } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';
import { reportsSettled, startThreeNodes, type ThreeNodes, writesOf } from './three-nodes.ts';

let all: ThreeNodes;

beforeAll(async () => {
  all = await startThreeNodes({ args: ['--route-check-interval=1s'] });
});

afterAll(async () => {
  await all.cluster.stop();
});

async function routeOf(subnet: string, tableId = all.cluster.aws.explicitTableId): Promise<string | undefined> {
  return (await all.cluster.aws.staticRoutes(tableId))[subnet];
}

/** Text of every route of both tables but those of the pod network: what nobody else's may change, byte for byte. */
async function foreignRoutes(): Promise<string> {
  const { aws: world } = all.cluster;
  const routes = [...(await world.routes(world.explicitTableId)), ...(await world.routes(world.mainTableId))];
  return JSON.stringify(routes.filter((route) => !route.DestinationCidrBlock?.startsWith('10.244.')));
}

describe('a route', () => {
  test('that was removed by hand comes back', async () => {
    const subnet = await all.nodes[0].podSubnet();
    const { aws: world } = all.cluster;
    await world.removeRoute(world.mainTableId, subnet);
    expect(await countAnswers({ from: all.pods[2], to: all.pods[0] }, 3)).toBe(0);
    await until(
      'the route is back',
      async () => (await routeOf(subnet, world.mainTableId)) === all.nodes[0].instance.nicId,
    );
    expect(await countAnswers({ from: all.pods[2], to: all.pods[0] }, 5)).toBe(5);
  });

  test('that was pointed elsewhere by hand is replaced in place', async () => {
    const subnet = await all.nodes[0].podSubnet();
    const { aws: world } = all.cluster;
    world.proxy.resetLog();
    await world.removeRoute(world.mainTableId, subnet);
    await world.putRoute(world.mainTableId, subnet, all.nodes[1].instance.nicId);
    await until(
      'the route is ours again',
      async () => (await routeOf(subnet, world.mainTableId)) === all.nodes[0].instance.nicId,
    );
    const { ReplaceRoute = 0, CreateRoute = 0 } = writesOf(world.proxy.counts());
    // Between the two steps of this test's hand the agent may have seen the table without a route.
    expect(ReplaceRoute + CreateRoute).toBeGreaterThanOrEqual(1);
    expect(world.proxy.count('DeleteRoute')).toBe(0);
  });

  test('is found again when somebody switches the source/dest check on', async () => {
    const { aws: world } = all.cluster;
    await world.setSourceDestCheck(all.nodes[0].instance.nicId, true);
    expect(await countAnswers({ from: all.pods[2], to: all.pods[0] }, 3)).toBe(0);
    await until('the check is off', async () => !(await world.sourceDestCheck(all.nodes[0].instance.nicId)));
    expect(await countAnswers({ from: all.pods[2], to: all.pods[0] }, 5)).toBe(5);
  });
});

test('routes of others stay byte for byte, inside the pod network too', async () => {
  const { aws: world } = all.cluster;
  // A VPN instance's route, a stranger's route in the pod network, and a blackhole that is not ours.
  await world.putRoute(world.mainTableId, '192.168.0.0/16', all.nodes[2].instance.nicId);
  await world.putRoute(world.mainTableId, '10.244.0.0/28', all.nodes[2].instance.nicId);
  const before = await foreignRoutes();
  await delay(3_500);
  expect(await foreignRoutes()).toBe(before);
  expect(await routeOf('10.244.0.0/28', world.mainTableId)).toBe(all.nodes[2].instance.nicId);
  await world.removeRoute(world.mainTableId, '10.244.0.0/28');
});

test('a lease that was deleted is created again at once, and the route stays', async () => {
  const subnet = await all.nodes[1].podSubnet();
  const key = `${leases}${subnet.replace('/', '-')}`;
  await all.cluster.etcd.delete(key);
  await until('the lease is back', async () => (await all.cluster.etcd.keys(key)).length === 1);
  expect(await routeOf(subnet)).toBe(all.nodes[1].instance.nicId);
  await all.nodes[1].agent.logged(/lease restored/);
  await until('its report is there again, as long as the lease lives', async () => {
    const [lease] = await all.cluster.etcd.keys(key);
    const [report] = await all.cluster.etcd.keys(key.replace('/subnets/', '/flannel-vpc/nodes/'));
    return lease !== undefined && report?.lease === lease.lease && report.modRevision > lease.modRevision;
  });
});

test('an idle agent asks EC2 for its NIC and its tables, and writes nothing', async () => {
  const { proxy } = all.cluster.aws;
  await reportsSettled(all);
  await delay(2_000);
  proxy.resetLog();
  const revision = await all.cluster.etcd.revision();
  await delay(3_000);
  expect(Object.keys(proxy.counts()).sort()).toEqual(['DescribeNetworkInterfaces', 'DescribeRouteTables']);
  expect(await all.cluster.etcd.revision()).toBe(revision);
});

describe('a node that dies', () => {
  let replacement: ClusterNode;

  test('and is replaced at the same address: its subnet and route go to the new machine', async () => {
    const { cluster, nodes } = all;
    const subnet = await nodes[2].podSubnet();
    await nodes[2].agent.kill('SIGKILL');
    await nodes[2].destroy();
    await cluster.sync();
    replacement = await cluster.addNode({ name: 'new', subnet: 'second', address: '10.0.2.13' });
    replacement.start({ args: ['--route-check-interval=1s'] });
    await replacement.agent.ready();
    expect(await replacement.podSubnet()).toBe(subnet);
    expect(await routeOf(subnet)).toBe(replacement.instance.nicId);
    const pod = await replacement.addPod('pod');
    expect(await countAnswers({ from: all.pods[0], to: pod }, 10)).toBe(10);
  });

  test('for good: its blackhole goes when its lease has ended, and only then', async () => {
    const { cluster } = all;
    const subnet = await replacement.podSubnet();
    await replacement.agent.kill('SIGKILL');
    await replacement.destroy();
    await cluster.sync();
    await delay(3_000);
    expect(await routeOf(subnet)).toBeDefined();
    // What the end of its time to live does.
    await cluster.etcd.delete(`${leases}${subnet.replace('/', '-')}`);
    await until('the blackhole is gone', async () => (await routeOf(subnet)) === undefined);
    await until('in both tables', async () => (await routeOf(subnet, cluster.aws.mainTableId)) === undefined);
    await until(
      'and its record',
      async () =>
        (await cluster.etcd.keys(`/coreos.com/network/flannel-vpc/routes/${subnet.replace('/', '-')}`)).length === 0,
    );
  });
});
