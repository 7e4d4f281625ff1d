/**
 * What keeps a node that moves from losing packets when something is not as it should be: a peer that would drop what comes by the VPC, and a
 * route that goes missing afterwards. And that a wrong order shows: the same count of packets finds the loss.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Cluster, type ClusterNode, createCluster, podNetwork } from '../fabric/cluster.ts';
import { type Controller, startController } from '../fabric/controller.ts';
import type { Pod } from '../fabric/pod.ts';
import { countAnswers, startPing } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';

const moving = ['--backend-type=aws-vpc'];
let cluster: Cluster;
let controller: Controller | undefined;
let one: ClusterNode;
let two: ClusterNode;
let from: Pod;
let to: Pod;

beforeAll(async () => {
  cluster = await createCluster();
  await cluster.putNetConf({ Network: podNetwork, Backend: { Type: 'vxlan', Writer: 'controller' } });
  one = await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11', rpFilter: 2 });
  two = await cluster.addNode({ name: 'two', subnet: 'second', address: '10.0.2.12', rpFilter: 1 });
  for (const node of [one, two]) node.start();
  for (const node of [one, two]) await node.agent.ready();
  [from, to] = [await one.addPod('pod'), await two.addPod('pod')];
  await until('the overlay stands', async () => (await countAnswers({ from, to }, 2)) === 2, 30_000);
});

afterAll(async () => {
  await controller?.kill();
  await cluster?.stop();
});

/** One's kernel sends to two's pods by the overlay. */
async function byOverlay(): Promise<boolean> {
  const subnet = await two.podSubnet();
  return (await one.node.exec(['ip', 'route', 'show', 'exact', subnet])).includes('dev flannel.1');
}

function startsController(name: string): void {
  controller = startController(cluster, { name, args: [...moving, '--resync=5s'] });
}

async function routesStand(): Promise<void> {
  const nodes = async () => (await controller?.report().catch(() => undefined))?.nodes ?? [];
  const both = async () => (await nodes()).filter(({ routesPresent }) => routesPresent === 2).length === 2;
  await until('routes of both nodes', both, 60_000);
}

test('a control: overlay routes that go before the VPC’s stand lose packets', async () => {
  await one.agent.kill();
  const ping = startPing({ from, to });
  await ping.flowing();
  await one.node.ip(`route del ${await two.podSubnet()} dev flannel.1`);
  await delay(500);
  one.start();
  await until('the overlay’s route is back', byOverlay, 30_000);
  await delay(500);
  expect((await ping.stop()).lost).toBeGreaterThan(20);
});

test('a peer whose strict filter nobody makes loose stays on the overlay, and the node says which', async () => {
  startsController('first');
  await routesStand();
  // Only its kernel is left, as of a flannel that nobody tells anything.
  await two.agent.kill();
  const ping = startPing({ from, to });
  await ping.flowing();
  await one.agent.kill();
  one.start({ args: moving });
  await one.agent.ready();
  await one.agent.logged(
    /0 of 1 peers are reached by the cloud’s routes, by the overlay still [\d./]+.*rp_filter/,
    60_000,
  );
  expect(await byOverlay()).toBe(true);
  expect((await two.node.exec(['cat', '/proc/sys/net/ipv4/conf/eth0/rp_filter'])).trim()).toBe('1');
  // What the guide has an operator do there.
  await two.node.exec(['sysctl', '-q', '-w', 'net.ipv4.conf.all.rp_filter=2']);
  await until('two is across', async () => !(await byOverlay()), 90_000);
  expect(await ping.stop()).toMatchObject({ lost: 0 });
  expect(await countAnswers({ from, to })).toBe(10);
});

test('a route of the VPC that goes missing brings the overlay’s back, and nothing is lost when it is there again', async () => {
  await controller?.kill();
  const subnet = await two.podSubnet();
  for (const tableId of cluster.world.tableIds) await cluster.world.removeRoute(tableId, subnet);
  expect(await countAnswers({ from, to }, 3)).toBe(0);
  await until('the overlay is back', byOverlay, 90_000);
  await one.agent.logged(/do not answer by the cloud’s routes any more/);
  const ping = startPing({ from, to });
  await ping.flowing();
  startsController('second');
  await routesStand();
  await until('two is across again', async () => !(await byOverlay()), 90_000);
  expect(await ping.stop()).toMatchObject({ lost: 0 });
});
