/** iptables next to other users of it, in both variants, and as old as it may be. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { cidr, createNode, dualStack, stateWith, type TestNode } from './node.ts';

let node: TestNode;
afterEach(() => node.close());

const other = { 4: { network: cidr('10.9.0.0/16'), subnet: cidr('10.9.1.0/24') } };

/** Both chains and the jumps to them, as text. */
const ours = (): Promise<string> =>
  node.sh(
    'iptables -t nat -S FLANNEL-POSTRTG; iptables -S FLANNEL-FWD; iptables -t nat -S POSTROUTING; iptables -S FORWARD',
  );

describe.each(['nft', 'legacy'] as const)('beside another user of iptables (%s)', (iptables) => {
  test('neither loses a rule while both write all the time', async () => {
    node = await createNode({ iptables });
    await node.apply(stateWith({}), 'start');
    const wanted = await ours();
    await node.sh('iptables -A FORWARD -s 172.30.0.0/16 -j DROP');
    const rule = 'POSTROUTING -s 172.31.0.0/16 -j MASQUERADE';
    const busy = node.sh(
      `for i in $(seq 150); do iptables -w -t nat -I ${rule}; iptables -w -t nat -C ${rule}; iptables -w -t nat -D ${rule}; done`,
    );
    let over = false;
    const ended = busy.finally(() => {
      over = true;
    });
    let rounds = 0;

    for (; !over; rounds++) {
      await node.apply(stateWith({ families: other }), 'start');
      await node.apply(stateWith({}), 'start');
      await node.sh('iptables -w -t nat -D FLANNEL-POSTRTG 2');
      await node.apply(stateWith({}), 'resync');
    }

    await ended;
    expect(rounds).toBeGreaterThan(2);
    expect(await node.sh('iptables -t nat -S POSTROUTING')).not.toContain('172.31.0.0/16');
    expect(await node.sh('iptables -S FORWARD')).toContain('-A FORWARD -s 172.30.0.0/16 -j DROP');
    await node.sh('iptables -D FORWARD -s 172.30.0.0/16 -j DROP');
    expect(await ours()).toBe(wanted);
  });
});

test('waits at a resync, too, for whoever holds the lock for seconds, and repairs then', async () => {
  node = await createNode({ iptables: 'legacy' });
  await node.apply(stateWith({}), 'start');
  await node.apply(stateWith({}), 'resync');
  const wanted = await ours();
  await node.sh('iptables -t nat -D FLANNEL-POSTRTG 2; touch /run/xtables.lock');
  const holder = node.sh('flock /run/xtables.lock sh -c "touch /run/held; sleep 3"; rm /run/held');
  await node.sh('while ! test -e /run/held; do sleep 0.02; done');
  const started = performance.now();

  const { changes } = await node.apply(stateWith({}), 'resync');

  expect(changes).toEqual(['iptables FLANNEL-POSTRTG: 1 missing rules restored']);
  expect(performance.now() - started).toBeGreaterThan(1_500);
  await holder;
  expect(await ours()).toBe(wanted);
});

test('does without --random-fully and -w where iptables is older than both', async () => {
  node = await createNode({ iptables: 'old' });
  await expect(node.sh('iptables -w -t nat -A POSTROUTING -j ACCEPT')).rejects.toThrow('unknown option');
  await expect(
    node.sh('printf "*nat\\n-A POSTROUTING -j MASQUERADE --random-fully\\nCOMMIT\\n" | iptables-restore --noflush'),
  ).rejects.toThrow('unknown option');

  await node.apply(stateWith({ families: dualStack }), 'start');

  const rules = await node.sh('iptables-save; ip6tables-save');
  expect(rules.match(/FLANNEL-POSTRTG .*-j MASQUERADE$/gm)).toHaveLength(4);
  await node.restart();
  expect((await node.apply(stateWith({ families: dualStack }), 'start')).changes).toEqual([]);
  await node.sh('iptables -t nat -D FLANNEL-POSTRTG 2');
  await node.apply(stateWith({ families: dualStack }), 'resync');
  expect((await node.sh('iptables -t nat -S FLANNEL-POSTRTG')).split('\n')).toHaveLength(8);
  expect((await node.apply(stateWith({ families: dualStack }), 'resync')).changes).toEqual([]);
});

const earlier = `*filter
:FLANNEL-FWD - [0:0]
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
COMMIT
`;

describe('the variant of iptables that is written', () => {
  test.each([
    ['nft', [], 'nft'],
    ['legacy', [], 'legacy'],
    ['nft', ['legacy'], 'legacy'],
    ['legacy', ['nft'], 'nft'],
    ['nft', ['nft', 'legacy'], 'nft'],
    ['legacy', ['nft', 'legacy'], 'legacy'],
  ] as const)('with %s by default and rules of others in %j is %s', async (iptables, foreign, wanted) => {
    node = await createNode({ iptables });
    // What an earlier run left in both must not stand twice.
    for (const variant of ['nft', 'legacy']) {
      await node.sh(`iptables-${variant}-restore --noflush <<'END'\n${earlier}END`);
    }
    for (const variant of foreign) await node.sh(`iptables-${variant} -A FORWARD -s 172.31.0.0/16 -j DROP`);

    await node.apply(stateWith({}), 'start');

    for (const variant of ['nft', 'legacy'] as const) {
      const saved = await node.sh(`iptables-${variant}-save`);
      expect([variant, saved.includes('FLANNEL-POSTRTG'), /flannel/i.test(saved)]).toEqual([
        variant,
        variant === wanted,
        variant === wanted,
      ]);
      expect(saved.includes('172.31.0.0/16')).toBe(foreign.some((one) => one === variant));
    }
  });
});
