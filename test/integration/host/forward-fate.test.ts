/** What is said of packets from pod to pod by reading the rules, against what the kernel does to such packets. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createPrograms, type Run } from '../../../host/exec.ts';
import { iptablesForwardFate } from '../../../host/iptables-fate.ts';
import { lookAtIptables } from '../../../host/iptables-look.ts';
import { createLinuxHost } from '../../../host/linux-host.ts';
import { nftForwardHooks, readNftRuleset } from '../../../host/nft-ruleset.ts';
import { missingRules } from '../../../host/rules-check.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createNamespace, type Namespace } from '../../fabric/namespace.ts';
import { run as runInRig } from '../../fabric/process.ts';
import { cidr } from '../../support/addresses.ts';
import { stateWith } from './node.ts';

const signal = new AbortController().signal;
const network = cidr('10.5.0.0/16');
const [cni0, eth0] = [new Set(['cni0']), new Set(['eth0'])];
/** What the pod sends, and the answer: to conntrack no new packet, and here looked at as one. */
const traffic = { network, in: cni0, out: eth0 };

let node: Namespace;
let pod: Namespace;
let peer: Namespace;
let run: Run;

beforeAll(async () => {
  [node, pod, peer] = [
    await createNamespace('fate-node'),
    await createNamespace('fate-pod'),
    await createNamespace('fate-peer'),
  ];
  await runInRig([
    'ip',
    'link',
    'add',
    'cni0',
    'netns',
    node.name,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    pod.name,
  ]);
  await runInRig([
    'ip',
    'link',
    'add',
    'eth0',
    'netns',
    node.name,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    peer.name,
  ]);
  await node.sysctl({ 'ipv4/ip_forward': 1, 'ipv4/conf/all/rp_filter': 0, 'ipv4/conf/default/rp_filter': 0 });
  await node.ip(
    'addr add 10.5.1.1/24 dev cni0',
    'link set cni0 up',
    'addr add 10.5.2.1/24 dev eth0',
    'link set eth0 up',
  );
  await pod.ip('addr add 10.5.1.2/24 dev eth0', 'link set eth0 up', 'route add default via 10.5.1.1');
  await peer.ip('addr add 10.5.2.2/24 dev eth0', 'link set eth0 up', 'route add default via 10.5.2.1');
  const programs = createPrograms();
  run = ([program, ...args], options) =>
    programs.run(['nsenter', `--net=/run/netns/${node.name}`, '--', program, ...args], options);
});

afterAll(async () => {
  for (const each of [node, pod, peer]) await each?.remove();
});

afterEach(async () => {
  await node.exec(['nft', 'flush ruleset']);
});

/** How every place that is asked ends, by the rules. */
async function fates(): Promise<readonly string[]> {
  const { chosen } = await lookAtIptables({ run, logger: silentLogger }, 4, signal);
  const iptables = iptablesForwardFate(chosen.saved, traffic);
  const hooks = nftForwardHooks(await readNftRuleset(run, signal), traffic);
  return [...(iptables ? [iptables.end] : []), ...hooks.map(({ fate }) => fate.end)];
}

/** Whether a packet from pod to pod gets through, and its answer. */
async function passes(expected: boolean): Promise<boolean> {
  const { code } = await pod.tryExec(['ping', '-n', '-c', '1', '-W', expected ? '10' : '0.5', '10.5.2.2']);
  return code === 0;
}

async function expectFate(end: 'accept' | 'drop'): Promise<void> {
  expect(await passes(end === 'accept')).toBe(end === 'accept');
  expect((await fates()).includes('drop')).toBe(end === 'drop');
}

test('without any rule packets pass', async () => {
  expect(await fates()).toEqual([]);
  await expectFate('accept');
});

