/** The VPC of the rig must refuse what a real one refuses: an agent that is wrong must not pass for right. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createNode, type Node } from '../../fabric/node.ts';
import type { Pod } from '../../fabric/pod.ts';
import { countAnswers, openFlows, startEcho, startPing } from '../../fabric/traffic.ts';
import { createVpc, type Vpc, type VpcRoute } from '../../fabric/vpc.ts';

const podNetwork = '10.244.0.0/16';
const subnetOfA = 'subnet-a';
const subnetOfB = 'subnet-b';
const toOne: VpcRoute = { destination: '10.244.1.0/24', target: { kind: 'nic', nicId: 'eni-1' } };
const toTwo: VpcRoute = { destination: '10.244.2.0/24', target: { kind: 'nic', nicId: 'eni-2' } };
const toThree: VpcRoute = { destination: '10.244.3.0/24', target: { kind: 'nic', nicId: 'eni-3' } };
const toOutside: VpcRoute = { destination: '0.0.0.0/0', target: { kind: 'gateway' } };
const allRoutes = [toOne, toTwo, toThree, toOutside];

let vpc: Vpc;
/** One and two are in subnet a, three is in subnet b. */
let one: Node;
let two: Node;
let three: Node;
let podOne: Pod;
let podTwo: Pod;
let podThree: Pod;

async function addNode(number: number, subnetId: string, address: string): Promise<Node> {
  const ids = { name: `node${number}`, instanceId: `i-${number}`, nicId: `eni-${number}` };
  const node = await createNode({ vpc, ...ids, subnetId, address, rpFilter: number === 1 ? 1 : 2, forwards: true });
  await node.ip(
    `link add cbr0 mtu ${vpc.mtu} type bridge`,
    `addr add 10.244.${number}.1/24 dev cbr0`,
    'link set cbr0 up',
  );
  return node;
}

beforeAll(async () => {
  vpc = await createVpc({
    cidr: '10.0.0.0/16',
    subnets: [
      { id: subnetOfA, cidr: '10.0.1.0/24' },
      { id: subnetOfB, cidr: '10.0.2.0/24' },
    ],
    mtu: 9001,
    allowedNetworks: [podNetwork],
  });
  await vpc.associate(subnetOfA, 'rtb-a');
  await vpc.associate(subnetOfB, 'rtb-b');
  one = await addNode(1, subnetOfA, '10.0.1.11');
  two = await addNode(2, subnetOfA, '10.0.1.12');
  three = await addNode(3, subnetOfB, '10.0.2.13');
  podOne = await one.addPod('pod', 'cbr0');
  podTwo = await two.addPod('pod', 'cbr0');
  podThree = await three.addPod('pod', 'cbr0');
});

beforeEach(async () => {
  for (const nicId of ['eni-1', 'eni-2', 'eni-3']) await vpc.setForwards(nicId, true);
  for (const table of ['rtb-a', 'rtb-b']) await vpc.setRoutes(table, allRoutes);
  await vpc.associate(subnetOfA, 'rtb-a');
  await vpc.setAllowedNetworks([podNetwork]);
});

afterAll(async () => {
  for (const node of [one, two, three]) await node.remove();
  await vpc.close();
});

describe('with every route and no check', () => {
  test('pods of one subnet and of two reach each other both ways', async () => {
    expect(await countAnswers({ from: podOne, to: podTwo })).toBe(10);
    expect(await countAnswers({ from: podTwo, to: podOne })).toBe(10);
    expect(await countAnswers({ from: podOne, to: podThree })).toBe(10);
    expect(await countAnswers({ from: podThree, to: podOne })).toBe(10);
  });

  test('packets as large as the MTU pass whole, and larger ones do not', async () => {
    expect(await countAnswers({ from: podOne, to: podThree, packetBytes: 9001 })).toBe(10);
    expect(await countAnswers({ from: podOne, to: podThree, packetBytes: 9002 }, 2)).toBe(0);
  });

  test('the receiver sees the address of the pod', async () => {
    const echo = await startEcho(podTwo);
    try {
      const flows = await openFlows({ from: podOne, to: podTwo });

      // In the order in which they began: on a busy machine a later one may be answered first.
      const begun = flows.toSorted((a, b) => a.at - b.at);
      expect(begun.map(({ protocol, seen }) => [protocol, seen])).toEqual([
        ['tcp', podOne.address],
        ['udp', podOne.address],
        ['tcp', podOne.address],
        ['udp', podOne.address],
      ]);
    } finally {
      await echo.stop();
    }
  });
});

