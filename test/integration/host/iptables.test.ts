/** iptables rules on a real kernel, with both variants of the real programs. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { cidr as at, createNode, dualStack, stateWith, type TestNode, withoutCounters } from './node.ts';

const rulesAsRecorded = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:FLANNEL-FWD - [0:0]
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FLANNEL-FWD -s 10.5.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FLANNEL-FWD -d 10.5.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.5.42.0/24 -d 10.5.0.0/16 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.5.0.0/16 -d 10.5.42.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG ! -s 10.5.0.0/16 -d 10.5.42.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.5.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s 10.5.0.0/16 -d 10.5.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
COMMIT
`;

/** Rules of others around every place ours go to, odd comments among them. */
const foreignRules = `*nat
:KUBE-POSTROUTING - [0:0]
-A POSTROUTING -m comment --comment "kubernetes \\"rules\\" -j FLANNEL-POSTRTG" -j KUBE-POSTROUTING
-A POSTROUTING -s 172.31.0.0/16 -j MASQUERADE
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
COMMIT
*filter
:FORWARD DROP [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A FORWARD -s 172.31.0.0/16 -m comment --comment flanneld -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
*mangle
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
`;

describe.each(['nft', 'legacy'] as const)('iptables (%s)', (variant) => {
  let node: TestNode;

  beforeEach(async () => {
    node = await createNode({ iptables: variant });
  });
  afterEach(() => node.close());

  const save = async (tool = 'iptables-save'): Promise<string> => sortTables(withoutCounters(await node.sh(tool)));
  /** All but our chains, their rules and the jumps to them. */
  const foreign = async (): Promise<string> =>
    (await save()).replace(/^(?::FLANNEL-|-A FLANNEL-|.* "flanneld (?:masq|forward)" -j FLANNEL-).*\n/gm, '');

  test('writes the rules flannel writes', async () => {
    const { changes } = await node.apply(stateWith({}), 'start');

    expect(await save()).toBe(rulesAsRecorded);
    expect(changes).toEqual([
      'iptables FLANNEL-POSTRTG: 6 rules written',
      'iptables POSTROUTING: jump to FLANNEL-POSTRTG added',
      'iptables FLANNEL-FWD: 2 rules written',
      'iptables FORWARD: jump to FLANNEL-FWD added',
    ]);
    expect(await node.sh('ip6tables-save')).toBe('');
  });

  test('writes both families with one restore each', async () => {
    const { commands } = await node.apply(stateWith({ families: dualStack }), 'start');

    expect(await save()).toBe(rulesAsRecorded);
    expect(await save('ip6tables-save')).toBe(
      rulesAsRecorded
        .replaceAll('10.5.42.0/24', 'fd42:0:0:7::/64')
        .replaceAll('10.5.0.0/16', 'fd42::/48')
        .replaceAll('224.0.0.0/4', 'ff00::/8'),
    );
    expect(commands.filter((command) => command.includes('-restore'))).toHaveLength(2);
  });

  test('writes nothing the second time, after a restart too', async () => {
    await node.apply(stateWith({ families: dualStack }), 'start');
    await node.sh('ping -c1 -W1 127.0.0.1 >/dev/null');
    const before = await node.sh('iptables-save -c; nft -a list ruleset');

    await node.restart();
    const { changes, commands } = await node.apply(stateWith({ families: dualStack }), 'start');

    expect(changes).toEqual([]);
    expect(commands.filter((command) => command.includes('-restore'))).toEqual([]);
    expect(withoutDates(await node.sh('iptables-save -c; nft -a list ruleset'))).toBe(withoutDates(before));
  });

  test('resyncs with one program that writes nothing, as long as all is there', async () => {
    await node.apply(stateWith({}), 'start');
    await node.apply(stateWith({}), 'resync');
    const before = await node.sh('nft -a list ruleset');

    const { changes, commands } = await node.apply(stateWith({}), 'resync');

    expect(changes).toEqual([]);
    expect(commands).toEqual(['iptables-restore --noflush -w 20']);
    expect(await node.sh('nft -a list ruleset')).toBe(before);
  });

  test('leaves no process behind when it is killed', async () => {
    await node.apply(stateWith({}), 'start');
    await node.apply(stateWith({}), 'resync');
    expect(await node.sh('pgrep -fc "^sh -c input="')).not.toBe('0\n');

    await node.restart();

    await node.sh('for i in $(seq 100); do pgrep -f "^sh -c input=" >/dev/null || exit 0; sleep 0.02; done; exit 1');
  });

  test('leaves the rules of others as they are, in their order, and puts its jumps last', async () => {
    await node.sh(`iptables-restore --noflush <<'END'\n${foreignRules}END`);
    const before = await save();

    await node.apply(stateWith({}), 'start');
    await node.apply(stateWith({}), 'resync');

    expect(await foreign()).toBe(before);
    expect(await node.sh('iptables -t nat -S POSTROUTING | tail -1')).toContain('-j FLANNEL-POSTRTG');
    await node.apply(stateWith({ masquerade: undefined, forward: false }), 'start');
    expect(await save()).toBe(before);
  });

  test('keeps its jump where it is when others add theirs behind it', async () => {
    await node.apply(stateWith({}), 'start');
    await node.sh('iptables -t nat -A POSTROUTING -s 172.31.0.0/16 -j MASQUERADE');
    await node.sh('iptables -t nat -D FLANNEL-POSTRTG 3');
    const order = await node.sh('iptables -t nat -S POSTROUTING');

    await node.apply(stateWith({}), 'resync');
    await node.restart();
    await node.apply(stateWith({}), 'start');

    expect(await node.sh('iptables -t nat -S POSTROUTING')).toBe(order);
  });

  test.each([
    ['one rule', 'iptables -t nat -D FLANNEL-POSTRTG 3'],
    ['the content of a chain', 'iptables -F FLANNEL-FWD'],
    ['a jump', 'iptables -t nat -F POSTROUTING'],
    ['chains and all', 'iptables -t nat -F; iptables -t nat -X FLANNEL-POSTRTG; iptables -F; iptables -X FLANNEL-FWD'],
  ])('restores %s at a resync, in order', async (_what, damage) => {
    await node.apply(stateWith({}), 'start');
    await node.apply(stateWith({}), 'resync');
    await node.sh(damage);

    const { changes } = await node.apply(stateWith({}), 'resync');

    expect(await save()).toBe(rulesAsRecorded);
    expect(changes).not.toEqual([]);
    expect((await node.apply(stateWith({}), 'resync')).changes).toEqual([]);
  });

  test('resyncs a host it has not started on', async () => {
    const { changes } = await node.apply(stateWith({}), 'resync');

    expect(changes).toHaveLength(4);
    expect(await save()).toBe(rulesAsRecorded);
  });

  test("keeps somebody's rule in its chain at a resync and takes the chain back at a start", async () => {
    const alien = '-A FLANNEL-POSTRTG -s 1.2.3.4/32 -j RETURN\n';
    await node.apply(stateWith({}), 'start');
    await node.sh('iptables -t nat -I FLANNEL-POSTRTG 1 -s 1.2.3.4 -j RETURN');

    await node.apply(stateWith({}), 'resync');
    expect(await save()).toContain(alien);
    await node.sh('iptables -t nat -D FLANNEL-POSTRTG 4');
    await node.apply(stateWith({}), 'resync');
    expect((await save()).replace(alien, '')).toBe(rulesAsRecorded);
    expect(await save()).toContain(alien);

    await node.restart();
    await node.apply(stateWith({}), 'start');
    expect(await save()).toBe(rulesAsRecorded);
  });

  test('replaces the rules of an earlier subnet and network', async () => {
    await node.apply(stateWith({}), 'start');
    await node.restart();
    const families = { 4: { network: at('10.9.0.0/16'), subnet: at('10.9.1.0/24') } };

    await node.apply(stateWith({ families }), 'start');

    expect(await save()).toBe(
      rulesAsRecorded.replaceAll('10.5.42.0/24', '10.9.1.0/24').replaceAll('10.5.0.0/16', '10.9.0.0/16'),
    );
  });

  test('removes what is switched off: masquerade, forward rules, a family', async () => {
    await node.apply(stateWith({ families: dualStack }), 'start');
    await node.restart();

    await node.apply(stateWith({ masquerade: undefined }), 'start');

    expect(await save()).toBe(rulesAsRecorded.replace(/^.*(?:FLANNEL-POSTRTG|"flanneld masq").*\n/gm, ''));
    expect(await save('ip6tables-save')).not.toMatch(/flannel/i);
    await node.apply(stateWith({ masquerade: undefined, forward: false }), 'start');
    expect(await save()).not.toMatch(/flannel/i);
  });

  test('removes the rules that flannel before its own chains left in front', async () => {
    await node.sh(`iptables-restore --noflush <<'END'
*nat
-A POSTROUTING -s 10.5.0.0/16 -d 10.5.0.0/16 -m comment --comment "flanneld masq" -j RETURN
-A POSTROUTING -s 10.5.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
-A POSTROUTING ! -s 10.5.0.0/16 -d 10.5.42.0/24 -m comment --comment "flanneld masq" -j RETURN
-A POSTROUTING ! -s 10.5.0.0/16 -d 10.5.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
COMMIT
*filter
-A FORWARD -s 10.5.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FORWARD -d 10.5.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
COMMIT
END`);

    await node.apply(stateWith({}), 'start');

    expect(await save()).toBe(rulesAsRecorded);
  });

  test('leaves one jump where several were', async () => {
    await node.apply(stateWith({}), 'start');
    await node.sh('iptables -t nat -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG');
    await node.restart();

    await node.apply(stateWith({}), 'start');

    expect(await save()).toBe(rulesAsRecorded);
  });

  test("empties, and keeps, a chain that somebody else's rule still jumps to", async () => {
    await node.apply(stateWith({}), 'start');
    await node.sh('iptables -N OTHER; iptables -A OTHER -j FLANNEL-FWD');

    await node.apply(stateWith({ forward: false }), 'start');

    expect(await node.sh('iptables -S OTHER')).toContain('-A OTHER -j FLANNEL-FWD');
    expect(await node.sh('iptables -S FLANNEL-FWD')).toBe('-N FLANNEL-FWD\n');
    expect((await node.apply(stateWith({ forward: false }), 'start')).changes).toEqual([]);
  });

  test('exempts the networks asked for, right before the masquerade', async () => {
    const masquerade = {
      randomFully: false,
      nonMasqueradeCidrs: [at('192.168.0.0/16'), at('fd00:1::/32'), at('192.168.0.0/16')],
    };
    await node.apply(stateWith({ masquerade }), 'start');

    expect((await node.sh('iptables -t nat -S FLANNEL-POSTRTG')).split('\n').slice(5, 8)).toEqual([
      '-A FLANNEL-POSTRTG -s 10.5.0.0/16 -d 192.168.0.0/16 -m comment --comment "flanneld masq" -j RETURN',
      '-A FLANNEL-POSTRTG -s 10.5.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE',
      '-A FLANNEL-POSTRTG ! -s 10.5.0.0/16 -d 10.5.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE',
    ]);
    expect((await node.apply(stateWith({ masquerade }), 'start')).changes).toEqual([]);
    await node.apply(stateWith({ masquerade }), 'resync');
    expect((await node.apply(stateWith({ masquerade }), 'resync')).commands).toHaveLength(1);
  });

  test('converges after a death at any of its programs, and never leaves less than it found', async () => {
    const before = stateWith({ families: { 4: { network: at('10.9.0.0/16'), subnet: at('10.9.1.0/24') } } });
    await node.apply(before, 'start');
    for (let at_ = 0, died = true; died; at_++) {
      died = await node.applyAndDie(stateWith({}), 'start', at_);
      // The program that was started meanwhile may still be at work.
      await node.sh('while pgrep -f "tables-(restore|save)|^nft" >/dev/null; do sleep 0.01; done');
      const masquerades = (await node.sh('iptables -t nat -S FLANNEL-POSTRTG')).match(/-j MASQUERADE/g);
      expect(masquerades).toHaveLength(2);
      expect(at_).toBeLessThan(12);
    }

    expect(await save()).toBe(rulesAsRecorded);
    expect((await node.apply(stateWith({}), 'start')).changes).toEqual([]);
  });
});

