/** Bridge, sysctls, blackhole routes and the external interface on a real kernel. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { InterfaceSelection } from '../../../host/host.ts';
import { formatIp } from '../../../src/core/ip.ts';
import { address, cidr, createNode, stateWith, type TestNode } from './node.ts';

const noRules = { masquerade: undefined, forward: false };
const bridge = { name: 'cbr0', addresses: [address('10.5.42.1/24'), address('fd42:0:0:7::1/64')], mtu: 1460 };

let node: TestNode;

beforeEach(async () => {
  node = await createNode();
});
afterEach(() => node.close());

const addressesOf = (dev: string): Promise<string> => node.sh(`ip -br address show dev ${dev} scope global`);

test('makes the bridge with its addresses and MTU, and nothing the second time', async () => {
  const { changes } = await node.apply(stateWith(noRules, { bridge }), 'start');

  expect(await addressesOf('cbr0')).toMatch(/^cbr0 +\S+ +10\.5\.42\.1\/24 fd42:0:0:7::1\/64 *$/m);
  expect(await node.sh('ip -d link show dev cbr0')).toMatch(/[<,]UP[,>].* mtu 1460.*[\s\S]*\bbridge\b/);
  // No address is left waiting for a duplicate that can't answer.
  expect(await node.sh('ip address show dev cbr0 tentative scope global')).toBe('');
  expect(changes).toHaveLength(5);
  const links = await node.sh('ip address show');
  expect((await node.apply(stateWith(noRules, { bridge }), 'resync')).changes).toEqual([]);
  expect(await node.sh('ip address show')).toBe(links);
});

test("replaces an earlier subnet's addresses, keeps the bridge's ports", async () => {
  await node.sh(
    'ip link add cbr0 type bridge; ip address add 10.5.9.1/24 dev cbr0; ip -6 address add fd42:0:0:1::1/64 dev cbr0 nodad',
  );
  await node.sh(
    'ip link add pod0 type veth peer pod1; ip link set pod0 master cbr0; ip link set pod0 up; ip link set cbr0 up',
  );
  const { index } = await node.find(selectionOf({ ifaces: ['10.5.9.1'] }));

  await node.apply(stateWith(noRules, { bridge }), 'start');

  expect(await addressesOf('cbr0')).toMatch(/^cbr0 +\S+ +10\.5\.42\.1\/24 fd42:0:0:7::1\/64 *$/m);
  expect(await node.sh('ip -br link show master cbr0')).toMatch(/^pod0@pod1/);
  expect((await node.find(selectionOf({ ifaces: ['10.5.42.1'] }))).index).toBe(index);
});

test('brings a bridge back that somebody took down, stripped or deleted', async () => {
  await node.apply(stateWith(noRules, { bridge }), 'start');
  for (const damage of ['link set cbr0 down', 'address flush dev cbr0', 'link delete cbr0', 'link set cbr0 mtu 1400']) {
    await node.sh(`ip ${damage}`);

    await node.apply(stateWith(noRules, { bridge }), 'resync');

    expect(await addressesOf('cbr0')).toMatch(/^cbr0 +\S+ +10\.5\.42\.1\/24 fd42:0:0:7::1\/64 *$/m);
    expect(await node.sh('ip link show dev cbr0')).toMatch(/[<,]UP[,>].* mtu 1460 /);
  }
});

test('has its MTU also after the last port is gone', async () => {
  await node.apply(stateWith(noRules, { bridge: { ...bridge, mtu: 9001 } }), 'start');
  await node.sh(
    'ip link add pod0 mtu 9001 type veth peer pod1 mtu 9001; ip link set pod0 master cbr0; ip link delete pod0',
  );
  expect(await node.sh('cat /sys/class/net/cbr0/mtu')).toBe('9001\n');
});

test('has the link address of no port, and keeps it when ports come and go, also on a bridge of somebody else’s', async () => {
  const linkAddress = (): Promise<string> => node.sh('cat /sys/class/net/cbr0/address');
  const addPort = (name: string, address: string): Promise<string> =>
    node.sh(`ip link add ${name} address ${address} type veth peer ${name}x; ip link set ${name} master cbr0`);
  await node.apply(stateWith(noRules, { bridge }), 'start');
  const made = await linkAddress();
  await addPort('pod0', '02:00:00:00:00:01');
  expect(await linkAddress()).toBe(made);
  await node.sh('ip link delete pod0; ip link delete cbr0; ip link add cbr0 type bridge');
  await addPort('pod0', '02:00:00:00:00:01');
  await node.apply(stateWith(noRules, { bridge }), 'resync');
  await addPort('pod1', '02:00:00:00:00:02');
  await node.sh('ip link delete pod0');
  expect(await linkAddress()).toBe('02:00:00:00:00:01\n');
  expect((await node.apply(stateWith(noRules, { bridge }), 'resync')).changes).toEqual([]);
});

test('says what containers live on: its networks while the bridge has ports', async () => {
  expect(await node.networksInUse('cbr0')).toEqual([]);
  await node.apply(stateWith(noRules, { bridge }), 'start');
  expect(await node.networksInUse('cbr0')).toEqual([]);
  await node.sh('ip link add pod0 type veth peer pod1; ip link set pod0 master cbr0');
  expect(await node.networksInUse('cbr0')).toEqual(['10.5.42.0/24', 'fd42:0:0:7::/64']);
  await node.sh('ip link delete pod0');
  expect(await node.networksInUse('cbr0')).toEqual([]);
});

test('refuses a link of that name that is no bridge', async () => {
  await node.sh('ip link add cbr0 type veth peer other');
  const before = await node.sh('ip address');

  await expect(node.apply(stateWith(noRules, { bridge }), 'start')).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('veth'),
  });

  expect(await node.sh('ip address')).toBe(before);
});

test('turns forwarding on for the families asked for, and only then', async () => {
  await node.sh('echo 0 > /proc/sys/net/ipv4/ip_forward');

  const { changes, commands } = await node.apply(stateWith(noRules, { forwarding: [4] }), 'start');

  expect(changes).toEqual(['/proc/sys/net/ipv4/ip_forward: 1']);
  expect(await node.sh('cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding')).toBe('1\n0\n');
  expect((await node.apply(stateWith(noRules, { forwarding: [4] }), 'resync')).changes).toEqual([]);
  expect(commands.filter((command) => command.startsWith('ip '))).toEqual([]);
});

test('keeps an advertised IPv6 default route when it turns forwarding on', async () => {
  await node.sh('ip link add eth0 type veth peer eth1; ip link set eth0 up; ip link set eth1 up');
  await node.sh('ip -6 address add fe80::2/64 dev eth0 nodad; ip -6 route add default via fe80::1 dev eth0 proto ra');
  expect(await node.sh('cat /proc/sys/net/ipv6/conf/eth0/accept_ra')).toBe('1\n');

  const { changes } = await node.apply(stateWith(noRules, { forwarding: [4, 6] }), 'start');

  expect(changes.slice(-2)).toEqual([
    '/proc/sys/net/ipv6/conf/eth0/accept_ra: 2',
    '/proc/sys/net/ipv6/conf/all/forwarding: 1',
  ]);
  expect(await node.sh('cat /proc/sys/net/ipv6/conf/eth0/accept_ra')).toBe('2\n');
  expect(await node.sh('ip -6 route show default')).toContain('via fe80::1 dev eth0 proto ra');
});

/** Sends router advertisements; the lifetime in seconds is that of the default route, and 0 takes it back. */
const advertise = `import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, int(sys.argv[1]), 0, 0), ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))
`;

