/**
 * Runs in front of every test file: gives each property test a seed of its own name, so that the same commit gives the same result
 * everywhere. `PROPERTY_SEED=random` explores anew, and a number repeats what such a run printed.
 */
import { createHash } from 'node:crypto';
import { beforeEach, expect } from '@jest/globals';
import fc from 'fast-check';

const chosen = process.env['PROPERTY_SEED'];

beforeEach(() => {
  if (chosen === 'random') return;
  const name = expect.getState().currentTestName ?? '';
  const seed = chosen === undefined ? createHash('sha256').update(name).digest().readInt32BE() : Number(chosen);
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
});
