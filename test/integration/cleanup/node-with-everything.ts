/** A node's namespace with things of others on it, all that this program makes beside them, and what can be seen of both. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeConflist } from '../../../host/cni-conflist.ts';
import type { HostState } from '../../../host/host.ts';
import { writeSubnetFile } from '../../../host/subnet-file.ts';
import type { VxlanLink } from '../../../src/core/peer-network.ts';
import { program } from '../../fabric/agent.ts';
import { assertInRig } from '../../fabric/rig.ts';
import { ip } from '../../support/addresses.ts';
import { address, cidr, createNode, dualStack, stateWith, type TestNode, withoutCounters } from '../host/node.ts';

export const conflist = '/run/cni/net.d/10-flannel-vpc.conflist';
export const folders = ['/run/flannel', '/run/cni'];

/** Packet rules by this. */
export type Renderer = 'iptables-nft' | 'iptables-legacy' | 'nftables';

const networks = {
  4: { network: cidr('10.5.0.0/16'), subnetLength: 24 },
  6: { network: cidr('fd42::/48'), subnetLength: 64 },
};
const subnets = [cidr('10.5.42.0/24'), cidr('fd42:0:0:7::/64')];
const links: readonly VxlanLink[] = [
  {
    ...{ name: 'flannel.1', vni: 1, port: 8472, mac: '0e:00:00:00:00:01', device: 'eth0', local: ip('192.168.0.11') },
    ...{ mtu: 1450, learning: false, gbp: false },
  },
];

/** A namespace with an interface, and in it, from the first moment on, what others made. */
export async function createForeignNode(renderer: Renderer): Promise<TestNode> {
  assertInRig();
  const node = await createNode({ iptables: renderer === 'iptables-legacy' ? 'legacy' : 'nft' });
  await node.sh(`
    echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
    echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
    ip link add eth0 type veth peer peer0
    ip address add 192.168.0.11/24 dev eth0; ip -6 address add fd77::11/64 dev eth0
    ip link set eth0 up; ip link set peer0 up
    ip address add 192.0.2.7/32 dev lo; ip address add 10.5.42.9/32 dev lo
    ip link add br0 type bridge; ip address add 172.20.0.1/24 dev br0; ip link set br0 up
    ip link set br0 alias 'the flannel-vpc of another department'
    ip link add vx0 type vxlan id 7 dstport 4789 local 192.168.0.11 dev eth0; ip link set vx0 up
    bridge fdb add 0e:00:00:00:00:99 dev vx0 dst 192.168.0.99
    ip route add 10.9.0.0/16 via 192.168.0.1; ip route add default via 192.168.0.1
    ip route add 10.5.200.0/24 via 192.168.0.1 proto static
    ip route add 10.5.64.0/18 via 192.168.0.1
    ip route add blackhole 10.66.0.0/24
    ip route add blackhole 10.5.99.0/24
    ip neigh add 192.168.0.77 lladdr 0e:00:00:00:00:77 dev eth0 nud permanent
    for tool in iptables ip6tables; do
      $tool -t nat -A POSTROUTING -o eth9 -m comment --comment 'flanneld masq, says another' -j MASQUERADE
      $tool -N FLANNEL-OTHER; $tool -A FLANNEL-OTHER -j RETURN
      $tool -A FORWARD -i eth9 -m comment --comment 'not of flanneld' -j FLANNEL-OTHER
    done
    nft 'add table ip flannel-ipv5 { chain forward { type filter hook forward priority 5; counter; }; }'`);
  await mkdir('/run/cni/net.d', { recursive: true });
  await writeFile('/run/cni/net.d/05-other.conflist', '{ "name": "other" }\n');
  return node;
}

