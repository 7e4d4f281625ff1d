import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  cidrContains,
  cidrOf,
  cidrSize,
  cidrsOverlap,
  compareCidrs,
  formatCidr,
  formatIp,
  nthAddress,
  parseCidr,
  parseInterfaceAddress,
  parseIp,
} from '../../../src/core/ip.ts';

const anyIp = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value) => ({ family: 4 as const, value })),
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => ({ family: 6 as const, value })),
);

describe('addresses', () => {
  it.each(['0.0.0.0', '10.5.42.1', '255.255.255.255', '::', 'fd42:0:0:7::', '2001:db8::1', 'fd42::ffff:0:1'])(
    'keeps the canonical text %s',
    (text) => {
      const ip = parseIp(text);

      expect(ip && formatIp(ip)).toBe(text);
    },
  );

  it.each([
    '',
    '10.5.42',
    '10.5.42.256',
    '010.5.42.1',
    '10.5.42.1 ',
    '0x0a.5.42.1',
    'fe80::1%eth0',
    ':::',
    'host',
    '1',
  ])('refuses %j', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  it('reads back every address it writes', () => {
    fc.assert(fc.property(anyIp, (ip) => expect(parseIp(formatIp(ip))).toEqual(ip)));
  });
});

describe('networks', () => {
  it.each([
    ['10.5.42.7/16', '10.5.0.0/16'],
    ['100.68.0.18/18', '100.68.0.0/18'],
    ['fd42:0:0:7::9/64', 'fd42:0:0:7::/64'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.5.42.7/32', '10.5.42.7/32'],
  ])('masks the host bits of %s', (text, network) => {
    const cidr = parseCidr(text);

    expect(cidr && formatCidr(cidr)).toBe(network);
  });

  it.each(['10.5.0.0', '10.5.0.0/33', '10.5.0.0/', '10.5.0.0/08', '10.5.0.0/-1', 'fd42::/129', '/8', '10.5.0.0/8/8'])(
    'refuses %j',
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );

  it('keeps the host bits of an interface address', () => {
    const parsed = parseInterfaceAddress('10.5.42.1/24');

    expect(parsed && formatIp(parsed.ip)).toBe('10.5.42.1');
    expect(parsed?.length).toBe(24);
  });

  it('holds exactly the addresses from its first to its last', () => {
    fc.assert(
      fc.property(anyIp, fc.integer({ min: 1, max: 32 }), (ip, length) => {
        const cidr = cidrOf(ip, length);
        const last = nthAddress(cidr, cidrSize(cidr) - 1n);

        expect(cidrOf(last, length)).toEqual(cidr);
        expect(cidrContains(cidr, cidrOf(last, ip.family === 4 ? 32 : 128))).toBe(true);
      }),
    );
  });

  it('never overlaps across families, and overlap does not depend on the order', () => {
    fc.assert(
      fc.property(anyIp, anyIp, fc.nat(32), fc.nat(32), (a, b, la, lb) => {
        const [left, right] = [cidrOf(a, la), cidrOf(b, lb)];

        expect(cidrsOverlap(left, right)).toBe(cidrsOverlap(right, left));
        expect(cidrsOverlap(left, right) && a.family !== b.family).toBe(false);
        expect(Math.sign(compareCidrs(left, right))).toBe(-Math.sign(compareCidrs(right, left)) + 0);
      }),
    );
  });
});