test('waits for the xtables lock that another program holds', async () => {
  const node = await createNode({ iptables: 'legacy' });
  try {
    await node.sh('touch /run/xtables.lock');
    const holder = node.sh('flock /run/xtables.lock sh -c "touch /run/held; sleep 1.5; date +%s%N > /run/released"');
    await node.sh('while ! test -e /run/held; do sleep 0.02; done');

    await node.apply(stateWith({}), 'start');

    // The lock was free before the rules were written.
    expect(await node.sh('cat /run/released')).not.toBe('');
    await holder;
    expect(sortTables(withoutCounters(await node.sh('iptables-save')))).toBe(rulesAsRecorded);
  } finally {
    await node.sh('rm -f /run/held /run/released');
    await node.close();
  }
});

test('uses the variant that holds the rules of the host, and takes its own out of the other', async () => {
  const node = await createNode({ iptables: 'nft' });
  try {
    await node.apply(stateWith({}), 'start');
    await node.sh('iptables-legacy -A FORWARD -s 172.31.0.0/16 -j DROP');
    await node.restart();

    await node.apply(stateWith({}), 'start');

    expect(await node.sh('iptables-nft-save')).not.toMatch(/flannel/i);
    expect(await node.sh('iptables-legacy-save')).toContain(
      '-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD',
    );
    const { commands } = await node.apply(stateWith({}), 'resync');
    expect(new Set(commands)).toEqual(new Set(['iptables-legacy-restore --noflush -w 20']));
  } finally {
    await node.close();
  }
});

