/** IPv6 alone and dual stack, for the backends that need no cloud: the built program on two nodes with a real etcd. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createNamespace, type Namespace } from '../fabric/namespace.ts';
import { echoPort, openFlows, type Place, startEcho } from '../fabric/traffic.ts';
import { createHub, type Hub } from '../golden/hub.ts';
import { createMachine, type Started, startProgram } from '../golden/machine.ts';

const world = { 4: '192.168.77.1', 6: 'fd77::1' } as const;
type Family = keyof typeof world;

interface Node {
  readonly machine: Namespace;
  readonly agent: Started;
  readonly own: Readonly<Record<Family, string>>;
  /** subnet.env's variables. */
  env(): Promise<Readonly<Record<string, string>>>;
  /** A pod on the bridge with the subnet's second address of each family, answering. */
  addPod(): Promise<Readonly<Record<Family, Place>>>;
}

/** Whoever forwards a first IPv6 packet asks for its neighbour from its link-local address, and only from one that is no duplicate. */
const linkLocalReady =
  'for i in $(seq 100); do ip -6 address show tentative | grep -q . || exit 0; sleep 0.1; done; exit 1';

let hub: Hub;
let folder: string;
let runs = 0;
const made: Namespace[] = [];

beforeAll(async () => {
  hub = await createHub('families');
  await startEcho({ ...hub.namespace, address: world[4] }, echoPort, Object.values(world));
});
afterEach(async () => {
  for (const namespace of made.splice(0)) await namespace.remove();
  await hub.wipe();
  await rm(folder, { recursive: true, force: true });
});
afterAll(async () => await hub.stop());

async function storeNetConf(type: string, families: readonly Family[], nftables: boolean): Promise<void> {
  folder = join(tmpdir(), `families-${++runs}`);
  const conf = {
    ...{ Network: '10.5.0.0/16', EnableIPv4: families.includes(4), EnableNFTables: nftables },
    ...(families.includes(6) ? { EnableIPv6: true, IPv6Network: 'fd42::/48' } : {}),
    Backend: { Type: type },
  };
  await hub.etcd().put('/coreos.com/network/config', JSON.stringify(conf));
}

