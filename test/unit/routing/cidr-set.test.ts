import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Cidr, cidrOf, cidrsOverlap } from '../../../src/core/ip.ts';
import { createCidrSet } from '../../../src/routing/cidr-set.ts';
import { cidrKey } from '../../../src/routing/networks.ts';

/** Few addresses, so that networks often overlap. */
const anyCidr: fc.Arbitrary<Cidr> = fc.oneof(
  fc
    .record({ value: fc.bigInt(0n, 63n), length: fc.integer({ min: 24, max: 32 }) })
    .map(({ value, length }) => cidrOf({ family: 4, value }, length)),
  fc
    .record({ value: fc.bigInt(0n, 63n), length: fc.integer({ min: 120, max: 128 }) })
    .map(({ value, length }) => cidrOf({ family: 6, value }, length)),
  fc.constantFrom<Cidr>({ family: 4, address: 0n, length: 0 }, { family: 6, address: 0n, length: 0 }),
  fc.constantFrom<Cidr>(
    { family: 4, address: 2n ** 32n - 1n, length: 32 },
    { family: 6, address: 2n ** 128n - 1n, length: 128 },
  ),
);

it('overlaps what any of its networks overlaps', () => {
  fc.assert(
    fc.property(fc.array(anyCidr, { maxLength: 12 }), anyCidr, (networks, network) => {
      const expected = networks.some((one) => cidrsOverlap(one, network));
      expect(createCidrSet(networks).overlaps(network)).toBe(expected);
    }),
    { numRuns: 2_000 },
  );
});

it('has keys that are equal for equal networks only', () => {
  fc.assert(
    fc.property(anyCidr, anyCidr, (a, b) => {
      const same = a.family === b.family && a.address === b.address && a.length === b.length;
      expect(cidrKey(a) === cidrKey(b)).toBe(same);
    }),
    { numRuns: 2_000 },
  );
});
