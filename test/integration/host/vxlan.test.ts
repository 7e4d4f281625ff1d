/** Vxlan devices and their entries on a real kernel: two machines on one link, and a crowd. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { PeerNetworkState } from '../../../host/host.ts';
import type { Lease } from '../../../lease/lease.ts';
import { vxlanSchema } from '../../../providers/vxlan/config.ts';
import { vxlan } from '../../../providers/vxlan/vxlan.ts';
import { formatIp, type Ip } from '../../../src/core/ip.ts';
import type { VxlanLink } from '../../../src/core/peer-network.ts';
import { ip } from '../../support/addresses.ts';
import { address, cidr, createNode, stateWith, type TestNode } from './node.ts';

const networks = {
  4: { network: cidr('10.5.0.0/16'), subnetLength: 24 },
  6: { network: cidr('fd42::/48'), subnetLength: 64 },
};

/** One machine of a small network, with a pod address behind it. */
interface Machine {
  readonly node: TestNode;
  readonly number: number;
  readonly lease: Lease;
  readonly links: readonly VxlanLink[];
}

const backend = vxlan(vxlanSchema.parse({}));
let nodes: TestNode[];

beforeEach(() => {
  nodes = [];
});
afterEach(async () => {
  for (const node of nodes) await node.close();
});

async function machine(number: number): Promise<TestNode> {
  const node = await createNode();
  nodes.push(node);
  await node.sh(
    `ip link add eth0 type veth peer peer0; ip address add 192.168.0.${number}/24 dev eth0; ip -6 address add fd77::${number}/64 dev eth0 nodad; ip link set eth0 up; ip link set peer0 up`,
  );
  return node;
}

/** Two machines whose interfaces are the ends of one wire. */
async function pair(): Promise<readonly [Machine, Machine]> {
  const [a, b] = [await createNode(), await createNode()];
  nodes.push(a, b);
  await a.sh(`ip link add eth0 type veth peer name eth0 netns ${b.name}`);
  const made = async (node: TestNode, number: number): Promise<Machine> => {
    await node.sh(
      `ip address add 192.168.0.${number}/24 dev eth0; ip -6 address add fd77::${number}/64 dev eth0 nodad; ip link set eth0 up`,
    );
    const subnets = { 4: cidr(`10.5.${number}.0/24`), 6: cidr(`fd42:0:0:${number}::/64`) };
    const { present: links } = await node.links(backend.links(external(number), macs(number)));
    await node.apply(
      stateWith(
        { families: { 4: { network: networks[4].network, subnet: subnets[4] } } },
        {
          overlay: { links, subnets },
          bridge: {
            name: 'cni0',
            addresses: [address(`10.5.${number}.1/24`), address(`fd42:0:0:${number}::1/64`)],
            mtu: 1450,
          },
        },
      ),
      'start',
    );
    const publicIps = external(number).publicIps;
    const attributes = { publicIps, backendType: 'vxlan', backendData: backend.leaseData(links) };
    return { node, number, links, lease: { subnets, attributes, reserved: false, revision: '1' } };
  };
  return [await made(a, 11), await made(b, 12)];
}

function external(number: number): {
  name: string;
  mtu: number;
  addresses: Record<4 | 6, Ip>;
  publicIps: Record<4 | 6, Ip>;
} {
  const addresses = { 4: ip(`192.168.0.${number}`), 6: ip(`fd77::${number}`) };
  return { name: 'eth0', mtu: 1500, addresses, publicIps: addresses };
}

const macs = (number: number) => ({ 4: `02:04:00:00:00:${number}`, 6: `02:06:00:00:00:${number}` });

function peersOf({ number, lease, links }: Machine, leases: readonly Lease[]): PeerNetworkState {
  const entries = backend.peers(leases, { external: external(number), own: lease, networks, onLink: [] });
  return { device: 'eth0', networks, links: links.map(({ name }) => name), ...entries };
}

const reaches = async (node: TestNode, from: string, to: string): Promise<boolean> =>
  await node.sh(`ping -c 2 -i 0.2 -W 1 -I ${from} ${to}`).then(
    () => true,
    () => false,
  );

test('two machines reach each other’s pods in both families, encapsulated, and not without their entries', async () => {
  const [a, b] = await pair();
  const both = [a.lease, b.lease];
  expect(await reaches(a.node, '10.5.11.1', '10.5.12.1')).toBe(false);
  await a.node.peerNetwork(peersOf(a, both));
  await b.node.peerNetwork(peersOf(b, both));

  expect(await reaches(a.node, '10.5.11.1', '10.5.12.1')).toBe(true);
  expect(await reaches(b.node, 'fd42:0:0:12::1', 'fd42:0:0:11::1')).toBe(true);
  expect(await a.node.sh('cat /sys/class/net/flannel.1/statistics/tx_packets')).not.toBe('0\n');

  await a.node.peerNetwork(peersOf(a, [a.lease]));
  expect(await reaches(a.node, '10.5.11.1', '10.5.12.1')).toBe(false);
  expect(
    await a.node.sh(
      'ip route show dev flannel.1; ip neigh show dev flannel.1 nud permanent; bridge fdb show dev flannel.1',
    ),
  ).toBe('');
});