test('goes on hearing a real router’s advertisements, which switching forwarding on by hand would end', async () => {
  const router = await createNode();
  try {
    await router.sh(`ip link add eth0 type veth peer name eth0 netns ${node.name}; ip link set eth0 addrgenmode none`);
    await router.sh('ip link set eth0 up; ip address add fe80::1/64 dev eth0 nodad');
    await node.sh('ip link set eth0 addrgenmode none; ip link set eth0 up; ip address add fe80::2/64 dev eth0 nodad');
    const send = async (lifetime: number): Promise<void> => {
      await router.sh(`python3 -c '${advertise}' ${lifetime}`);
      await node.sh('sleep 0.2');
    };
    const defaults = (): Promise<string> => node.sh('ip -6 route show default');
    await send(1800);
    expect(await defaults()).toContain('via fe80::1 dev eth0 proto ra');

    await node.sh('echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    expect(await defaults()).toBe('');
    await node.sh('echo 0 > /proc/sys/net/ipv6/conf/all/forwarding');
    await send(1800);
    await node.apply(stateWith(noRules, { forwarding: [4, 6] }), 'start');

    expect(await defaults()).toContain('via fe80::1 dev eth0 proto ra');
    await send(0);
    expect(await defaults()).toBe('');
    await send(1800);
    expect(await defaults()).toContain('via fe80::1 dev eth0 proto ra');
  } finally {
    await router.close();
  }
});

test('adds blackhole routes at a resync, not at the start', async () => {
  const state = stateWith(noRules, { blackholeRoutes: [cidr('10.5.42.0/24'), cidr('fd42:0:0:7::/64')] });

  await node.apply(state, 'start');
  expect(await node.sh('ip route show type blackhole; ip -6 route show type blackhole')).toBe('');
  await node.apply(state, 'resync');
  expect(await node.sh('ip route show type blackhole')).toBe('blackhole 10.5.42.0/24 \n');
  expect(await node.sh('ip -6 route show type blackhole')).toMatch(/^blackhole fd42:0:0:7::\/64 /);
  expect((await node.apply(state, 'resync')).changes).toEqual([]);
});

test('does not let a blackhole cut off the pods of a bridge, whichever came first', async () => {
  const state = stateWith(noRules, { blackholeRoutes: [cidr('10.5.42.0/24')] });
  await node.apply(state, 'resync');
  await node.sh('ip link add docker0 type bridge; ip address add 10.5.42.1/24 dev docker0; ip link set docker0 up');

  await node.apply(state, 'resync');

  expect(await node.sh('ip route get 10.5.42.7')).toContain('dev docker0');
  expect((await node.apply(state, 'resync')).changes).toEqual([]);
  await node.sh('ip link delete docker0');
  await expect(node.sh('ip route get 10.5.42.7')).rejects.toThrow();
  await node.sh('ip link add docker0 type bridge; ip address add 10.5.42.1/24 dev docker0; ip link set docker0 up');
  await node.apply(state, 'resync');
  expect(await node.sh('ip route get 10.5.42.7')).toContain('dev docker0');
});

test('finds the interface of the default route with the lowest metric', async () => {
  await twoInterfaces();
  await node.sh(
    'ip route add default via 192.168.77.1 dev eth0 metric 200; ip route add default via 192.168.78.1 dev eth1 metric 100',
  );

  const found = await node.find(selectionOf({}));

  expect(found).toMatchObject({
    name: 'eth1',
    mtu: 1400,
    addresses: { 4: ip('192.168.78.11') },
    publicIps: { 4: ip('192.168.78.11') },
  });
});

test('finds the interface of a multipath default route, in both families', async () => {
  await twoInterfaces();
  await node.sh('ip route add default nexthop via 192.168.78.1 dev eth1 nexthop via 192.168.77.1 dev eth0');
  await node.sh('ip -6 route add default via fd78::1 dev eth1');

  const found = await node.find(selectionOf({ families: [4, 6] }));

  expect(found.name).toBe('eth1');
  expect(found.addresses[6] && formatIp(found.addresses[6])).toBe('fd78::11');
});

test('finds the interface and source address of the route to an address', async () => {
  await twoInterfaces();
  await node.sh('ip route add 203.0.113.0/24 via 192.168.78.1 dev eth1 src 192.168.78.12');

  expect(await node.find(selectionOf({ canReach: '203.0.113.9' }))).toMatchObject({
    name: 'eth1',
    addresses: { 4: ip('192.168.78.12') },
  });
  await expect(node.find(selectionOf({ canReach: '198.51.100.1' }))).rejects.toMatchObject({
    code: 'INTERFACE_NOT_FOUND',
  });
});

test('says what it saw when nothing fits', async () => {
  await twoInterfaces();

  await expect(node.find(selectionOf({}))).rejects.toMatchObject({
    code: 'INTERFACE_NOT_FOUND',
    message: 'no interface fits: default route: there is no IPv4 default route',
    hint: expect.stringContaining('eth1 (192.168.78.11 192.168.78.12 fd78::11'),
  });
});

async function twoInterfaces(): Promise<void> {
  await node.sh('ip link add eth0 type veth peer far0; ip link add eth1 mtu 1400 type veth peer far1 mtu 1400');
  await node.sh('for dev in eth0 eth1 far0 far1; do ip link set $dev up; done');
  await node.sh('ip address add 192.168.77.11/24 dev eth0; ip address add fd77::11/64 dev eth0 nodad');
  await node.sh(
    'ip address add 192.168.78.11/24 dev eth1; ip address add 192.168.78.12/24 dev eth1; ip address add fd78::11/64 dev eth1 nodad',
  );
}

function selectionOf(some: Partial<InterfaceSelection>): InterfaceSelection {
  return { ifaces: [], ifaceRegexes: [], canReach: '', publicIp: {}, families: [4], ...some };
}

function ip(text: string): unknown {
  return address(`${text}/32`).ip;
}