describe('the source/destination check', () => {
  test('of the sender drops what pods send', async () => {
    await vpc.setForwards('eni-1', false);
    const before = await vpc.dropped();

    expect(await countAnswers({ from: podOne, to: podTwo })).toBe(0);

    expect((await vpc.dropped()).source_check - before.source_check).toBe(10);
  });

  test('of the receiver drops what is sent to pods', async () => {
    await vpc.setForwards('eni-2', false);
    const before = await vpc.dropped();

    expect(await countAnswers({ from: podOne, to: podTwo })).toBe(0);

    expect((await vpc.dropped()).destination_check - before.destination_check).toBe(10);
  });

  test('lets pass what nodes send each other', async () => {
    for (const nicId of ['eni-1', 'eni-2']) await vpc.setForwards(nicId, false);

    expect(await countAnswers({ from: one, to: two })).toBe(10);
  });

  test('is on for a new NIC', async () => {
    const four = await addNode(4, subnetOfB, '10.0.2.14');
    try {
      const podFour = await four.addPod('pod', 'cbr0');
      await vpc.setRoutes('rtb-a', [
        ...allRoutes,
        { destination: '10.244.4.0/24', target: { kind: 'nic', nicId: 'eni-4' } },
      ]);

      expect(await countAnswers({ from: podOne, to: podFour })).toBe(0);
    } finally {
      await four.remove();
    }
  });
});

describe('the route tables', () => {
  test('drop what has no route', async () => {
    await vpc.setRoutes('rtb-a', [toOne, toThree]);

    expect(await countAnswers({ from: podOne, to: podTwo })).toBe(0);
  });

  test('drop what has a blackhole for a route, though a wider route leads on', async () => {
    await vpc.setRoutes('rtb-a', [
      toOne,
      { destination: toTwo.destination, target: { kind: 'blackhole' } },
      { destination: podNetwork, target: { kind: 'nic', nicId: 'eni-2' } },
    ]);

    expect(await countAnswers({ from: podOne, to: podTwo })).toBe(0);
  });

  test('count by the subnet of the sender', async () => {
    await vpc.setRoutes('rtb-a', [toOne, toTwo]);

    // The way there is missing, though the receiver's subnet has it.
    expect(await countAnswers({ from: podOne, to: podThree })).toBe(0);

    await vpc.setRoutes('rtb-a', allRoutes);
    await vpc.setRoutes('rtb-b', [toThree]);

    // The way back is missing, though the sender's subnet has it.
    expect(await countAnswers({ from: podOne, to: podThree })).toBe(0);
  });

  test('lead each flow to one of several next hops of a destination', async () => {
    const target = { kind: 'ecmp', nicIds: ['eni-2', 'eni-3'] } as const;
    await vpc.setRoutes('rtb-a', [toOne, { destination: toTwo.destination, target }]);
    await vpc.setRoutes('rtb-b', [toOne]);
    const echo = await startEcho(podTwo);
    try {
      const flows = await openFlows({ from: podOne, to: podTwo, perSecond: 100 }, 40);

      // The pod is on one of the two: the flows that are led to the other one are lost, first packet and last.
      const answered = flows.filter(({ seen }) => seen === podOne.address).length;
      expect(answered).toBeGreaterThan(5);
      expect(answered).toBeLessThan(35);
    } finally {
      await echo.stop();
    }
  });

  test('lead all flows to the next hop that is left of several', async () => {
    const target = { kind: 'ecmp', nicIds: ['eni-2', 'eni-gone'] } as const;
    await vpc.setRoutes('rtb-a', [toOne, { destination: toTwo.destination, target }]);

    expect(await countAnswers({ from: podOne, to: podTwo })).toBe(10);
  });

  test('are left by a route through a neighbour no more than by any other', async () => {
    await vpc.setRoutes('rtb-a', [toOne]);
    await one.ip('route add 10.244.2.0/24 via 10.0.1.12 dev eth0');
    try {
      expect(await countAnswers({ from: one, to: two })).toBe(10);
      expect(await countAnswers({ from: podOne, to: podTwo })).toBe(0);
    } finally {
      await one.ip('route del 10.244.2.0/24');
    }
  });

  test('drop what goes to a NIC that is gone', async () => {
    const four = await addNode(4, subnetOfB, '10.0.2.14');
    const toFour: VpcRoute = { destination: '10.244.4.0/24', target: { kind: 'nic', nicId: 'eni-4' } };
    await vpc.setRoutes('rtb-a', [...allRoutes, toFour]);
    await four.remove();

    expect(await vpc.router.exec(['ip', 'route', 'show', 'table', 'all', '10.244.4.0/24'])).toMatch(/^blackhole/);
  });

  test('take hold for a whole subnet when it is associated', async () => {
    await vpc.setRoutes('rtb-empty', []);
    await vpc.associate(subnetOfA, 'rtb-empty');

    expect(await countAnswers({ from: podOne, to: podTwo })).toBe(0);
    expect(await countAnswers({ from: one, to: two })).toBe(10);
  });
});