/** Link addresses differ from run to run: a namespace goes a little after it was removed, and answers for its own until then. */
async function joinNode(number: number, flags: readonly string[] = []): Promise<Node> {
  const own = { 4: `192.168.77.1${number}`, 6: `fd77::1${number}` };
  const nodeFolder = join(folder, `n${number}`);
  await mkdir(nodeFolder, { recursive: true });
  const ifaces = [
    {
      name: 'eth0',
      mac: `02:00:00:00:${10 + runs}:1${number}`,
      mtu: 1500,
      bridge: true,
      addrs: [`${own[4]}/24`, `${own[6]}/64`],
    },
  ];
  const name = `families-${runs}-n${number}`;
  const machine = await createMachine(hub, name, { ifaces, routes: [] }, nodeFolder);
  made.push(machine);
  const argv = [hub.fill('--etcd-endpoints={{ETCD}}'), '--ip-masq', '--bridge=cni0', '--iface=eth0', ...flags];
  const places = { node: name, folder: nodeFolder, nodeFolder };
  const agent = startProgram(machine, { argv: ['agent', ...argv], env: {}, ...places });
  await agent.process.waitForLog(/"msg":"ready"/, 30_000);
  const env = async (): Promise<Readonly<Record<string, string>>> =>
    Object.fromEntries(
      (await readFile(agent.subnetFile, 'utf8'))
        .trim()
        .split('\n')
        .map((line) => line.split('=')),
    );
  return {
    ...{ machine, agent, own, env },
    async addPod() {
      const { FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET } = await env();
      const pod = await createNamespace(`${name}-pod`);
      made.unshift(pod);
      await machine.ip(`link add pod0 type veth peer name eth0 netns ${pod.name}`, 'link set pod0 master cni0 up');
      await pod.ip('link set eth0 up');
      const second = (gateway: string): string => gateway.replace(/1\//, '2/');
      for (const gateway of [FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET].filter((text) => text !== undefined)) {
        const nodad = gateway.includes(':') ? ' nodad' : '';
        await pod.ip(
          `address add ${second(gateway)} dev eth0${nodad}`,
          `route add default via ${gateway.split('/')[0]}`,
        );
      }
      for (const one of [machine, pod]) await one.exec(['sh', '-c', linkLocalReady]);
      const place = (gateway = ''): Place => ({ ...pod, address: second(gateway).split('/')[0] ?? '' });
      await startEcho(place());
      return { 4: place(FLANNEL_SUBNET), 6: place(FLANNEL_IPV6_SUBNET) };
    },
  };
}

/** The addresses under which the receiver saw a few flows, TCP and UDP. */
async function seen(from: Place, address: string): Promise<readonly (string | undefined)[]> {
  return [...new Set((await openFlows({ from, to: { address } })).map((flow) => flow.seen ?? flow.problem))];
}

describe.each([
  ['alloc', [6], false],
  ['alloc', [4, 6], true],
  ['host-gw', [6], true],
  ['host-gw', [4, 6], false],
  ['vxlan', [6], false],
  ['vxlan', [4, 6], true],
] as const)('%s with families %j (nftables: %s)', (type, enabled, nftables) => {
  test('leases, subnet.env, bridges and rules are of these families, and pods reach each other and the world', async () => {
    const families: readonly Family[] = enabled;
    await storeNetConf(type, families, nftables);
    const nodes = [await joinNode(1), await joinNode(2)] as const;
    const [env, otherEnv] = [await nodes[0].env(), await nodes[1].env()];

    expect(Object.keys(env)).toEqual([
      ...(families.includes(4) ? ['FLANNEL_NETWORK', 'FLANNEL_SUBNET'] : []),
      ...['FLANNEL_IPV6_NETWORK', 'FLANNEL_IPV6_SUBNET', 'FLANNEL_MTU', 'FLANNEL_IPMASQ'],
    ]);
    // One node did not take the other's lease.
    expect(env['FLANNEL_IPV6_SUBNET']).not.toBe(otherEnv['FLANNEL_IPV6_SUBNET']);
    expect((await hub.entries()).filter(({ key }) => key.includes('/subnets/'))).toHaveLength(2);
    const rules = nftables
      ? ['nft list table ip flannel-ipv4', 'nft list table ip6 flannel-ipv6']
      : ['iptables-save', 'ip6tables-save'];
    const masqueraded = await Promise.all(
      rules.map(async (command) => /masquerade/i.test(await nodes[0].machine.exec(command.split(' ')))),
    );
    expect(masqueraded).toEqual([families.includes(4), true]);

    const pods = [await nodes[0].addPod(), await nodes[1].addPod()] as const;
    for (const family of families) {
      expect(await seen(pods[0][family], world[family])).toEqual([nodes[0].own[family]]);
      if (type === 'alloc') continue;
      expect(await seen(pods[0][family], pods[1][family].address)).toEqual([pods[0][family].address]);
      expect(await seen(pods[1][family], pods[0][family].address)).toEqual([pods[1][family].address]);
    }
  });
});

describe('while agents run', () => {
  test('a node that DHCP gives another address keeps its subnet, and its peers follow', async () => {
    await storeNetConf('host-gw', [4], false);
    const nodes = [await joinNode(1), await joinNode(2)] as const;
    const pods = [await nodes[0].addPod(), await nodes[1].addPod()] as const;
    const before = await nodes[1].env();
    expect(await seen(pods[0][4], pods[1][4].address)).toEqual([pods[0][4].address]);

    await nodes[1].machine.ip('address del 192.168.77.12/24 dev eth0', 'address add 192.168.77.13/24 dev eth0');
    await nodes[1].agent.process.waitForLog(/192\.168\.77\.13.*this node has another address/, 30_000);
    await nodes[0].machine.exec([
      ...[
        'sh',
        '-c',
        'for i in $(seq 200); do ip route | grep -q "via 192.168.77.13" && exit; sleep 0.1; done; exit 1',
      ],
    ]);
    await nodes[1].agent.process.waitForLog(/"msg":"ready"[\s\S]*another address[\s\S]*"msg":"ready"/, 30_000);

    expect(await nodes[1].env()).toEqual(before);
    expect(await seen(pods[0][4], pods[1][4].address)).toEqual([pods[0][4].address]);
    expect(await seen(pods[1][4], pods[0][4].address)).toEqual([pods[1][4].address]);
    expect(await seen(pods[1][4], world[4])).toEqual(['192.168.77.13']);
    expect(nodes[1].agent.exit()).toBeUndefined();
  });

  test('an interface that goes away and comes back brings its overlay back, under the link address peers know', async () => {
    await storeNetConf('vxlan', [4], true);
    const nodes = [await joinNode(1), await joinNode(2)] as const;
    const pods = [await nodes[0].addPod(), await nodes[1].addPod()] as const;
    const mac = await nodes[1].machine.exec(['cat', '/sys/class/net/flannel.1/address']);

    await nodes[1].machine.ip('link del eth0');
    await nodes[1].agent.process.waitForLog(/eth0 has lost 192\.168\.77\.12; waiting for it/, 30_000);
    await hub.namespace.ip(
      `link add back type veth peer name eth0 netns ${nodes[1].machine.name}`,
      'link set back master br0 up',
    );
    await nodes[1].machine.ip('address add 192.168.77.12/24 dev eth0', 'link set eth0 up');
    await nodes[1].agent.process.waitForLog(/the interface has its address again/, 30_000);
    await nodes[1].machine.exec([
      ...['sh', '-c', 'for i in $(seq 300); do ip route | grep -q "dev flannel.1" && exit; sleep 0.1; done; exit 1'],
    ]);

    expect(await nodes[1].machine.exec(['cat', '/sys/class/net/flannel.1/address'])).toBe(mac);
    expect(await seen(pods[0][4], pods[1][4].address)).toEqual([pods[0][4].address]);
    expect(await seen(pods[1][4], pods[0][4].address)).toEqual([pods[1][4].address]);
  });

  test('an interface that is chosen by name and has no address says so and takes no other', async () => {
    await storeNetConf('alloc', [4], false);
    const node = await joinNode(1, ['--healthz-port=8081', '--healthz-ip=127.0.0.1']);

    await node.machine.ip('address del 192.168.77.11/24 dev eth0');
    await node.agent.process.waitForLog(/eth0 has lost 192\.168\.77\.11; waiting for it/, 30_000);

    expect(node.agent.process.log()).toContain('eth0 has no usable IPv4 address');
    const readyz = `fetch('http://127.0.0.1:8081/readyz').then((answer) => console.log(answer.status))`;
    expect(await node.machine.exec([process.execPath, '-e', readyz])).toBe('503\n');
    expect(node.agent.exit()).toBeUndefined();
  });
});
