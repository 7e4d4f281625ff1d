/** Hostile input at every edge: thousands of inputs each, and none ends the program, hangs it, or gets further than its reader. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { recordFigure, sizeOfRun } from '../../support/figures.ts';
import { type Edge, type Tally, tryMany, tryOne } from './edge.ts';
import { edges } from './edges.ts';

/** Inputs of each edge: CI's, and those of FAULTS=long. PROPERTY_RUNS asks for any other number. */
const inputs = { ci: 500, long: 20_000 }[sizeOfRun()];
const tallies = new Map<string, Tally>();

describe.each(edges.map((edge) => [edge.name, edge] as const))('%s', (name, edge: Edge) => {
  it('is taken where it is sound', async () => {
    for (const sound of edge.sound) expect(await tryOne(edge, sound)).toBe(true);
  });

  it('does no harm where it is hostile', async () => {
    const tally = await tryMany(edge, inputs);
    expect(tally.tried).toBeGreaterThan(0);
    tallies.set(name, tally);
  }, 600_000);
});

afterAll(async () => {
  if (tallies.size < edges.length) return;
  const all = [...tallies.values()];
  const tried = all.reduce((sum, tally) => sum + tally.tried, 0);
  await recordFigure({
    section: 'input',
    what: 'hostile input at each edge',
    load: `${tallies.size} edges, ${tried} inputs`,
    size: sizeOfRun(),
    outcome: `0 crashes, slowest answer ${Math.ceil(Math.max(...all.map((tally) => tally.slowestMs)))} ms`,
  });
});