/** All that this program makes on a node: by the host's own functions, as the agent calls them. */
export async function makeEverything(node: TestNode, renderer: Renderer): Promise<void> {
  await node.links(links);
  const state: HostState = stateWith(
    { families: dualStack, renderer: renderer === 'nftables' ? 'nftables' : 'iptables' },
    {
      forwarding: [4, 6],
      bridge: { name: 'cni0', addresses: [address('10.5.42.1/24'), address('fd42:0:0:7::1/64')], mtu: 1450 },
      overlay: { links, subnets: { 4: cidr('10.5.42.0/24') } },
      blackholeRoutes: subnets,
      probe: { subnets, networks },
    },
  );
  await node.apply(state, 'start');
  await node.apply(state, 'resync');
  await node.peerNetwork({
    ...{ device: 'eth0', networks, links: ['flannel.1'] },
    routes: [
      { destination: cidr('10.5.7.0/24'), gateway: ip('192.168.0.12'), device: 'eth0' },
      { destination: cidr('fd42:0:0:9::/64'), gateway: ip('fd77::12'), device: 'eth0' },
      { destination: cidr('10.5.8.0/24'), gateway: ip('10.5.8.0'), device: 'flannel.1', onLink: true },
    ],
    detours: [ip('10.5.9.0')],
    neighbours: [{ address: ip('10.5.8.0'), mac: '0e:00:00:00:00:08', device: 'flannel.1' }],
    forwarding: [{ mac: '0e:00:00:00:00:08', device: 'flannel.1', remote: ip('192.168.0.13') }],
  });
  const network = { 4: cidr('10.5.0.0/16'), 6: cidr('fd42::/48') };
  await writeSubnetFile('/run/flannel/subnet.env', {
    networks: network,
    subnets: { 4: address('10.5.42.1/24'), 6: address('fd42:0:0:7::1/64') },
    ...{ mtu: 1450, ipMasq: true },
  });
  await writeConflist(conflist, {
    ...{ bridge: 'cni0', mtu: 1450, networks: network, subnetFile: '/run/flannel/subnet.env' },
    subnets: { 4: cidr('10.5.42.0/24'), 6: cidr('fd42:0:0:7::/64') },
  });
  // What killed writers leave.
  await writeFile('/run/flannel/.subnet.env', 'FLANNEL_NETW');
  await writeFile('/run/cni/net.d/.10-flannel-vpc.conflist.tmp', '{');
  // With the kernel's route to a peer by a gateway it warns, and writes.
  await node.sh(`${program} docker-opts -k DOCKER_NETWORK_OPTIONS || true`);
}

/** Everything that can be seen on the node but sysctls, which stay: links, addresses, routes, neighbours, rules, files. */
export async function snapshot(node: TestNode): Promise<string> {
  const kernel = await node.sh(`
    ip -d -o link show; ip -o address show; ip -4 route show table all; ip -6 route show table all
    ip -4 rule; ip -6 rule; ip neigh show nud permanent; bridge fdb show
    for variant in nft legacy; do iptables-$variant-save; ip6tables-$variant-save; done
    nft list ruleset`);
  const files = await Promise.all([...folders, '/run/docker_opts.env'].map(listing));
  // A device index is not a trace: the kernel never gives one twice.
  return `${withoutCounters(kernel)
    .replace(/^\d+: /gm, '')
    .replace(/ tentative/g, '')
    .replace(/_timer +\S+/g, '')
    .replace(/packets \d+ bytes \d+/g, '')
    .replace(/^# Warning.*\n/gm, '')}${files.flat().join('\n')}`;
}

export async function removeFiles(): Promise<void> {
  for (const path of [...folders, '/run/docker_opts.env']) await rm(path, { recursive: true, force: true });
}

async function listing(path: string): Promise<readonly string[]> {
  const names = await readdir(path).catch(() => undefined);
  if (names === undefined)
    return await readFile(path, 'utf8').then(
      (text) => [`${path}: ${text}`],
      () => [],
    );
  const inside = await Promise.all(names.sort().map((name) => listing(join(path, name))));
  return [`${path}/`, ...inside.flat()];
}
