/** The VPC of the rig forwards and refuses IPv6 as it does IPv4. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createNode, type Node } from '../../fabric/node.ts';
import type { Pod } from '../../fabric/pod.ts';
import { countAnswers, startPing } from '../../fabric/traffic.ts';
import { createVpc, type Vpc, type VpcRoute } from '../../fabric/vpc.ts';

const podNetworks = ['10.244.0.0/16', 'fd42::/48'];
const toOne: VpcRoute = { destination: 'fd42:0:0:1::/64', target: { kind: 'nic', nicId: 'eni-1' } };
const toTwo: VpcRoute = { destination: 'fd42:0:0:2::/64', target: { kind: 'nic', nicId: 'eni-2' } };
const toOutside: VpcRoute = { destination: '::/0', target: { kind: 'gateway' } };

let vpc: Vpc;
let nodes: readonly Node[] = [];
let one: Node;
let two: Node;
let podOne: Pod;
let podTwo: Pod;

async function addNode(number: number, subnet: 1 | 2): Promise<Node> {
  const ids = { name: `node${number}`, instanceId: `i-${number}`, nicId: `eni-${number}` };
  const address = { address: `10.0.${subnet}.1${number}`, address6: `fd00:0:0:${subnet}::1${number}` };
  const node = await createNode({ vpc, ...ids, ...address, subnetId: `subnet-${subnet}`, rpFilter: 2, forwards: true });
  await node.sysctl({ 'ipv6/conf/all/forwarding': 1 });
  await node.ip(
    'link add cbr0 type bridge',
    `addr add 10.244.${number}.1/24 dev cbr0`,
    `addr add fd42:0:0:${number}::1/64 dev cbr0 nodad`,
    'link set cbr0 up',
  );
  return node;
}

const six = (place: Pod | Node): { readonly address: string } => ({ address: place.address6 ?? '' });
const answers = async (from: Pod | Node, to: Pod | Node | { readonly address: string }): Promise<number> =>
  await countAnswers({ from, to: 'address6' in to ? six(to) : to }, 5);

beforeAll(async () => {
  vpc = await createVpc({
    ...{ cidr: '10.0.0.0/16', mtu: 9001, allowedNetworks: podNetworks },
    subnets: [
      { id: 'subnet-1', cidr: '10.0.1.0/24' },
      { id: 'subnet-2', cidr: '10.0.2.0/24' },
    ],
  });
  await vpc.associate('subnet-1', 'rtb-1');
  await vpc.associate('subnet-2', 'rtb-2');
  [one, two] = [await addNode(1, 1), await addNode(2, 2)];
  nodes = [one, two];
  [podOne, podTwo] = [await one.addPod('pod', 'cbr0'), await two.addPod('pod', 'cbr0')];
});

beforeEach(async () => {
  for (const { nic } of nodes) await vpc.setForwards(nic.nicId, true);
  for (const table of ['rtb-1', 'rtb-2']) await vpc.setRoutes(table, [toOne, toTwo, toOutside]);
  await vpc.setAllowedNetworks(podNetworks);
});

afterAll(async () => {
  for (const node of nodes) await node.remove();
  await vpc?.close();
});

test('nodes reach each other without any route, and pods by the routes of both tables', async () => {
  expect(await answers(podOne, podTwo)).toBe(5);
  expect(await answers(podTwo, podOne)).toBe(5);
  for (const table of ['rtb-1', 'rtb-2']) await vpc.setRoutes(table, []);
  expect(await answers(one, two)).toBe(5);
  expect(await answers(podOne, podTwo)).toBe(0);
});

describe('what is refused', () => {
  test('a pod’s packet from a NIC that is not let forward, and one to it', async () => {
    for (const [nicId, reason] of [
      ['eni-1', 'source_check'],
      ['eni-2', 'destination_check'],
    ] as const) {
      await vpc.setForwards(nicId, false);
      const before = await vpc.dropped();
      expect(await answers(podOne, podTwo)).toBe(0);
      expect((await vpc.dropped())[reason] - before[reason]).toBe(5);
      expect(await answers(one, two)).toBe(5);
      await vpc.setForwards(nicId, true);
    }
  });

  test('what the sender’s table has no route for, or a blackhole', async () => {
    for (const routes of [[toOne], [toOne, { ...toTwo, target: { kind: 'blackhole' } as const }]]) {
      await vpc.setRoutes('rtb-1', routes);
      expect(await answers(podOne, podTwo)).toBe(0);
    }
    await vpc.setRoutes('rtb-1', [toOne, toTwo]);
    expect(await answers(podOne, podTwo)).toBe(5);
  });

  test('pods that the security group does not let in', async () => {
    await vpc.setAllowedNetworks(['10.244.0.0/16']);
    expect(await answers(podOne, podTwo)).toBe(0);
    expect(await answers(one, two)).toBe(5);
  });

  test('pods outside, where nodes are known alone', async () => {
    const outside = { address: vpc.outside.address6 };
    expect(await answers(one, outside)).toBe(5);
    expect(await answers(podOne, outside)).toBe(0);
  });
});

test('a route that is replaced in place loses nothing, and one that is deleted and made again does', async () => {
  const three = await addNode(3, 2);
  nodes = [...nodes, three];
  await vpc.setForwards('eni-3', true);
  for (const node of [one, three]) await node.ip('addr add fd42:0:0:9::9/128 dev lo nodad');
  const targets: readonly VpcRoute['target'][] = [
    { kind: 'nic', nicId: 'eni-1' },
    { kind: 'nic', nicId: 'eni-3' },
    { kind: 'ecmp', nicIds: ['eni-1', 'eni-3'] },
    { kind: 'nic', nicId: 'eni-1' },
  ];
  const routes = [toOne, toTwo, toOutside];
  const lead = async (target: VpcRoute['target']): Promise<void> =>
    await vpc.setRoutes('rtb-2', [...routes, { destination: 'fd42:0:0:9::/64', target }]);
  await lead({ kind: 'nic', nicId: 'eni-1' });
  const ping = startPing({ from: podTwo, to: { address: 'fd42:0:0:9::9' } });
  await ping.flowing();
  for (const target of [...targets, ...targets]) await lead(target);
  expect(await ping.stop()).toMatchObject({ lost: 0 });

  const other = startPing({ from: podTwo, to: { address: podOne.address6 ?? '' } });
  await other.flowing();
  await vpc.setRoutes('rtb-2', [toTwo]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await vpc.setRoutes('rtb-2', routes);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect((await other.stop()).lost).toBeGreaterThan(0);
});
