/** Route tables named by a tag: every table that serves nodes gets every route, and an untagged one gets none. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Cluster, createCluster } from '../fabric/cluster.ts';
import { countAnswers } from '../fabric/traffic.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await createCluster({ backend: { RouteTableID: undefined, RouteTableTag: 'flannel-vpc/network=prod' } });
});

afterAll(async () => {
  await cluster?.stop();
});

test('pods of two subnets reach each other by the two tagged tables, and no other table is written', async () => {
  const { aws: world } = cluster;
  const untagged = await world.addTable();
  for (const id of [world.explicitTableId, world.mainTableId]) await world.tag(id, 'flannel-vpc/network', 'prod');
  const one = await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11', rpFilter: 1 });
  const two = await cluster.addNode({ name: 'two', subnet: 'second', address: '10.0.2.12', rpFilter: 2 });
  for (const node of [one, two]) {
    node.start();
    await node.agent.ready();
  }

  const [from, to] = [await one.addPod('pod'), await two.addPod('pod')];

  expect(await countAnswers({ from, to }, 5)).toBe(5);
  expect(await world.staticRoutes(world.explicitTableId)).toMatchObject({
    [await one.podSubnet()]: one.instance.nicId,
    [await two.podSubnet()]: two.instance.nicId,
  });
  expect(await world.staticRoutes(untagged)).toEqual({});
});
