import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createEtcdKeys, leaseKeyOf, parseSubnetKey } from '../../../lease/etcd/keys.ts';
import { prefixRange } from '../../../lease/etcd/operations.ts';
import { cidrOf } from '../../../src/core/ip.ts';
import { subnets } from '../../integration/lease/fixtures.ts';

const keys = createEtcdKeys('/coreos.com/network');

describe('createEtcdKeys', () => {
  it('joins like a path', () => {
    expect(createEtcdKeys('//a///b/').config).toBe('/a/b/config');
    expect(createEtcdKeys('/').subnets).toBe('/subnets/');
    expect(createEtcdKeys('net').routes).toBe('net/flannel-vpc/routes/');
    expect(createEtcdKeys('/a/./b/../c').subnets).toBe('/a/c/subnets/');
    expect(createEtcdKeys('/a//b/').prefix).toBe('/a/b');
  });

  it('puts no slash in front where the prefix is empty', () => {
    expect(createEtcdKeys('')).toMatchObject({ prefix: '', config: 'config', subnets: 'subnets/' });
  });

  it('keeps everything of ours outside of what flannel lists', () => {
    for (const ours of [keys.claims, keys.routes]) expect(ours.startsWith('/coreos.com/network/subnets')).toBe(false);
  });
});

describe("a lease's key", () => {
  it.each([
    [['10.5.42.0/24'], '/coreos.com/network/subnets/10.5.42.0-24'],
    [['10.5.42.0/24', 'fd42:0:0:7::/64'], '/coreos.com/network/subnets/10.5.42.0-24&fd42:0:0:7::-64'],
    [['fd42:0:0:7::/64'], '/coreos.com/network/subnets/0.0.0.0-0&fd42:0:0:7::-64'],
    [['10.5.42.0/24', 'fd42:1:2:3::/64'], '/coreos.com/network/subnets/10.5.42.0-24&fd42:1:2:3::-64'],
  ])('of %j is %s, and back', (of, key) => {
    expect(leaseKeyOf(keys, subnets(...of))).toBe(key);
    expect(parseSubnetKey(key)).toEqual(subnets(...of));
  });

  it('can be read back for every subnet', () => {
    const v4 = fc.record({
      value: fc.bigInt({ min: 2n ** 24n, max: 2n ** 32n - 1n }),
      length: fc.integer({ min: 8, max: 31 }),
    });
    const v6 = fc.record({
      value: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
      length: fc.integer({ min: 1, max: 127 }),
    });
    fc.assert(
      fc.property(v4, fc.option(v6, { nil: undefined }), (first, second) => {
        const of = {
          4: cidrOf({ family: 4, value: first.value }, first.length),
          ...(second ? { 6: cidrOf({ family: 6, value: second.value }, second.length) } : {}),
        };
        expect(parseSubnetKey(leaseKeyOf(keys, of))).toEqual(of);
      }),
    );
  });

  it.each([
    '/coreos.com/network/subnets/10.5.42.0-32',
    '/coreos.com/network/subnets/10.5.42.0-999',
    '/coreos.com/network/subnets/10.5.42.0-24 ',
    '/coreos.com/network/subnets/10.5.42.256-24',
    '/coreos.com/network/subnets/10.5.42.0-24&',
    '/coreos.com/network/subnets/10.5.42.0-24&fd42::-128',
    '/coreos.com/network/subnets/10.5.42.0-24&fd42::1::-64',
    '/coreos.com/network/subnets/0.0.0.0-0',
    '/coreos.com/network/subnets/nonsense',
    '/coreos.com/network/subnets/',
    '',
  ])('is not %j', (key) => {
    expect(parseSubnetKey(key)).toBeUndefined();
  });

  it('may have host bits, which are masked off as flannel does', () => {
    expect(parseSubnetKey('/x/subnets/10.5.42.7-24')).toEqual(subnets('10.5.42.0/24'));
  });

  it('is read in time that does not explode, however hostile', () => {
    expect(parseSubnetKey(`${'1.'.repeat(50_000)}x`)).toBeUndefined();
    expect(parseSubnetKey(`${'9'.repeat(50_000)}`)).toBeUndefined();
  });
});

describe('prefixRange', () => {
  it('holds exactly what begins with the prefix', () => {
    const { key, range_end: end } = prefixRange('/a/');
    expect([key.toString(), end?.toString()]).toEqual(['/a/', '/a0']);
  });
});