describe('the security group', () => {
  test('drops what pods send while nobody has let their network in', async () => {
    await vpc.setAllowedNetworks([]);
    const before = await vpc.dropped();

    expect(await countAnswers({ from: podOne, to: podTwo })).toBe(0);

    expect((await vpc.dropped()).security_group - before.security_group).toBe(10);
    expect(await countAnswers({ from: one, to: two })).toBe(10);
  });
});

describe('the outside', () => {
  test('is reached by nodes, and by pods only under the address of their node', async () => {
    const echo = await startEcho(vpc.outside);
    try {
      const [flow] = await openFlows({ from: one, to: vpc.outside }, 1);
      expect(flow?.seen).toBe(one.address);

      const before = await vpc.dropped();
      expect(await countAnswers({ from: podOne, to: vpc.outside })).toBe(0);
      expect((await vpc.dropped()).not_a_node - before.not_a_node).toBe(10);

      await one.exec(['nft', '-f', '-'], {
        input: 'table ip own { chain post { type nat hook postrouting priority 100; oifname "eth0" masquerade; }; }',
      });
      const masqueraded = await openFlows({ from: podOne, to: vpc.outside }, 2);
      expect(masqueraded.map(({ seen }) => seen)).toEqual([one.address, one.address]);
    } finally {
      await one.tryExec(['nft', 'delete', 'table', 'ip', 'own']);
      await echo.stop();
    }
  });

  test('is not reached without a route to the gateway', async () => {
    await vpc.setRoutes('rtb-a', [toOne, toTwo]);

    expect(await countAnswers({ from: one, to: vpc.outside })).toBe(0);
  });
});

describe('a change while traffic flows', () => {
  test('shows as loss when a route is deleted and made again', async () => {
    const ping = startPing({ from: podOne, to: podTwo });
    await ping.flowing();

    await vpc.setRoutes('rtb-a', [toOne, toThree]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await vpc.setRoutes('rtb-a', allRoutes);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const report = await ping.stop();

    expect(report.lost).toBeGreaterThan(10);
    expect(report.gaps[0]?.ms).toBeGreaterThan(190);
  });

  test('loses nothing when a route is replaced in place, a table filled up or another one associated', async () => {
    const pings = [startPing({ from: podOne, to: podTwo }), startPing({ from: podTwo, to: podOne, packetBytes: 9001 })];
    for (const ping of pings) await ping.flowing();

    for (let round = 0; round < 5; round++) {
      await vpc.setRoutes('rtb-other', allRoutes);
      await vpc.associate(subnetOfA, 'rtb-other');
      await vpc.setRoutes('rtb-a', [toTwo, toOne]);
      await vpc.setRoutes('rtb-a', [toTwo, toOne, { ...toThree, target: { kind: 'blackhole' } }]);
      await vpc.associate(subnetOfA, 'rtb-a');
      await vpc.setRoutes('rtb-a', allRoutes);
      await vpc.setAllowedNetworks([podNetwork, '10.9.0.0/16']);
      await vpc.setForwards('eni-3', round % 2 === 1);
    }

    for (const ping of pings) expect(await ping.stop()).toMatchObject({ lost: 0, gaps: [] });
  });
});

describe('a node', () => {
  test('has the reverse path filter it was made with', async () => {
    const filters = async (node: Node) =>
      (await node.exec(['sysctl', '-n', 'net.ipv4.conf.all.rp_filter', 'net.ipv4.conf.eth0.rp_filter'])).split('\n');

    expect(await filters(one)).toEqual(['1', '1', '']);
    expect(await filters(two)).toEqual(['2', '2', '']);
  });

  test('has a /run of its own, which the rig can read', async () => {
    await one.exec(['sh', '-c', 'mkdir /run/flannel; echo FLANNEL_SUBNET=10.244.1.1/24 > /run/flannel/subnet.env']);

    expect(await one.subnetEnv()).toEqual({ FLANNEL_SUBNET: '10.244.1.1/24' });
    expect(await two.subnetEnv()).toBeUndefined();
  });

  test('reaches the rig, but no other node, by its management link', async () => {
    expect(await countAnswers({ from: one, to: { address: '172.31.255.1' } })).toBe(10);
    expect((await one.tryExec(['ip', 'route', 'get', two.managementAddress])).stdout).not.toContain('mgmt0');
  });

  test('ends its programs when they are killed, and tells how', async () => {
    const sleeper = one.spawn(['sleep', '600']);

    expect(await sleeper.kill('SIGKILL')).toBe('SIGKILL');
  });
});
