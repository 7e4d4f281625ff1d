/**
 * What a node that moves asks its peers by, on a real kernel: two machines with two wires between them. The peer's answers come in by the
 * second one, as those of a peer do that still sends by its overlay.
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { PeerNetworkState } from '../../../host/host.ts';
import { ip } from '../../support/addresses.ts';
import { cidr, createNode, type TestNode } from './node.ts';

const own = ip('10.5.11.0');
const peer = ip('10.5.12.0');
let here: TestNode;
let there: TestNode;

beforeEach(async () => {
  [here, there] = [await createNode(), await createNode()];
  for (const wire of ['eth0', 'over'])
    await here.sh(`ip link add ${wire} type veth peer name ${wire} netns ${there.name}`);
  for (const [node, number] of [
    [here, 11],
    [there, 12],
  ] as const)
    await node.sh(
      [
        'sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.over.rp_filter=0',
        `ip address add 192.168.0.${number}/24 dev eth0`,
        `ip address add 192.168.1.${number}/24 dev over`,
        `ip address add 10.5.${number}.0/32 dev lo`,
        'ip link set eth0 up',
        'ip link set over up',
      ].join('\n'),
    );
  await here.sh('ip route add default via 192.168.0.12 dev eth0');
  await there.sh('ip route add 10.5.11.0/24 via 192.168.1.11 dev over');
});
afterEach(async () => {
  for (const node of [here, there]) await node?.close();
});

/** The overlay's route leads to an address of the second wire: nobody's, or the peer's own. */
function stateBy(gateway: string, ...detours: PeerNetworkState['detours'] & object): PeerNetworkState {
  return {
    ...{
      device: 'eth0',
      networks: { 4: { network: cidr('10.5.0.0/16'), subnetLength: 24 } },
      links: ['over'],
      detours,
    },
    routes: [{ destination: cidr('10.5.12.0/24'), gateway: ip(gateway), device: 'over' }],
  };
}

test('a detour leads past a dead overlay, stands alone while it is asked for, and leaves nothing', async () => {
  await here.peerNetwork(stateBy('192.168.1.99'));
  const before = await here.sh('ip route');
  expect(await here.echoes({ from: own, to: peer, count: 2 })).toBe(0);

  const asked = await here.peerNetwork(stateBy('192.168.1.99', peer));
  expect(asked).toMatchObject({ refused: [], detoured: [peer] });
  expect(await here.sh('ip route get 10.5.12.0')).toContain('dev eth0');
  expect(await here.sh('ip route get 10.5.12.1')).toContain('dev over');
  // The answers come in by the other wire, which a socket that is bound to this one would not see.
  expect(await here.echoes({ from: own, to: peer, count: 3 })).toBe(3);
  expect((await here.peerNetwork(stateBy('192.168.1.99', peer))).changes).toEqual([]);

  await here.restart();
  await here.peerNetwork(stateBy('192.168.1.99'));
  expect(await here.sh('ip route')).toBe(before);
});

test('a route of somebody else to that address stays, and no way around is said to be none', async () => {
  await here.sh('ip route add 10.5.12.0/32 via 192.168.1.12 dev over proto static');
  const taken = await here.peerNetwork(stateBy('192.168.1.12', peer));
  expect(taken.detoured).toEqual([]);
  await here.peerNetwork(stateBy('192.168.1.12'));
  expect(await here.sh('ip route show 10.5.12.0/32')).toMatch(/dev over .*proto static/);

  await here.sh('ip route del 10.5.12.0/32; ip route del default');
  expect((await here.peerNetwork(stateBy('192.168.1.12', peer))).detoured).toEqual([]);
  // The overlay would answer, and prove nothing.
  expect(await here.echoes({ from: own, to: peer, count: 1 })).toBe(1);
});

test('strict filters drop such answers until they are loose; what is loose, off or not named stays as it is', async () => {
  await here.sh('sysctl -qw net.ipv4.conf.over.rp_filter=1');
  await here.peerNetwork(stateBy('192.168.1.99', peer));
  expect(await here.echoes({ from: own, to: peer, count: 2 })).toBe(0);

  expect(await here.loosen('over', 'eth0', 'gone0')).toEqual(['net.ipv4.conf.over.rp_filter=2']);
  expect(await here.echoes({ from: own, to: peer, count: 2 })).toBe(2);
  expect(await here.loosen('over', 'eth0')).toEqual([]);
  await here.sh('sysctl -qw net.ipv4.conf.all.rp_filter=1');
  expect(await here.loosen('eth0')).toEqual(['net.ipv4.conf.eth0.rp_filter=2']);
  expect((await here.sh('sysctl -n net.ipv4.conf.all.rp_filter net.ipv4.conf.lo.rp_filter')).split('\n')).toEqual([
    '1',
    '0',
    '',
  ]);
});
