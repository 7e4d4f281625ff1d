/** What `make test` says when a test has changed the machine's own network: here the rig is the machine. */
import { expect, test } from '@jest/globals';
import { machineChanges, readMachineState } from '../../../tools/machine-state.ts';
import { run } from '../../fabric/process.ts';

const sh = (command: string): Promise<string> => run(['sh', '-ec', command]);

test('says nothing where nothing changed, packets and counters aside', async () => {
  await sh(
    'iptables -A INPUT -s 172.31.0.9 -j DROP; nft "add table ip x; add chain ip x c { type filter hook input priority 0; }; add rule ip x c counter"',
  );
  try {
    const before = await readMachineState();
    await sh('ping -c 2 -i 0.01 127.0.0.1');
    expect(machineChanges(before, await readMachineState())).toEqual([]);
    expect(before.get('iptables-save')).toContain('-A INPUT -s 172.31.0.9/32 -j DROP');
    expect(before.get('nft list ruleset')).toContain('table ip x {');
  } finally {
    await sh('iptables -D INPUT -s 172.31.0.9 -j DROP; nft delete table ip x');
  }
});

test.each([
  ['a link', 'ip link add left-behind type bridge', 'ip link del left-behind', /link show: new: .*left-behind/],
  [
    'an address',
    'ip address add 10.99.0.1/32 dev lo',
    'ip address del 10.99.0.1/32 dev lo',
    /address show: new: .*10\.99\.0\.1/,
  ],
  [
    'a route',
    'ip route add blackhole 10.99.1.0/24',
    'ip route del blackhole 10.99.1.0/24',
    /route .*new: blackhole 10\.99\.1\.0\/24/,
  ],
  [
    'a rule of iptables',
    'iptables -A FORWARD -j ACCEPT',
    'iptables -D FORWARD -j ACCEPT',
    /iptables-save: new: -A FORWARD -j ACCEPT/,
  ],
  ['a table of nft', 'nft add table ip6 left', 'nft delete table ip6 left', /nft list ruleset: new: table ip6 left/],
  ['a namespace', 'ip netns add left-behind', 'ip netns del left-behind', /ip netns list: new: left-behind/],
  [
    'a switch',
    'echo 1 > /proc/sys/net/ipv4/ip_forward',
    'echo 0 > /proc/sys/net/ipv4/ip_forward',
    /ip_forward: new: 1/,
  ],
])('names %s that was left behind', async (_what, make, remove, words) => {
  // The first rule of a chain makes nft's chain as well, and leaves it.
  await sh(`${make}; ${remove}`);
  const before = await readMachineState();
  await sh(make);
  try {
    expect(machineChanges(before, await readMachineState()).join('\n')).toMatch(words);
  } finally {
    await sh(remove);
  }
  expect(machineChanges(before, await readMachineState())).toEqual([]);
});
