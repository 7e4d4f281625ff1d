/** Probes between two nodes on a real kernel: addresses, sockets, flannel's rules, and a translation on the way. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { HostState } from '../../../host/host.ts';
import { encodeRequest, groupId, networkId } from '../../../src/probe/message.ts';
import { address, cidr, createNode, type TestNode } from '../host/node.ts';

const program = fileURLToPath(new URL('probe-main.ts', import.meta.url));
const port = 8473;
const networks = {
  4: { network: cidr('10.5.0.0/16'), subnetLength: 24 },
  6: { network: cidr('fd42::/48'), subnetLength: 64 },
};
const families = [
  { network: '10.5.0.0/16', subnet: (node: number) => `10.5.${node}.0/24`, probe: (node: number) => `10.5.${node}.0` },
  {
    network: 'fd42::/48',
    subnet: (node: number) => `fd42:0:0:${node}::/64`,
    probe: (node: number) => `fd42::${node}:ffff:ffff:ffff:ffff`,
  },
] as const;
const [ipv4, ipv6] = families;

interface Prober {
  ask(line: string): Promise<unknown>;
  stop(): Promise<void>;
}

let nodes: readonly [TestNode, TestNode];
let probers: Prober[];

/** Everything an agent of a cloud has its host set up. */
function state(node: number, more: Partial<HostState> = {}): HostState {
  const subnets = [cidr(`10.5.${node}.0/24`), cidr(`fd42:0:0:${node}::/64`)] as const;
  return {
    forwarding: [4, 6],
    bridge: { name: 'cni0', addresses: [address(`10.5.${node}.1/24`), address(`fd42:0:0:${node}::1/64`)], mtu: 1_500 },
    rules: {
      renderer: 'iptables',
      masquerade: { randomFully: true, nonMasqueradeCidrs: [] },
      forward: true,
      families: {
        4: { network: networks[4].network, subnet: subnets[0] },
        6: { network: networks[6].network, subnet: subnets[1] },
      },
    },
    blackholeRoutes: [],
    probe: { subnets, networks },
    ...more,
  };
}

beforeEach(async () => {
  nodes = [await createNode(), await createNode()];
  probers = [];
  const [one, two] = nodes;
  // Looking for duplicates of the link-local addresses would take longer than a probe waits.
  for (const node of nodes) {
    await node.sh('sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0');
  }
  await one.sh(`ip link add eth0 type veth peer name eth0 netns ${two.name}`);
  for (const [node, own, peer] of [
    [one, 1, 2],
    [two, 2, 1],
  ] as const) {
    await node.sh(
      [
        `ip addr add 10.0.1.${own}/24 dev eth0; ip addr add fd01::${own}/64 dev eth0 nodad; ip link set eth0 up`,
        `ip route add 10.5.0.0/16 via 10.0.1.${peer}; ip route add fd42::/48 via fd01::${peer}`,
      ].join('; '),
    );
  }
  // A link that has just come up may drop the first neighbour solicitation, and a prober asks once here.
  for (const to of ['10.0.1.2', 'fd01::2']) {
    await one.sh(`for try in 1 2 3 4 5 6 7 8 9 10; do ping -n -q -c 1 -W 1 ${to} && exit 0; done; exit 1`);
  }
});

afterEach(async () => {
  for (const prober of probers) await prober.stop();
  for (const node of nodes) await node.close();
});