test('names the package when iptables is not installed, nor nft', async () => {
  const node = await createNode({ missing: ['iptables', 'ip6tables', 'nft'] });
  try {
    await expect(node.apply(stateWith({}), 'start')).rejects.toMatchObject({
      code: 'HOST_COMMAND_FAILED',
      message: expect.stringContaining('is not installed'),
      hint: expect.stringContaining('iptables'),
    });
    // With nothing wanted of it, it is not missed.
    await node.apply(stateWith({ masquerade: undefined, forward: false }), 'start');
  } finally {
    await node.close();
  }
});

test('has nft write the rules where iptables is not installed', async () => {
  const node = await createNode({ missing: ['iptables', 'ip6tables'] });
  try {
    const { logs } = await node.apply(stateWith({}), 'start');

    expect(logs.join()).toContain('iptables is not installed here');
    expect(await node.sh('nft list table ip flannel-ipv4')).toContain('masquerade fully-random');
    await node.sh('nft flush chain ip flannel-ipv4 postrtg');
    expect((await node.apply(stateWith({}), 'resync')).changes).toHaveLength(1);
    expect(await node.sh('nft list table ip flannel-ipv4')).toContain('masquerade fully-random');
    // It is said once.
    expect((await node.apply(stateWith({}), 'start')).logs).toEqual([]);
  } finally {
    await node.close();
  }
});

test('says that a table with rules of nft itself is out of reach for iptables', async () => {
  const node = await createNode({ iptables: 'nft' });
  try {
    await node.sh(
      'nft "table ip filter { chain FORWARD { type filter hook forward priority 0; ct state vmap { established : accept, invalid : drop }; }; }"',
    );

    await expect(node.apply(stateWith({}), 'start')).rejects.toMatchObject({
      code: 'HOST_COMMAND_FAILED',
      hint: expect.stringContaining('EnableNFTables'),
    });
  } finally {
    await node.close();
  }
});

/** The legacy programs print tables in the order of their first use. */
function sortTables(save: string): string {
  return (save.match(/^\*[\s\S]*?^COMMIT\n/gm) ?? []).sort().join('');
}

function withoutDates(text: string): string {
  return text.replace(/^# (?:Generated|Completed).*\n/gm, '');
}
