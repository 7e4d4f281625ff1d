/** Chance that can be repeated: numbers from a seed, which a run prints and FAULT_SEED gives. */
import type { Random as Chance } from '../../src/core/clock.ts';

export interface Random {
  /** A whole number from 0 to below `limit`. */
  below(limit: number): number;
  /** Some of them, at least one, in their order. */
  some<T>(items: readonly T[]): readonly T[];
  /** All of them, in another order. */
  shuffled<T>(items: readonly T[]): readonly T[];
}

/** `FAULT_SEED`, or one of the clock, said on standard error. @throws Error when it is no whole number. */
export function seedOfRun(): number {
  const given = process.env['FAULT_SEED'];
  const seed = given === undefined ? Date.now() % 1_000_000 : Number(given);
  if (!Number.isSafeInteger(seed)) throw new Error(`FAULT_SEED is ${given}: a whole number`);
  process.stderr.write(`FAULT_SEED=${seed}\n`);
  return seed;
}

/** Numbers from 0 to below 1, the same for the same seed. Mulberry32: 32 bits of state are plenty for choices of a test. */
export function seeded(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Choices by the numbers of a seed. */
export function createRandom(seed: number): Random {
  const next = seeded(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    below,
    some(items) {
      const chosen = items.filter(() => below(2) === 0);
      return chosen.length > 0 ? chosen : items.slice(0, 1);
    },
    shuffled(items) {
      const left = [...items];
      return items.flatMap(() => left.splice(below(left.length), 1));
    },
  };
}