test('a restart changes nothing, and starts one program to see that', async () => {
  const [a, b] = await pair();
  const wanted = peersOf(a, [a.lease, b.lease]);
  await a.node.peerNetwork(wanted);
  const seen = async (): Promise<string> =>
    // The kernel looks for a second whether its own link-local address is free.
    (await a.node.sh('ip -d address show flannel.1; ip route; bridge fdb show dev flannel.1')).replace(
      ' tentative',
      '',
    );
  const before = await seen();
  await a.node.restart();

  // Another address is only for a device that is not there.
  const again = await a.node.links(backend.links(external(11), { 4: '02:ff:00:00:00:01', 6: '02:ff:00:00:00:02' }));

  expect(again.changes).toEqual([]);
  expect(again.commands).toHaveLength(1);
  expect(again.present.map(({ mac }) => mac)).toEqual([macs(11)[4], macs(11)[6]]);
  expect((await a.node.peerNetwork(wanted)).changes).toEqual([]);
  expect(await seen()).toBe(before);
});

test('a device that somebody deletes comes back with its address, and its entries after it', async () => {
  const [a, b] = await pair();
  const wanted = peersOf(a, [a.lease, b.lease]);
  await a.node.peerNetwork(wanted);
  await b.node.peerNetwork(peersOf(b, [a.lease, b.lease]));
  await a.node.sh('ip link del flannel.1');

  const overlay = { links: a.links, subnets: a.lease.subnets };
  const { changes } = await a.node.apply(stateWith({}, { overlay }), 'resync');
  expect(changes.filter((change) => change.includes('flannel.1'))).toHaveLength(4);
  await a.node.peerNetwork(wanted);
  expect(await reaches(a.node, '10.5.11.1', '10.5.12.1')).toBe(true);
});

describe('what somebody else put on the machine', () => {
  test('stays: other vxlan devices, and routes to other networks', async () => {
    const node = await machine(11);
    await node.sh(
      'ip link add other type vxlan id 99 dstport 4789 local 192.168.0.11 dev eth0; ip link set other up; ip route add 10.9.0.0/16 dev other; bridge fdb add 0e:00:00:00:00:01 dev other dst 192.168.0.99',
    );
    const before = await node.sh('ip -d link show other; bridge fdb show dev other; ip route show dev other');
    const { present } = await node.links(backend.links(external(11), macs(11)));
    await node.peerNetwork({ device: 'eth0', networks, links: present.map(({ name }) => name), routes: [] });

    expect(await node.sh('ip -d link show other; bridge fdb show dev other; ip route show dev other')).toBe(before);
  });

  test('in the way by name is said in the kernel’s words', async () => {
    const node = await machine(11);
    await node.sh('ip link add flannel.1 type dummy 2>/dev/null || ip link add flannel.1 type bridge');
    await expect(node.links(backend.links(external(11), macs(11)))).rejects.toThrow(/File exists/);
  });
});

test('the networks that need no gateway are the interface’s own', async () => {
  const node = await machine(11);
  await node.sh(
    'ip route add 10.77.0.0/16 dev eth0; ip route add 10.88.0.0/16 via 192.168.0.1; ip route add blackhole 10.99.0.0/16',
  );
  expect((await node.onLinkNetworks('eth0')).toSorted()).toEqual(['10.77.0.0/16', '192.168.0.0/24', 'fd77::/64']);
});

test('4,000 peers take five programs, and three to see that all stands', async () => {
  const node = await machine(11);
  const { present: links } = await node.links(backend.links(external(11), macs(11)).slice(0, 1));
  const crowd = Array.from({ length: 4_000 }, (_, at): Lease => {
    const [high, low] = [at >> 8, at & 0xff];
    return {
      subnets: { 4: cidr(`10.${100 + high}.${low}.0/24`) },
      attributes: {
        publicIps: { 4: ip(`172.16.${high}.${low}`) },
        backendType: 'vxlan',
        backendData: {
          4: {
            VNI: 1,
            VtepMAC: `0e:00:00:00:${[high, low].map((part) => part.toString(16).padStart(2, '0')).join(':')}`,
          },
        },
      },
      reserved: false,
      revision: '1',
    };
  });
  const own = { subnets: { 4: cidr('10.5.11.0/24') } };
  const networks = { 4: { network: cidr('10.0.0.0/8'), subnetLength: 24 } };
  const entries = backend.peers(crowd, { external: external(11), own, networks, onLink: [] });
  const state = {
    device: 'eth0',
    networks,
    links: links.map(({ name }) => name),
    ...entries,
  };

  const first = await node.peerNetwork(state);
  expect(first.refused).toEqual([]);
  expect(first.changes).toHaveLength(12_000);
  expect(first.commands.map((command) => command.split(' ')[0])).toEqual(['ip', 'ip', 'bridge', 'bridge', 'ip']);
  const again = await node.peerNetwork(state);
  expect(again.changes).toEqual([]);
  expect(again.commands).toHaveLength(3);
  expect((await node.sh('ip route show dev flannel.1')).trim().split('\n')).toHaveLength(4_000);
  expect(formatIp(entries.routes[0]?.gateway ?? ip('0.0.0.0'))).toBe('10.100.0.0');
});
