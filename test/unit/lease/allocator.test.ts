import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chooseSubnets, fitsRange, subnetCount } from '../../../lease/allocator.ts';
import type { SubnetRange } from '../../../lease/lease.ts';
import {
  addressBits,
  type Cidr,
  cidrContains,
  cidrOf,
  cidrsOverlap,
  type Family,
  formatCidr,
  nthAddress,
  sameCidr,
} from '../../../src/core/ip.ts';
import { cidr, four, ip, range, wide } from '../../integration/lease/fixtures.ts';

/** Any range flannel's net-conf can describe, of at most 2^10 subnets so that all of them can be enumerated. */
const anyRange: fc.Arbitrary<SubnetRange> = fc
  .record({
    family: fc.constantFrom<Family>(4, 6),
    networkLength: fc.integer({ min: 8, max: 24 }),
    extra: fc.integer({ min: 2, max: 10 }),
    address: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
    first: fc.nat(1_100),
    last: fc.nat(1_100),
  })
  .map(({ family, networkLength, extra, address, first, last }) => {
    const network = cidrOf({ family, value: address & (2n ** BigInt(addressBits(family)) - 1n) }, networkLength);
    const subnetLength = Math.min(networkLength + extra, addressBits(family) - 1);
    const size = 2n ** BigInt(addressBits(family) - subnetLength);
    const count = 2 ** (subnetLength - networkLength);
    const at = (index: number) => nthAddress(network, BigInt(index % count) * size);
    return { network, subnetLength, subnetMin: at(first), subnetMax: at(last) };
  });

/** Networks in and around a range: subnets of it, larger, smaller, and of nowhere. */
function takenIn(of: SubnetRange): fc.Arbitrary<readonly Cidr[]> {
  const bits = addressBits(of.network.family);
  const inside = fc
    .record({
      offset: fc.bigInt({ min: 0n, max: 2n ** BigInt(bits - of.network.length) - 1n }),
      length: fc.integer({ min: of.network.length, max: Math.min(bits, of.subnetLength + 3) }),
      exact: fc.boolean(),
    })
    .map(({ offset, length, exact }) => cidrOf(nthAddress(of.network, offset), exact ? of.subnetLength : length));
  const anywhere = fc
    .record({ value: fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), length: fc.integer({ min: 1, max: 32 }) })
    .map(({ value, length }) => cidrOf({ family: 4, value }, length));
  return fc.array(fc.oneof({ weight: 4, arbitrary: inside }, anywhere), { maxLength: 300 });
}

const anyRequest = anyRange.chain((of) =>
  fc.record({
    range: fc.constant(of),
    taken: takenIn(of),
    preferred: fc.array(
      takenIn(of)
        .filter((list) => list.length > 0)
        .map((list) => list[0] as Cidr),
      { maxLength: 2 },
    ),
    releasedLately: takenIn(of).map((list) => list.slice(0, 5)),
    seed: fc.string(),
  }),
);

/** Every subnet of the range that overlaps nothing taken, found the slow way. */
function freeTheSlowWay(of: SubnetRange, taken: readonly Cidr[]): readonly Cidr[] {
  const free: Cidr[] = [];
  const size = 2n ** BigInt(addressBits(of.network.family) - of.subnetLength);
  for (let value = of.subnetMin.value; value <= of.subnetMax.value; value += size) {
    const subnet = { family: of.network.family, address: value, length: of.subnetLength };
    if (!taken.some((network) => cidrsOverlap(network, subnet))) free.push(subnet);
  }
  return free;
}

