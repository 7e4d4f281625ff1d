import { describe, expect, it } from '@jest/globals';
import { appliesTo, judgeIngress } from '../../../providers/gce/diagnose-firewall.ts';
import { firewallSchema } from '../../../providers/gce/schemas.ts';
import { cidr } from '../../support/addresses.ts';

const rule = (fields: object) => firewallSchema.parse({ name: 'r', direction: 'INGRESS', priority: 1000, ...fields });
const all = { allowed: [{ IPProtocol: 'all' }] };
const judge = (...rules: readonly object[]) =>
  judgeIngress(cidr('10.244.0.0/16'), 'prj-1/net', 'z/vm', rules.map(rule));

describe('the firewall rules of a VPC network', () => {
  it.each<[string, readonly object[], string]>([
    ['let all of the pod network in', [{ ...all, sourceRanges: ['10.244.0.0/16'] }], 'ok'],
    ['let more than it in', [{ ...all, sourceRanges: ['10.0.0.0/8'] }], 'ok'],
    ['let its halves in', [{ ...all, sourceRanges: ['10.244.0.0/17', '10.244.128.0/17'] }], 'ok'],
    ['let half of it in', [{ ...all, sourceRanges: ['10.244.0.0/17'] }], 'failed'],
    ['let only the nodes in', [{ ...all, sourceRanges: ['10.0.0.0/20'] }], 'failed'],
    ['let in who carries a tag, which pods do not', [{ ...all, sourceRanges: [] }], 'failed'],
    [
      'let only some protocols in',
      [{ allowed: [{ IPProtocol: 'tcp', ports: ['80'] }], sourceRanges: ['10.0.0.0/8'] }],
      'warning',
    ],
    [
      'keep some of it out first',
      [
        { ...all, sourceRanges: ['10.0.0.0/8'] },
        { denied: [{ IPProtocol: 'tcp' }], priority: 900, sourceRanges: ['10.244.7.0/24'] },
      ],
      'warning',
    ],
    [
      'keep it out at last',
      [
        { ...all, sourceRanges: ['10.0.0.0/8'] },
        { denied: [{ IPProtocol: 'all' }], priority: 2000, sourceRanges: ['0.0.0.0/0'] },
      ],
      'ok',
    ],
    ['are none', [], 'failed'],
  ])('that %s', (_, rules, status) => {
    const finding = judge(...rules);

    expect(finding).toMatchObject({ check: 'firewall', status });
    if (status !== 'ok') expect(finding.remedy).toContain('--source-ranges=10.244.0.0/16');
  });

  it('apply by tag, by service account, or to all; not when switched off, nor to what goes out', () => {
    const instance = { tags: { items: ['node'] }, serviceAccounts: [{ email: 'a@b' }] };
    const applies = (fields: object) => appliesTo(rule({ ...all, ...fields }), instance);

    expect(applies({})).toBe(true);
    expect(applies({ targetTags: ['node', 'x'] })).toBe(true);
    expect(applies({ targetTags: ['x'] })).toBe(false);
    expect(applies({ targetServiceAccounts: ['a@b'] })).toBe(true);
    expect(applies({ targetServiceAccounts: ['c@d'] })).toBe(false);
    expect(applies({ disabled: true })).toBe(false);
    expect(applies({ direction: 'EGRESS' })).toBe(false);
  });
});
