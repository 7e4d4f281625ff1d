/** A hundred nodes that come and go for an hour of simulated time, and controllers that would be found out. */
import { describe, expect, it } from '@jest/globals';
import { recordFigure, sizeOfRun } from '../../support/figures.ts';
import { carelessController } from './careless.ts';
import type { Cluster, Controller } from './cluster.ts';
import { type Hour, liveAnHour } from './hour.ts';

/** CI: one hour, one seed. Long: twenty seeds. CHURN_SEED repeats one. */
const size = sizeOfRun();
const chosen = process.env['CHURN_SEED'];
const seeds =
  chosen === undefined ? { ci: [1], long: Array.from({ length: 20 }, (_, at) => at + 1) }[size] : [Number(chosen)];
const nodes = 100;
const seconds = 3_600;
const hours: Hour[] = [];

describe.each(seeds)('an hour of a hundred nodes by the seed %i', (seed) => {
  it('changes no route of others, keeps every lease its route, and leaves nothing behind', async () => {
    const hour = await liveAnHour({ seed, nodes, seconds });
    expect([...hour.findings.wrong]).toEqual([]);
    // Enough happened, and everything that ran has ended.
    expect(hour).toMatchObject({ timersLeft: 0 });
    expect(hour.joins).toBeGreaterThan(nodes);
    expect(Math.min(hour.leaves, hour.faults)).toBeGreaterThan(20);
    expect(hour.findings.longest.stale).toBeGreaterThan(0);
    hours.push(hour);
    if (hours.length < seeds.length) return;
    const sum = (what: 'joins' | 'leaves' | 'faults' | 'leaders'): number =>
      hours.reduce((all, each) => all + each[what], 0);
    const longest = (what: 'missing' | 'stale'): number =>
      Math.max(...hours.map(({ findings }) => findings.longest[what])) / 1_000;
    await recordFigure({
      ...{ section: 'churn', what: 'nodes come and go for an hour of simulated time', size },
      load: `${nodes} nodes, 2 controllers, 3 tables, seeds ${seeds[0]} to ${seeds.at(-1)}: ${sum('joins')} joins, ${sum('leaves')} leaves, ${sum('faults')} faults, ${sum('leaders')} leaders lost`,
      outcome: `no route of others changed; a lease without its route for ${longest('missing')} s at most, a route without its lease for ${longest('stale')} s; no timer left`,
    });
  }, 300_000);
});

describe('a controller that', () => {
  const wrongs: readonly (readonly [string, RegExp, (cluster: Cluster, holder: string) => Controller])[] = [
    [
      'takes an empty list of leases for the truth',
      /^lost/,
      (cluster) => carelessController(cluster, { believesEmpty: true }),
    ],
    ['asks nobody whose a route is', /^foreign/, (cluster) => carelessController(cluster, { takesAllForOurs: true })],
    [
      'never deletes',
      /^stale/,
      (cluster, holder) => cluster.controller(holder, { requiredAbsences: Number.POSITIVE_INFINITY }),
    ],
  ];

  it.each(wrongs)(
    '%s is found out',
    async (_, wrong, controller) => {
      const hour = await liveAnHour({ seed: 1, nodes: 30, seconds: 3_600, leadersStay: true, controller });
      expect([...hour.findings.wrong]).toContainEqual(expect.stringMatching(wrong));
    },
    300_000,
  );

  it('is made with care is not, under the same circumstances', async () => {
    const hour = await liveAnHour({
      seed: 1,
      nodes: 30,
      seconds: 3_600,
      controller: (cluster) => carelessController(cluster, {}),
    });
    expect([...hour.findings.wrong].filter((each) => /^(lost|missing|foreign)/.test(each))).toEqual([]);
  }, 300_000);
});
