import { describe, expect, it } from '@jest/globals';
import type { RulesIntent } from '../../../host/host.ts';
import { renderRule, sections } from '../../../host/iptables-text.ts';
import { ruleText, tableText } from '../../../host/nftables-text.ts';
import { rulesOf } from '../../../host/rules.ts';
import { ip } from '../../support/addresses.ts';
import { cidr, dualStackFamilies } from './facts.ts';

const intent: RulesIntent = {
  renderer: 'iptables',
  masquerade: { randomFully: true, nonMasqueradeCidrs: [cidr('192.168.0.0/16'), cidr('2001:db8::/32')] },
  forward: true,
  families: dualStackFamilies,
};

function iptablesText(family: 4 | 6, some: Partial<RulesIntent> = {}, knowsRandomFully = true): readonly string[] {
  const rules = rulesOf({ ...intent, ...some })[family];
  return sections.flatMap((section) =>
    (rules?.[section.kind] ?? []).map((rule) =>
      renderRule(rule, section, knowsRandomFully).replace(`-m comment --comment "${section.comment}" `, ''),
    ),
  );
}

describe('the rule list', () => {
  it('is flannel’s, with the exempt networks of the family right before the masquerade', () => {
    expect(iptablesText(4)).toEqual([
      '-m mark --mark 0x4000/0x4000 -j RETURN',
      '-s 10.5.42.0/24 -d 10.5.0.0/16 -j RETURN',
      '-s 10.5.0.0/16 -d 10.5.42.0/24 -j RETURN',
      '! -s 10.5.0.0/16 -d 10.5.42.0/24 -j RETURN',
      '-s 10.5.0.0/16 -d 192.168.0.0/16 -j RETURN',
      '-s 10.5.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully',
      '! -s 10.5.0.0/16 -d 10.5.0.0/16 -j MASQUERADE --random-fully',
      '-s 10.5.0.0/16 -j ACCEPT',
      '-d 10.5.0.0/16 -j ACCEPT',
    ]);
  });

  it('is the same for IPv6', () => {
    expect(iptablesText(6)).toEqual([
      '-m mark --mark 0x4000/0x4000 -j RETURN',
      '-s fd42:0:0:7::/64 -d fd42::/48 -j RETURN',
      '-s fd42::/48 -d fd42:0:0:7::/64 -j RETURN',
      '! -s fd42::/48 -d fd42:0:0:7::/64 -j RETURN',
      '-s fd42::/48 -d 2001:db8::/32 -j RETURN',
      '-s fd42::/48 ! -d ff00::/8 -j MASQUERADE --random-fully',
      '! -s fd42::/48 -d fd42::/48 -j MASQUERADE --random-fully',
      '-s fd42::/48 -j ACCEPT',
      '-d fd42::/48 -j ACCEPT',
    ]);
  });

  it('is the same text by text for nftables', () => {
    const rules = rulesOf(intent)[4];

    expect([...(rules?.masquerade ?? []), ...(rules?.forward ?? [])].map((rule) => ruleText(4, rule))).toEqual([
      'meta mark & 16384 == 16384 return',
      'ip saddr 10.5.42.0/24 ip daddr 10.5.0.0/16 return',
      'ip saddr 10.5.0.0/16 ip daddr 10.5.42.0/24 return',
      'ip saddr != 10.5.0.0/16 ip daddr 10.5.42.0/24 return',
      'ip saddr 10.5.0.0/16 ip daddr 192.168.0.0/16 return',
      'ip saddr 10.5.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random',
      'ip saddr != 10.5.0.0/16 ip daddr 10.5.0.0/16 masquerade fully-random',
      'ip saddr 10.5.0.0/16 accept',
      'ip daddr 10.5.0.0/16 accept',
    ]);
  });

  it('asks for random ports only where wanted and where the tool knows how', () => {
    const plain = { masquerade: { randomFully: false, nonMasqueradeCidrs: [] } };

    expect(iptablesText(4, plain).join()).not.toContain('--random-fully');
    expect(iptablesText(4, {}, false).join()).not.toContain('--random-fully');
  });

  it('has no chain for what is switched off, and no family that is not in use', () => {
    const { 4: ipv4 } = dualStackFamilies;
    const rules = rulesOf({ ...intent, masquerade: undefined, forward: false, families: { ...(ipv4 && { 4: ipv4 }) } });

    expect(rules).toEqual({ 4: { masquerade: undefined, forward: undefined } });
    expect(tableText(4, { masquerade: undefined, forward: undefined })).toBe(
      'table ip flannel-ipv4 {\ncomment "rules for flannel-ipv4"\n}\n',
    );
  });

  it('masquerades what goes to a resolver within an exempt network, and has no rule for one elsewhere', () => {
    const resolvers = [ip('192.168.0.2'), ip('192.168.0.2'), ip('10.1.0.2'), ip('2001:db8::53'), ip('fd00::53')];
    const masquerade = {
      randomFully: true,
      nonMasqueradeCidrs: intent.masquerade?.nonMasqueradeCidrs ?? [],
      resolvers,
    };

    expect(iptablesText(4, { masquerade }).slice(4, 7)).toEqual([
      '-s 10.5.0.0/16 -d 192.168.0.2/32 -j MASQUERADE --random-fully',
      '-s 10.5.0.0/16 -d 192.168.0.0/16 -j RETURN',
      '-s 10.5.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully',
    ]);
    expect(iptablesText(6, { masquerade }).slice(4, 6)).toEqual([
      '-s fd42::/48 -d 2001:db8::53/128 -j MASQUERADE --random-fully',
      '-s fd42::/48 -d 2001:db8::/32 -j RETURN',
    ]);
  });

  it('leaves out a match for all addresses, as listings do', () => {
    const masquerade = { randomFully: false, nonMasqueradeCidrs: [cidr('0.0.0.0/0')] };

    expect(iptablesText(4, { masquerade })[4]).toBe('-s 10.5.0.0/16 -j RETURN');
  });
});
