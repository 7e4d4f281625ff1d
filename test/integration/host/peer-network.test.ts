/** Routes to peers on a real kernel. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { routesByEth0 } from '../../support/peer-network.ts';
import { createNode, type TestNode } from './node.ts';

let node: TestNode;

beforeEach(async () => {
  node = await createNode();
  await node.sh(
    'ip link add eth0 type veth peer peer0; ip address add 192.168.0.11/24 dev eth0; ip -6 address add fd77::11/64 dev eth0 nodad; ip link set eth0 up; ip link set peer0 up',
  );
});
afterEach(() => node.close());

const peerRoutes = async (): Promise<readonly string[]> =>
  (await node.sh('ip -4 route show via 192.168.0.0/24; ip -6 route show root fd42::/48'))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

test('adds, moves in place and removes, in both families, and does nothing the second time', async () => {
  const first = routesByEth0(
    ['10.5.1.0/24', '192.168.0.2'],
    ['10.5.2.0/24', '192.168.0.3'],
    ['fd42:0:0:1::/64', 'fd77::2'],
  );
  expect((await node.peerNetwork(first)).changes).toHaveLength(3);
  expect((await node.peerNetwork(first)).changes).toEqual([]);
  const second = routesByEth0(['10.5.1.0/24', '192.168.0.9']);
  expect((await node.peerNetwork(second)).changes).toHaveLength(3);
  expect(await peerRoutes()).toEqual(['10.5.1.0/24 via 192.168.0.9 dev eth0']);
});

test('one peer the kernel refuses keeps no other from its route, and is named', async () => {
  const { changes, refused } = await node.peerNetwork(
    routesByEth0(['10.5.1.0/24', '10.99.0.1'], ['10.5.2.0/24', '192.168.0.3']),
  );
  expect(changes).toEqual(['route replace 10.5.2.0/24 via 192.168.0.3 dev eth0']);
  expect(refused).toEqual([
    expect.stringMatching(/^route replace 10\.5\.1\.0\/24 via 10\.99\.0\.1 .*invalid gateway/i),
  ]);
  expect(await peerRoutes()).toEqual(['10.5.2.0/24 via 192.168.0.3 dev eth0']);
});

test('leaves routes of others, the pod network’s too', async () => {
  await node.sh(
    'ip route add 10.5.7.0/24 via 192.168.0.7 proto static; ip route add 10.5.8.0/25 via 192.168.0.8; ip route add 10.6.0.0/24 via 192.168.0.9',
  );
  const before = await peerRoutes();
  expect(before).toHaveLength(3);
  expect((await node.peerNetwork(routesByEth0())).changes).toEqual([]);
  expect(await peerRoutes()).toEqual(before);
});

test('250 routes take three programs: a read for each family and one batch', async () => {
  const many = Array.from({ length: 250 }, (_, at) => [`10.5.${at}.0/24`, '192.168.0.2'] as const);
  const { commands, changes } = await node.peerNetwork(routesByEth0(...many));
  expect(changes).toHaveLength(250);
  expect(commands).toHaveLength(3);
});
