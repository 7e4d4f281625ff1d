/**
 * New flows all the time while the rules are written, written again, killed at, and changed over to the other renderer: none may be
 * lost, and none seen under another address.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { allKinds, createFlowLab, type FlowLab, otherSubnets, towardsTheWorld } from './flows.ts';

let lab: FlowLab;
afterEach(() => lab.close());

/** Lets a program that was started by one that died get to its end. */
const settled = 'while pgrep -f "tables-(restore|save)|^nft" >/dev/null; do sleep 0.01; done';

const none = { wrong: [], count: expect.any(Number) };

describe.each([
  ['iptables', 'nft'],
  ['iptables', 'legacy'],
  ['nftables', 'nft'],
] as const)('%s (%s)', (renderer, iptables) => {
  test('starts, restarts, resyncs and dies anywhere under flows that go on', async () => {
    lab = await createFlowLab(iptables, { renderer });
    // Whoever lets pods through only by our forward rules must not lose them for a moment either.
    if (renderer === 'iptables') await lab.node.sh('iptables -P FORWARD DROP; ip6tables -P FORWARD DROP');
    const flows = await lab.flow(allKinds);

    for (let at = 0, died = true; died; at++) {
      await lab.node.restart();
      died = await lab.node.applyAndDie(lab.state({ renderer }), 'start', at);
      await lab.node.sh(settled);
    }
    for (let round = 0; round < 5; round++) await lab.node.apply(lab.state({ renderer }), 'resync');
    // A rule that is missing is put back with the others out and in again, in one transaction.
    const lost =
      renderer === 'iptables'
        ? 'iptables -t nat -D FLANNEL-POSTRTG 1'
        : 'nft delete rule ip flannel-ipv4 postrtg handle $(nft -a list table ip flannel-ipv4 | sed -n "s/.*mark.*handle //p")';
    await lab.node.sh(lost);
    expect((await lab.node.apply(lab.state({ renderer }), 'resync')).changes).not.toEqual([]);

    const seen = await flows.stop();
    expect(seen).toEqual(none);
    expect(seen.count).toBeGreaterThan(100);
  });

  test('changes its subnet and network and comes back, dying on the way, and the world goes on seeing the node', async () => {
    lab = await createFlowLab(iptables, { renderer });
    const flows = await lab.flow(towardsTheWorld);

    for (const families of [...otherSubnets, undefined]) {
      const state = lab.state({ renderer, ...(families && { families }) });
      for (let at = 0, died = true; died; at += 2) {
        await lab.node.restart();
        died = await lab.node.applyAndDie(state, 'start', at);
        await lab.node.sh(settled);
      }
    }

    expect(await flows.stop()).toEqual(none);
  });

  test('shows it when rules are away for a moment', async () => {
    lab = await createFlowLab(iptables, { renderer });
    const flows = await lab.flow(allKinds);

    // What a program does that deletes before it writes.
    const flush =
      renderer === 'iptables'
        ? 'iptables -t nat -F FLANNEL-POSTRTG; ip6tables -t nat -F FLANNEL-POSTRTG'
        : 'nft "flush chain ip flannel-ipv4 postrtg; flush chain ip6 flannel-ipv6 postrtg"';
    await lab.node.sh(`${flush}; sleep 0.4`);
    await lab.node.apply(lab.state({ renderer }), 'resync');

    const { wrong } = await flows.stop();
    expect(wrong.some((text) => /^pod to the world: .* seen as 10\.5\.42\.2,/.test(text))).toBe(true);
    expect(wrong.some((text) => text.startsWith('pod to the world (IPv6): '))).toBe(true);
  });
});

test.each(['nft', 'legacy'] as const)(
  'goes over from iptables (%s) to nftables and back, dying on the way, under flows that go on',
  async (iptables) => {
    lab = await createFlowLab(iptables, {});
    const flows = await lab.flow(allKinds);

    for (const renderer of ['nftables', 'iptables'] as const) {
      for (let at = 0, died = true; died; at += 2) {
        await lab.node.restart();
        died = await lab.node.applyAndDie(lab.state({ renderer }), 'start', at);
        await lab.node.sh(settled);
      }
      await lab.node.apply(lab.state({ renderer }), 'resync');
      const left = renderer === 'nftables' ? 'iptables-save; ip6tables-save' : 'nft list tables';
      expect(await lab.node.sh(left)).not.toMatch(renderer === 'nftables' ? /FLANNEL/ : /flannel-ipv/);
    }

    expect(await flows.stop()).toEqual(none);
  },
);