async function startProber(node: TestNode, subnet: string, network: string): Promise<Prober> {
  const argv = ['netns', 'exec', node.name, process.execPath, '--disable-warning=ExperimentalWarning', program];
  const child: ChildProcess = spawn('ip', [...argv, subnet, network, String(port)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  if (!child.stdout) throw new Error('no output');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => JSON.parse((await lines.next()).value ?? 'null');
  expect(await next()).toBe('open');
  const prober: Prober = {
    async ask(line) {
      child.stdin?.write(`${line}\n`);
      return await next();
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  probers.push(prober);
  return prober;
}

const both = async ({ subnet, network }: (typeof families)[number]): Promise<readonly [Prober, Prober]> => [
  await startProber(nodes[0], subnet(1), network),
  await startProber(nodes[1], subnet(2), network),
];

describe.each([
  ['IPv4', ipv4],
  ['IPv6', ipv6],
])('%s', (_, family) => {
  const { probe } = family;

  test('a peer answers and saw our own address, under flannel’s rules and beside the bridge', async () => {
    await nodes[0].apply(state(1), 'start');
    await nodes[1].apply(state(2), 'start');
    const [one, two] = await both(family);
    expect(await one.ask(`probe ${probe(2)}`)).toEqual({ seen: probe(1), group: groupId('here'), called: true });
    expect(await two.ask('heard')).toEqual([probe(1)]);
    expect(await one.ask(`ping ${probe(2)}`)).toBe(true);
  });

  test('the address works on a bridge that was there before it, and without one', async () => {
    await nodes[0].apply(state(1, { probe: undefined }), 'start');
    await nodes[0].apply(state(1), 'start');
    await nodes[1].apply(state(2, { bridge: undefined }), 'start');
    const [one, two] = await both(family);
    expect(await one.ask(`probe ${probe(2)}`)).toMatchObject({ seen: probe(1) });
    expect(await two.ask(`probe ${probe(1)}`)).toMatchObject({ seen: probe(2) });
    expect(await two.ask(`ping ${probe(1)}`)).toBe(true);
  });

  test('a masqueraded probe is answered, and the echo gives it away', async () => {
    await nodes[0].apply(state(1), 'start');
    await nodes[1].apply(state(2), 'start');
    const [one] = await both(family);
    const own = family === ipv4 ? '10.0.1.1' : 'fd01::1';
    await nodes[0].sh(
      'nft "add table inet other; add chain inet other post { type nat hook postrouting priority 50; }; add rule inet other post oifname eth0 masquerade"',
    );
    expect(await one.ask(`probe ${probe(2)}`)).toMatchObject({ seen: own });
  });

  test('a firewall that lets answers in and nothing else gives itself away, and one that remembers earlier probes too', async () => {
    await nodes[0].apply(state(1), 'start');
    await nodes[1].apply(state(2), 'start');
    const [one, two] = await both(family);
    expect(await one.ask(`probe ${probe(2)}`)).toMatchObject({ seen: probe(1), called: true });
    expect(await two.ask(`probe ${probe(1)}`)).toMatchObject({ seen: probe(2), called: true });
    await nodes[0].sh(
      'nft "add table inet wall; add chain inet wall in { type filter hook input priority 0; }; add rule inet wall in ct state established accept; add rule inet wall in iifname eth0 meta l4proto udp drop"',
    );
    expect(await one.ask(`probe ${probe(2)}`)).toMatchObject({ seen: probe(1), called: false });
    expect(await two.ask(`probe ${probe(1)}`)).toBeNull();
  });

  test('nobody answers where no agent is, though ping and machine do; nothing does where nothing is', async () => {
    await nodes[0].apply(state(1), 'start');
    await nodes[1].apply(state(2), 'start');
    const one = await startProber(nodes[0], family.subnet(1), family.network);
    const machine = family === ipv4 ? '10.0.1.2' : 'fd01::2';
    expect(await one.ask(`probe ${probe(2)}`)).toBeNull();
    expect(await one.ask(`ping ${probe(2)}`)).toBe(true);
    expect(await one.ask(`up ${machine} ${port}`)).toBe(true);
    await nodes[1].sh('ip link set eth0 down');
    expect(await one.ask(`ping ${probe(2)}`)).toBe(false);
    expect(await one.ask(`up ${machine} ${port}`)).toBe(false);
  });
});

test('a request from port 0, which can’t be answered, does no harm', async () => {
  await nodes[0].apply(state(1), 'start');
  await nodes[1].apply(state(2), 'start');
  const [one, two] = await both(ipv4);
  const request = encodeRequest(networkId(networks[4].network), '00'.repeat(16)).toString('hex');
  const send = [
    'import socket, struct, sys',
    `body = bytes.fromhex("${request}")`,
    's = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)',
    `s.bind(("${ipv4.probe(1)}", 0))`,
    `s.sendto(struct.pack("!HHHH", int(sys.argv[1]), ${port}, 8 + len(body), 0) + body, ("${ipv4.probe(2)}", 0))`,
  ].join('\n');
  // First from a port that can be answered: the packet is one that is heard.
  await nodes[0].sh(`python3 -c '${send}' 4000`);
  await nodes[0].sh(`python3 -c '${send}' 0`);
  expect(await one.ask(`probe ${ipv4.probe(2)}`)).toMatchObject({ called: true });
  expect(await two.ask('heard')).toEqual([ipv4.probe(1), ipv4.probe(1)]);
});

test('a node of another network gets no answer', async () => {
  await nodes[0].apply(state(1), 'start');
  await nodes[1].apply(state(2), 'start');
  const one = await startProber(nodes[0], ipv4.subnet(1), ipv4.network);
  await startProber(nodes[1], ipv4.subnet(2), '10.0.0.0/8');
  expect(await one.ask(`probe ${ipv4.probe(2)}`)).toBeNull();
});

test('the addresses are set once, come back, and follow the subnet; nothing is started while they are right', async () => {
  const [one] = nodes;
  const addresses = (): Promise<string> => one.sh('ip -br address show dev lo');
  const without = { bridge: undefined, forwarding: [] } as const;
  const { changes } = await one.apply(state(1, without), 'start');
  expect(changes.filter((change) => change.endsWith(' dev lo'))).toEqual([
    'address replace 10.5.1.0/32 dev lo',
    'address replace fd42::1:ffff:ffff:ffff:ffff/128 dev lo',
  ]);
  const again = await one.apply(state(1, without), 'start');
  expect(again.changes).toEqual([]);
  expect(again.commands.filter((command) => command.startsWith('ip '))).toEqual([]);
  await one.sh('ip address del 10.5.1.0/32 dev lo');
  expect((await one.apply(state(1, without), 'resync')).changes).toEqual(['address replace 10.5.1.0/32 dev lo']);
  await one.apply(state(3, without), 'start');
  expect(await addresses()).toMatch(/ 127\.0\.0\.1\/8 10\.5\.3\.0\/32 fd42::3:ffff:ffff:ffff:ffff\/128 ::1\/128 *$/m);
});

test('a state without probes leaves the loopback link alone', async () => {
  const [one] = nodes;
  await one.apply(state(1), 'start');
  const before = await one.sh('ip address show dev lo');
  await one.apply(state(3, { probe: undefined }), 'start');
  expect(await one.sh('ip address show dev lo')).toBe(before);
});