describe('iptables', () => {
  test.each([
    ['drop', 'a policy of DROP', ':FORWARD DROP [0:0]'],
    ['accept', 'accepted before the policy', ':FORWARD DROP [0:0]\n-A FORWARD -s 10.5.0.0/16 -j ACCEPT'],
    [
      'accept',
      'accepted in a chain of its own',
      ':FORWARD DROP [0:0]\n:OURS - [0:0]\n-A FORWARD -m comment --comment "a -j DROP" -j OURS\n-A OURS -d 10.0.0.0/8 -j ACCEPT',
    ],
    [
      'drop',
      'only answers accepted',
      ':FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ],
    ['accept', 'invalid packets dropped', ':FORWARD ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate INVALID -j DROP'],
    [
      'drop',
      'another network accepted',
      ':FORWARD DROP [0:0]\n-A FORWARD -s 172.17.0.0/16 -j ACCEPT\n-A FORWARD -o docker0 -j ACCEPT',
    ],
    [
      'accept',
      'all but our network dropped',
      ':FORWARD ACCEPT [0:0]\n-A FORWARD ! -s 10.5.0.0/16 -j DROP\n-A FORWARD -i docker0 -j DROP',
    ],
    [
      'drop',
      'refused at the end',
      ':FORWARD ACCEPT [0:0]\n-A FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited',
    ],
    [
      'drop',
      'returned from a chain, then dropped',
      ':FORWARD ACCEPT [0:0]\n:A - [0:0]\n-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -j RETURN\n-A A -j ACCEPT',
    ],
    [
      'accept',
      'gone to a chain that ends',
      ':FORWARD ACCEPT [0:0]\n:A - [0:0]\n-A FORWARD -g A\n-A FORWARD -j DROP\n-A A -s 192.0.2.0/24 -j DROP',
    ],
    [
      'accept',
      'accepted by interface',
      ':FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A FORWARD -i cni+ ! -o docker0 -j ACCEPT',
    ],
    ['drop', 'another protocol accepted', ':FORWARD DROP [0:0]\n-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT'],
  ] as const)('%s: %s', async (end, _, rules) => {
    await node.exec(['iptables-restore'], { input: `*filter\n${rules}\nCOMMIT\n` });
    await expectFate(end);
  });
});

describe('nftables', () => {
  const chain = (rules: string, policy = 'drop', more = ''): string =>
    `table inet wall {\n${more}\nchain passing {\ntype filter hook forward priority 0; policy ${policy};\n${rules}\n}\n}\n`;

  test.each([
    ['drop', 'a policy of drop', chain('')],
    ['accept', 'accepted before the policy', chain('ip saddr 10.5.0.0/16 accept')],
    ['accept', 'accepted by a set', chain('ip daddr { 10.0.0.0/8, 192.168.0.0/16 } counter accept')],
    ['drop', 'another network accepted', chain('ip saddr 172.17.0.0/16 accept\niifname "docker0" accept')],
    ['accept', 'all but our network dropped', chain('ip saddr != 10.5.0.0/16 drop', 'accept')],
    ['drop', 'only answers accepted', chain('ct state established,related accept\nct state invalid drop')],
    [
      'drop',
      'only answers accepted, by a map',
      chain('ct state vmap { established : accept, related : accept, invalid : drop }'),
    ],
    ['accept', 'new packets accepted by a map', chain('ct state vmap { new : accept, established : accept }')],
    [
      'accept',
      'accepted by interface',
      chain('ct state established accept\niifname { "cni0", "docker0" } oifname "eth0" accept'),
    ],
    ['drop', 'accepted by interface the other way', chain('iifname "eth0" oifname "cni0" accept')],
    ['drop', 'translated packets accepted', chain('ct status dnat accept')],
    ['drop', 'IPv6 accepted', chain('meta nfproto ipv6 accept')],
    [
      'drop',
      'refused at the end',
      chain('ip6 daddr fd00::/8 accept\nreject with icmpx type admin-prohibited', 'accept'),
    ],
    ['accept', 'accepted in another chain', chain('jump pods', 'drop', 'chain pods {\nip daddr 10.5.0.0/16 accept\n}')],
    [
      'drop',
      'dropped in another chain',
      chain('jump pods', 'accept', 'chain pods {\nip daddr 10.5.0.0/16 log prefix "x" drop\n}'),
    ],
    [
      'accept',
      'dropped for IPv6 only',
      'table ip6 wall {\nchain passing {\ntype filter hook forward priority 0; policy drop;\n}\n}\n',
    ],
    [
      'drop',
      'accepted here and dropped there',
      `${chain('accept')}table ip other {\nchain passing {\ntype filter hook forward priority 10; policy drop;\n}\n}\n`,
    ],
  ] as const)('%s: %s', async (end, _, rules) => {
    await node.exec(['nft', '-f', '-'], { input: rules });
    await expectFate(end);
  });

  test('a condition that can’t be told decides nothing: accepted or not, it may be', async () => {
    const fate = async () => nftForwardHooks(await readNftRuleset(run, signal), traffic)[0]?.fate;
    await node.exec(['nft', '-f', '-'], { input: chain('rt classid 7 accept') });
    expect(await fate()).toEqual({ end: 'drop', mayAccept: true });
    await node.exec(['nft', 'flush ruleset']);
    // For a part of the packets it is told: the others are dropped.
    await node.exec(['nft', '-f', '-'], { input: chain('tcp dport 80 accept\nlimit rate 1/second accept') });
    expect(await fate()).toEqual({ end: 'drop', mayAccept: false });
  });

  test('an interface may be one of several, or not known', async () => {
    await node.exec(['nft', '-f', '-'], { input: chain('iifname "cni0" accept') });
    const ruleset = await readNftRuleset(run, signal);
    const of = (names: ReadonlySet<string> | undefined) => nftForwardHooks(ruleset, { ...traffic, in: names })[0]?.fate;
    expect(of(cni0)).toEqual({ end: 'accept', mayAccept: false });
    expect(of(eth0)).toEqual({ end: 'drop', mayAccept: false });
    expect(of(new Set(['cni0', 'cni1']))).toEqual({ end: 'drop', mayAccept: true });
    expect(of(undefined)).toEqual({ end: 'drop', mayAccept: true });
  });

  test('an accept of ours does not overrule iptables’ policy', async () => {
    await node.exec(['iptables', '-P', 'FORWARD', 'DROP']);
    await node.exec(['nft', '-f', '-'], { input: chain('accept') });
    await expectFate('drop');
  });
});

describe.each(['iptables', 'nftables'] as const)('our rules by %s', (renderer) => {
  const state = stateWith({ renderer });
  const missing = () => missingRules({ run, logger: silentLogger }, state.rules, signal);

  test('are all missing, then in place, then one is missing', async () => {
    expect((await missing()).length).toBeGreaterThan(0);
    await createLinuxHost({ logger: silentLogger, programs: { ...createPrograms(), run } }).apply(
      state,
      'start',
      signal,
    );
    expect(await missing()).toEqual([]);
    await (renderer === 'iptables'
      ? node.exec(['iptables', '-F', 'FLANNEL-FWD'])
      : node.exec(['nft', 'flush chain ip flannel-ipv4 forward']));
    expect(await missing()).toEqual([expect.stringMatching(/2 missing rules$/)]);
    // Looking repaired nothing.
    expect(await missing()).toHaveLength(1);
  });
});
