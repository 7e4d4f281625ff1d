/** An edge: a place where something that others wrote is read. What is promised of every one of them, and how it is tried. */
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { isFlannelVpcError } from '../../../src/core/errors.ts';
import { propertyRuns, rawControls } from '../../support/hostile.ts';

export interface Edge {
  /** What is read, such as `a lease's value in etcd`. */
  readonly name: string;
  /** The product's files that read it: those with a schema or a parser of it. */
  readonly files: readonly string[];
  /** Sound input, which is taken: else a reader that refuses everything would pass. */
  readonly sound: readonly unknown[];
  readonly inputs: fc.Arbitrary<unknown>;
  /** Reads it with the product's own code. */
  readonly read: (input: never) => unknown;
  /** Whether what `read` gave means that the input was taken. */
  readonly taken: (result: unknown) => boolean;
  /**
   * How it refuses. `result`: it never throws. `ours`: by a FlannelVpcError. `error`: by any Error, which its only caller turns into a
   * result; the edge's test names that caller.
   */
  readonly refuses: 'result' | 'ours' | 'error';
  /** Fewer cases than usual, where each takes a request or a file. */
  readonly runs?: number;
}

/** Longest time for one input, milliseconds, on a machine that is busy with other tests. */
export const slowestMs = 2_000;
/** Longest message of an error, characters: what was found is cut in it. */
const longestMessage = 6_000;

/** What one edge did with all that was tried on it. */
export interface Tally {
  tried: number;
  taken: number;
  slowestMs: number;
}

/** Reads one input. @returns whether it was taken. @throws where a promise is broken. */
export async function tryOne(edge: Edge, input: unknown, tally?: Tally): Promise<boolean> {
  const started = performance.now();
  let taken = false;
  try {
    const result = await edge.read(input as never);
    taken = edge.taken(result);
    expect(pollutionOf(result)).toEqual([]);
  } catch (error) {
    if (edge.refuses === 'result') throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (!(error instanceof Error) && !isErrorLike(error)) throw error;
    // An overflow of the stack is luck: with more of it in use it comes elsewhere.
    expect(nameOf(error)).not.toBe('RangeError');
    if (edge.refuses === 'ours') {
      if (!isFlannelVpcError(error)) throw error;
      expect(message).not.toMatch(rawControls);
      expect(error.hint ?? '').not.toMatch(rawControls);
      expect(message.length).toBeLessThan(longestMessage);
    }
  }
  const ms = performance.now() - started;
  expect(ms).toBeLessThan(slowestMs);
  expect(pollutionOf({})).toEqual([]);
  if (tally) {
    tally.tried += 1;
    tally.taken += taken ? 1 : 0;
    tally.slowestMs = Math.max(tally.slowestMs, ms);
  }
  return taken;
}

/** Tries as many inputs as asked for. @returns what came of them. */
export async function tryMany(edge: Edge, byDefault: number): Promise<Tally> {
  const tally: Tally = { tried: 0, taken: 0, slowestMs: 0 };
  await fc.assert(
    fc.asyncProperty(edge.inputs, async (input) => {
      await tryOne(edge, input, tally);
    }),
    { numRuns: propertyRuns(edge.runs ?? byDefault) },
  );
  return tally;
}

/** Names that every object would have got by now, and prototypes that were exchanged. */
function pollutionOf(value: unknown): readonly string[] {
  const found: string[] = [];
  for (const name in {}) found.push(name);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return found;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.hasOwn(prototype as object, 'constructor');
  return isPlain ? found : [...found, 'its prototype is input'];
}

/** By shape: errors of Node's own come from another realm under a test runner. */
function isErrorLike(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'message' in error;
}

function nameOf(error: unknown): string {
  return String((error as { name?: unknown }).name);
}
