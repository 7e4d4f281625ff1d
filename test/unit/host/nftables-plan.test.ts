import { describe, expect, it } from '@jest/globals';
import { formsOf, planResync, planStart } from '../../../host/nftables-plan.ts';
import { chainKinds, type ListedTable, parseListing, ruleJson } from '../../../host/nftables-text.ts';
import { type FamilyRules, noRules, rulesOf } from '../../../host/rules.ts';
import { dualStackFamilies } from './facts.ts';

const wanted =
  rulesOf({
    renderer: 'nftables',
    masquerade: { randomFully: true, nonMasqueradeCidrs: [] },
    forward: true,
    families: { 4: dualStackFamilies[4] },
  })[4] ?? noRules;

const none = new Map<string, string>();

/** The table as listed by an nft that prints its expressions with `print`. */
function listed(rules: FamilyRules, print: (json: string) => string = (json) => json): ListedTable {
  let handle = 0;
  return new Map(
    chainKinds.flatMap(({ kind, name, type, hook, priority }) => {
      const list = (rules[kind] ?? []).map((rule) => ({ handle: ++handle, expr: print(ruleJson(4, rule)) }));
      return rules[kind] ? [[name, { type, hook, priority, policy: 'accept', rules: list }] as const] : [];
    }),
  );
}

describe('the nft plan', () => {
  it.each([
    ['start', planStart],
    ['resync', planResync],
  ])('is empty at a %s when all is in place', (_phase, plan) => {
    expect(plan(4, listed(wanted), wanted, none).script).toBe('');
  });

  it('repairs by handle at a resync, and leaves the chain that is right', () => {
    const table = listed({ ...wanted, forward: wanted.forward?.slice(1) });

    expect(planResync(4, table, wanted, none)).toEqual({
      script: `delete rule ip flannel-ipv4 forward handle 7
add rule ip flannel-ipv4 forward ip saddr 10.5.0.0/16 accept
add rule ip flannel-ipv4 forward ip daddr 10.5.0.0/16 accept
`,
      changes: ['nft flannel-ipv4 forward: 1 missing rules restored'],
    });
  });

  it('takes out a chain that is not wanted, at a start', () => {
    expect(planStart(4, listed(wanted), { ...wanted, masquerade: undefined }, none).script).toBe(
      `flush table ip flannel-ipv4
delete chain ip flannel-ipv4 postrtg
add rule ip flannel-ipv4 forward ip saddr 10.5.0.0/16 accept
add rule ip flannel-ipv4 forward ip daddr 10.5.0.0/16 accept
`,
    );
  });

  it('does not write for ever under an nft that lists our rules in another form', () => {
    const odd = listed(wanted, (json) => json.replaceAll('"=="', '"in"'));
    expect(planResync(4, odd, wanted, none).script).not.toBe('');

    const forms = formsOf(4, odd, wanted);

    expect(planResync(4, odd, wanted, forms).script).toBe('');
    expect(planStart(4, odd, wanted, forms).script).toBe('');
  });
});

describe('reading what nft lists', () => {
  it('takes the forms of different versions for one', () => {
    const rule = (flags: unknown): string =>
      JSON.stringify({
        nftables: [
          { metainfo: { version: '1.0.6' } },
          { chain: { name: 'postrtg', type: 'nat', hook: 'postrouting', prio: 100, policy: 'accept' } },
          {
            rule: {
              chain: 'postrtg',
              handle: 7,
              expr: [
                {
                  match: {
                    right: { prefix: { len: 16, addr: '10.5.0.0' } },
                    op: '==',
                    left: { payload: { field: 'saddr', protocol: 'ip' } },
                  },
                },
                { masquerade: { flags } },
              ],
            },
          },
        ],
      });
    const expected = ruleJson(4, {
      source: { cidr: dualStackFamilies[4].network, negated: false },
      action: 'masquerade-random',
    });

    expect(parseListing(rule('fully-random')).get('postrtg')?.rules).toEqual([{ handle: 7, expr: expected }]);
    expect(parseListing(rule(['fully-random'])).get('postrtg')?.rules).toEqual([{ handle: 7, expr: expected }]);
  });

  it('throws for what is no listing', () => {
    expect(() => parseListing('{"nftables": 3}')).toThrow();
    expect(() => parseListing('oops')).toThrow();
  });
});
