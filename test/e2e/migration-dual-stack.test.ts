/**
 * A move of pods with addresses of both families. An unmoved node holds no address of IPv6 that a moved one could ask at, so that family
 * follows when both have moved; no packet of either is lost, there and back.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Cluster, type ClusterNode, createCluster, podNetwork, podNetwork6 } from '../fabric/cluster.ts';
import { type Controller, startController } from '../fabric/controller.ts';
import { countAnswers, type Ping, startPing } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';

const moving = ['--backend-type=aws-vpc'];
let cluster: Cluster;
let controller: Controller | undefined;
let nodes: readonly [ClusterNode, ClusterNode];
let pings: readonly Ping[];

beforeAll(async () => {
  cluster = await createCluster({ dualStack: true });
  const networks = { Network: podNetwork, EnableIPv6: true, IPv6Network: podNetwork6 };
  await cluster.putNetConf({ ...networks, Backend: { Type: 'vxlan', Writer: 'controller' } });
  nodes = [
    await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11', rpFilter: 1 }),
    await cluster.addNode({ name: 'two', subnet: 'second', address: '10.0.2.12', rpFilter: 1 }),
  ];
  for (const node of nodes) node.start();
  for (const node of nodes) await node.agent.ready();
  const [from, to] = [await nodes[0].addPod('pod'), await nodes[1].addPod('pod')];
  const addresses = [to.address, to.address6 ?? 'no address'];
  for (const address of addresses) {
    const answers = async (): Promise<boolean> => (await countAnswers({ from, to: { address } }, 2)) === 2;
    await until(`the overlay leads to ${address}`, answers, 30_000);
  }
  pings = addresses.map((address) => startPing({ from, to: { address } }));
  for (const ping of pings) await ping.flowing();
});

afterAll(async () => {
  await controller?.kill();
  await cluster?.stop();
});

async function restart(node: ClusterNode, args: readonly string[]): Promise<void> {
  await node.agent.kill();
  node.start({ args });
  await node.agent.ready();
}

/** Peers that the node sends to by the overlay: by IPv4, by IPv6. */
async function byOverlay({ node }: ClusterNode): Promise<readonly [number, number]> {
  const count = async (family: string, device: string): Promise<number> =>
    (await node.exec(['ip', family, 'route', 'show', 'dev', device]))
      .split('\n')
      .filter((line) => line.includes(' via ')).length;
  return [await count('-4', 'flannel.1'), await count('-6', 'flannel-v6.1')];
}

async function becomes(node: ClusterNode, wanted: readonly [number, number]): Promise<void> {
  const is = async (): Promise<boolean> => (await byOverlay(node)).join() === wanted.join();
  await until(`${node.node.name} has ${wanted} peers by the overlay`, is, 90_000);
}

test('IPv4 follows the first node, IPv6 the second, and both come back', async () => {
  const [one, two] = nodes;
  controller = startController(cluster, { name: 'controller', args: [...moving, '--resync=5s'] });
  const stand = async (): Promise<boolean> => {
    const report = await controller?.report().catch(() => undefined);
    return report?.nodes.filter(({ routesPresent }) => routesPresent === 4).length === 2;
  };
  await until('routes of both nodes and families in both tables', stand, 60_000);

  await restart(one, moving);
  await becomes(one, [0, 1]);
  await restart(two, moving);
  for (const node of nodes) await becomes(node, [0, 0]);
  expect(
    await one.node.exec([
      'ip',
      '-6',
      'route',
      'get',
      (await two.node.subnetEnv())?.['FLANNEL_IPV6_SUBNET']?.replace(/\/.*/, '') ?? '',
    ]),
  ).toContain('dev eth0');

  for (const node of nodes) {
    await restart(node, []);
    await becomes(node, [1, 1]);
  }
  for (const ping of pings) expect(await ping.stop()).toMatchObject({ lost: 0, gaps: [] });
});