describe('chooseSubnets', () => {
  it('gives different subnets inside the range that overlap nothing taken, as many as asked for or all', () => {
    fc.assert(
      fc.property(anyRequest, fc.integer({ min: 1, max: 8 }), (request, count) => {
        const chosen = chooseSubnets(request, count);
        const free = freeTheSlowWay(request.range, request.taken);
        expect(chosen).toHaveLength(Math.min(count, free.length));
        expect(new Set(chosen.map(formatCidr)).size).toBe(chosen.length);
        for (const subnet of chosen) {
          expect(cidrContains(request.range.network, subnet)).toBe(true);
          expect(free.some((each) => sameCidr(each, subnet))).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('counts subnets as the slow way does', () => {
    fc.assert(
      fc.property(anyRequest, ({ range: of }) => {
        expect(subnetCount(of)).toBe(BigInt(freeTheSlowWay(of, []).length));
      }),
    );
  });

  it('gives equal answers to equal requests, whatever the order of what is taken', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const shuffled = { ...request, taken: [...request.taken].reverse() };
        expect(chooseSubnets(shuffled, 4)).toEqual(chooseSubnets(request, 4));
      }),
    );
  });

  it('takes preferred subnets first, in their order, if they are free', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const free = freeTheSlowWay(request.range, request.taken);
        const wanted = request.preferred.filter((subnet) => free.some((each) => sameCidr(each, subnet)));
        const unique = wanted.filter((subnet, index) => wanted.findIndex((each) => sameCidr(each, subnet)) === index);
        expect(chooseSubnets(request, 4).slice(0, unique.length)).toEqual(unique);
      }),
    );
  });

  it('takes what was released lately only when nothing else is free', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const { preferred: _, ...plain } = request;
        const fresh = freeTheSlowWay(plain.range, [...plain.taken, ...plain.releasedLately]);
        const chosen = chooseSubnets(plain, 6);
        const overlapping = chosen.filter((subnet) => plain.releasedLately.some((old) => cidrsOverlap(old, subnet)));
        expect(chosen.length - overlapping.length).toBe(Math.min(6, fresh.length));
        expect(chosen.slice(chosen.length - overlapping.length)).toEqual(overlapping);
      }),
    );
  });

  it('finds the last free subnet of 65,536', () => {
    const of = range('10.0.0.0/8', 24, '10.0.0.0', '10.255.255.0');
    const last = cidr('10.123.45.0/24');
    const taken: Cidr[] = [];
    for (let index = 0n; index < 65_536n; index++) {
      const subnet = { family: 4 as const, address: of.subnetMin.value + (index << 8n), length: 24 };
      if (!sameCidr(subnet, last)) taken.push(subnet);
    }
    expect(chooseSubnets({ range: of, taken, seed: 'i-1' }, 6)).toEqual([last]);
  });

  it('gives none when one taken network covers the range, and when first is above last', () => {
    expect(chooseSubnets({ range: wide, taken: [cidr('10.0.0.0/8')], seed: 'i-1' }, 6)).toEqual([]);
    expect(
      chooseSubnets(
        { range: { ...wide, subnetMin: ip('10.5.9.0'), subnetMax: ip('10.5.8.0') }, taken: [], seed: 'i-1' },
        6,
      ),
    ).toEqual([]);
  });

  it('enumerates nothing: in a /16 of /64s with 2^48 subnets the answer comes all the same', () => {
    const of = range('fd00::/16', 64, 'fd00::', 'fdff:ffff:ffff:ffff::'.replace('fdff', 'fd00'));
    expect(subnetCount(of)).toBe(2n ** 48n);
    const taken = Array.from({ length: 5_000 }, (_, index) => cidr(`fd00:${(index * 7).toString(16)}::/64`));
    const [chosen] = chooseSubnets({ range: of, taken, seed: 'i-1' }, 1);
    expect(chosen && fitsRange(of, chosen)).toBe(true);
  });

  it('lets nodes that start together collide no more often than chance', () => {
    // 250 of 4,095 at random: 243 different ones are expected, give or take 2.6.
    const of = range('10.16.0.0/12', 24, '10.16.1.0', '10.31.255.0');
    expect(subnetCount(of)).toBe(4_095n);
    const firsts = Array.from(
      { length: 250 },
      (_, index) => chooseSubnets({ range: of, taken: [], seed: `i-${index}` }, 1)[0],
    );
    expect(new Set(firsts.map((subnet) => subnet && formatCidr(subnet))).size).toBeGreaterThanOrEqual(232);
  });

  it('comes back to the same subnet as long as it is free, whatever else is taken', () => {
    const [home] = chooseSubnets({ range: wide, taken: [], seed: 'i-1' }, 1);
    if (!home) throw new Error('none');
    const others = freeTheSlowWay(wide, [home]).filter((_, index) => index % 2 === 0);
    expect(chooseSubnets({ range: wide, taken: others, seed: 'i-1' }, 1)).toEqual([home]);
  });
});

describe('fitsRange', () => {
  it.each([
    ['10.6.0.0/26', true],
    ['10.6.0.192/26', true],
    ['10.6.0.0/25', false],
    ['10.6.0.32/27', false],
    ['10.6.1.0/26', false],
    ['fd00::/64', false],
  ])('says of %s: %s', (subnet, fits) => {
    expect(fitsRange(four, cidr(subnet))).toBe(fits);
  });

  it('leaves subnets below the first and above the last out', () => {
    expect(fitsRange(wide, cidr('10.5.0.0/24'))).toBe(false);
    expect(fitsRange({ ...wide, subnetMax: ip('10.5.100.0') }, cidr('10.5.101.0/24'))).toBe(false);
  });
});
