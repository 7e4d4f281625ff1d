/** nftables rules on a real kernel, with the real nft. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { cidr, createNode, dualStack, stateWith, type TestNode } from './node.ts';

const ipv4Table = `table ip flannel-ipv4 {
	comment "rules for flannel-ipv4"
	chain postrtg {
		comment "chain to manage traffic masquerading by flannel"
		type nat hook postrouting priority srcnat; policy accept;
		meta mark & 0x00004000 == 0x00004000 return
		ip saddr 10.5.42.0/24 ip daddr 10.5.0.0/16 return
		ip saddr 10.5.0.0/16 ip daddr 10.5.42.0/24 return
		ip saddr != 10.5.0.0/16 ip daddr 10.5.42.0/24 return
		ip saddr 10.5.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random
		ip saddr != 10.5.0.0/16 ip daddr 10.5.0.0/16 masquerade fully-random
	}

	chain forward {
		comment "chain to accept flannel traffic"
		type filter hook forward priority filter; policy accept;
		ip saddr 10.5.0.0/16 accept
		ip daddr 10.5.0.0/16 accept
	}
}
`;

const emptyIpv6Table = `table ip6 flannel-ipv6 {
	comment "rules for flannel-ipv6"
}
`;

const wanted = stateWith({ renderer: 'nftables' });

describe('nftables', () => {
  let node: TestNode;

  beforeEach(async () => {
    node = await createNode();
  });
  afterEach(() => node.close());

  const ruleset = (): Promise<string> => node.sh('nft list ruleset');

  test("writes flannel's tables, with its mistakes mended", async () => {
    await node.apply(wanted, 'start');

    expect(await ruleset()).toBe(ipv4Table + emptyIpv6Table);
  });

  test('writes both families in one transaction', async () => {
    const state = stateWith({ renderer: 'nftables', families: dualStack });
    const { commands } = await node.apply(state, 'start');

    expect(await ruleset()).toBe(
      ipv4Table +
        ipv4Table
          .replaceAll('ipv4', 'ipv6')
          .replaceAll('ip ', 'ip6 ')
          .replaceAll('10.5.42.0/24', 'fd42:0:0:7::/64')
          .replaceAll('10.5.0.0/16', 'fd42::/48')
          .replaceAll('224.0.0.0/4', 'ff00::/8'),
    );
    expect(commands.filter((command) => command.startsWith('nft table'))).toHaveLength(1);
  });

  test('writes nothing the second time, after a restart too', async () => {
    const state = stateWith({ renderer: 'nftables', families: dualStack });
    await node.apply(state, 'start');
    const before = await node.sh('nft -a list ruleset');

    await node.restart();
    const { changes } = await node.apply(state, 'start');
    await node.apply(state, 'resync');

    expect(changes).toEqual([]);
    expect(await node.sh('nft -a list ruleset')).toBe(before);
  });

  test('resyncs with one program for each family in use', async () => {
    await node.apply(wanted, 'start');
    await node.apply(wanted, 'resync');

    expect((await node.apply(wanted, 'resync')).commands).toEqual(['nft -j list table ip flannel-ipv4']);
  });

  test.each([
    ['a table', 'nft delete table ip flannel-ipv4', false],
    ['a chain', 'nft delete chain ip flannel-ipv4 forward', false],
    ['the rules of a chain', 'nft flush chain ip flannel-ipv4 postrtg', true],
    ['one rule', 'nft delete rule ip flannel-ipv4 postrtg handle 5', true],
  ])('restores %s at a resync', async (_what, damage) => {
    await node.apply(wanted, 'start');
    await node.apply(wanted, 'resync');
    await node.sh(damage);

    const { changes } = await node.apply(wanted, 'resync');

    expect(changes).toHaveLength(1);
    expect(await node.sh('nft list table ip flannel-ipv4')).toBe(ipv4Table);
    expect((await node.apply(wanted, 'resync')).changes).toEqual([]);
    expect((await node.apply(wanted, 'start')).changes).toEqual([]);
  });

  test("keeps somebody's rule in its chain at a resync and takes the table back at a start", async () => {
    await node.apply(wanted, 'start');
    await node.sh('nft insert rule ip flannel-ipv4 postrtg ip saddr 1.2.3.4 return');
    await node.sh('nft delete rule ip flannel-ipv4 postrtg handle 5');

    await node.apply(wanted, 'resync');
    expect(await ruleset()).toContain('ip saddr 1.2.3.4 return');
    expect((await ruleset()).replace('\t\tip saddr 1.2.3.4 return\n', '')).toBe(ipv4Table + emptyIpv6Table);

    await node.sh('nft "table ip flannel-ipv4 { chain alien { }; chain forward { jump alien; }; }"');
    await node.apply(wanted, 'start');
    expect(await ruleset()).toBe(ipv4Table + emptyIpv6Table);
  });

  test('mends a chain that lost its hook', async () => {
    await node.apply(wanted, 'start');
    for (const phase of ['start', 'resync'] as const) {
      await node.sh('nft "delete chain ip flannel-ipv4 forward; add chain ip flannel-ipv4 forward"');

      await node.apply(wanted, phase);

      expect(await ruleset()).toBe(ipv4Table + emptyIpv6Table);
    }
  });

  test('leaves the tables of others as they are', async () => {
    await node.sh(
      'nft "table inet filter { set s { type ipv4_addr; elements = { 1.2.3.4 } ; }; chain f { type filter hook forward priority 0; policy drop; ip saddr @s accept; }; }"',
    );
    const before = await node.sh('nft -a list table inet filter');

    await node.apply(wanted, 'start');
    await node.apply(wanted, 'resync');
    await node.apply(stateWith({}), 'start');

    expect(await node.sh('nft -a list table inet filter')).toBe(before);
  });

  test('removes what is switched off', async () => {
    await node.apply(stateWith({ renderer: 'nftables', families: dualStack }), 'start');

    await node.apply(stateWith({ renderer: 'nftables', masquerade: undefined, forward: false }), 'start');

    expect(await ruleset()).toBe(`table ip flannel-ipv4 {\n\tcomment "rules for flannel-ipv4"\n}\n${emptyIpv6Table}`);
  });

  test('replaces the rules of an earlier subnet', async () => {
    await node.apply(wanted, 'start');
    const families = { 4: { network: cidr('10.5.0.0/16'), subnet: cidr('10.5.43.0/24') } };

    await node.apply(stateWith({ renderer: 'nftables', families }), 'start');

    expect(await ruleset()).toBe(ipv4Table.replaceAll('10.5.42.0', '10.5.43.0') + emptyIpv6Table);
  });

  test('exempts the networks asked for; a single address too', async () => {
    const masquerade = { randomFully: false, nonMasqueradeCidrs: [cidr('192.168.0.0/16'), cidr('1.2.3.4/32')] };
    const state = stateWith({ renderer: 'nftables', masquerade });

    await node.apply(state, 'start');

    expect(await ruleset()).toContain(
      'return\n\t\tip saddr 10.5.0.0/16 ip daddr 192.168.0.0/16 return\n\t\tip saddr 10.5.0.0/16 ip daddr 1.2.3.4 return\n' +
        '\t\tip saddr 10.5.0.0/16 ip daddr != 224.0.0.0/4 masquerade\n',
    );
    await node.restart();
    expect((await node.apply(state, 'start')).changes).toEqual([]);
  });

  test.each(['nft', 'legacy'] as const)(
    'takes over from iptables (%s) and hands back, forward rules included',
    async (iptables) => {
      const other = await createNode({ iptables });
      try {
        await other.sh('iptables -A FORWARD -s 172.31.0.0/16 -j DROP');
        await other.apply(stateWith({ families: dualStack }), 'start');
        await other.restart();

        await other.apply(stateWith({ renderer: 'nftables', families: dualStack }), 'start');
        expect(await other.sh('iptables-save; ip6tables-save')).not.toMatch(/flannel/i);
        expect(await other.sh('iptables -S FORWARD')).toContain('-A FORWARD -s 172.31.0.0/16 -j DROP');

        await other.restart();
        await other.apply(stateWith({}), 'start');
        expect(await other.sh('nft list ruleset')).not.toContain('flannel-ipv');
        expect(await other.sh('iptables-save')).toContain('FLANNEL-POSTRTG');
        expect(await other.sh('ip6tables-save')).not.toMatch(/flannel/i);
      } finally {
        await other.close();
      }
    },
  );

  test('converges after a death at any of its programs, and never leaves less than it found', async () => {
    const families = { 4: { network: cidr('10.9.0.0/16'), subnet: cidr('10.9.1.0/24') } };
    await node.apply(stateWith({ families }), 'start');
    for (let at = 0, died = true; died; at++) {
      died = await node.applyAndDie(wanted, 'start', at);
      await node.sh('while pgrep -f "tables-(restore|save)|^nft" >/dev/null; do sleep 0.01; done');
      expect(await node.sh('nft list ruleset; iptables-save')).toMatch(/MASQUERADE|masquerade/);
      expect(at).toBeLessThan(12);
    }

    expect(await ruleset()).toContain(ipv4Table + emptyIpv6Table);
    expect(await node.sh('iptables-save')).not.toMatch(/flannel/i);
    expect((await node.apply(wanted, 'start')).changes).toEqual([]);
  });

  test('names the package when nft is not installed, and does not miss it for iptables', async () => {
    const other = await createNode({ missing: ['nft'] });
    try {
      await expect(other.apply(wanted, 'start')).rejects.toMatchObject({
        code: 'HOST_COMMAND_FAILED',
        hint: expect.stringContaining('nft'),
      });
      await other.apply(stateWith({}), 'start');
    } finally {
      await other.close();
    }
  });
});
