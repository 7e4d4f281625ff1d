/** Deliberately wrong agents and settings: each must turn red what the other end-to-end tests show. */
import { ReplaceRouteCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { podNetwork } from '../fabric/cluster.ts';
import { countAnswers, openFlows, startEcho, startPing } from '../fabric/traffic.ts';
import { startThreeNodes, type ThreeNodes } from './three-nodes.ts';

let all: ThreeNodes;

beforeAll(async () => {
  // The first wrong setting: only one of the two tables is written.
  all = await startThreeNodes({ backend: { RouteTableID: undefined } });
  await startEcho(all.cluster.vpc.outside);
});

afterAll(async () => {
  await all.cluster.stop();
});

beforeEach(async () => {
  await all.cluster.vpc.setAllowedNetworks([podNetwork]);
});

const pairs = (): { near: Promise<number>; far: Promise<number> } => ({
  near: countAnswers({ from: all.pods[0], to: all.pods[1] }, 5),
  far: countAnswers({ from: all.pods[0], to: all.pods[2] }, 5),
});

test('with only each node’s own table written, pods of the other subnet are not reached', async () => {
  const { near, far } = pairs();
  expect([await near, await far]).toEqual([5, 0]);
});

test('with both tables written they are', async () => {
  const { aws: world } = all.cluster;
  for (const node of all.nodes) {
    for (const { tableId } of [world.explicitSubnet, world.mainSubnet]) {
      if (node.instance.subnet.tableId !== tableId) {
        await world.putRoute(tableId, await node.podSubnet(), node.instance.nicId);
      }
    }
  }
  const { near, far } = pairs();
  expect([await near, await far]).toEqual([5, 5]);
});

test('with a source/dest check left on, its pods are not reached', async () => {
  const { nicId } = all.nodes[2].instance;
  await all.cluster.vpc.setForwards(nicId, false);
  const { near, far } = pairs();
  expect([await near, await far]).toEqual([5, 0]);
  await all.cluster.vpc.setForwards(nicId, true);
});

describe('what wrong controllers do', () => {
  const victim = async (): Promise<{ readonly subnet: string; readonly nicId: string; readonly tableId: string }> => {
    const [, , { podSubnet, instance }] = all.nodes;
    const { explicitTableId: tableId } = all.cluster.aws;
    return { subnet: await podSubnet(), nicId: instance.nicId, tableId };
  };

  test('a route that is deleted and created again instead of replaced loses packets', async () => {
    const { subnet, nicId, tableId } = await victim();
    const ping = startPing({ from: all.pods[0], to: all.pods[2] });
    await ping.flowing();
    await all.cluster.aws.removeRoute(tableId, subnet);
    await all.cluster.aws.putRoute(tableId, subnet, nicId);
    expect((await ping.stop()).lost).toBeGreaterThan(0);
  });

  test('a late write of a former leader, which leads to a former next hop, loses all packets from then on', async () => {
    const { subnet, nicId, tableId } = await victim();
    const late = async (NetworkInterfaceId: string): Promise<void> => {
      const key = { RouteTableId: tableId, DestinationCidrBlock: subnet };
      await all.cluster.aws.admin.send(new ReplaceRouteCommand({ ...key, NetworkInterfaceId }));
    };
    await late(all.nodes[1].instance.nicId);
    expect(await pairs().far).toBe(0);
    const ping = startPing({ from: all.pods[0], to: all.pods[1] });
    await ping.flowing();
    await late(nicId);
    expect(await pairs().far).toBe(5);
    expect((await ping.stop()).lost).toBe(0);
  });
});

test('with a security group that lets no pods in, none is reached', async () => {
  await all.cluster.vpc.setAllowedNetworks([]);
  const { near, far } = pairs();
  expect([await near, await far]).toEqual([0, 0]);
});

test('without masquerade no flow gets outside', async () => {
  const [one] = all.nodes;
  const flows = (): Promise<readonly { readonly seen?: string }[]> =>
    openFlows({ from: all.pods[0], to: all.cluster.vpc.outside }, 2);
  expect((await flows()).map(({ seen }) => seen)).toEqual([one.node.address, one.node.address]);
  await one.agent.kill('SIGTERM');
  one.start({ args: ['--ip-masq=false'] });
  await one.agent.ready();
  expect((await flows()).map(({ seen }) => seen)).toEqual([undefined, undefined]);
});
