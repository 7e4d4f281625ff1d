/** What holds of every plan, whatever the world looks like. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RouteEntry } from '../../../providers/provider.ts';
import { cidrsOverlap, formatCidr, sameCidr } from '../../../src/core/ip.ts';
import { createStepCheck } from '../../../src/routing/check-step.ts';
import { cidrKey, insideNetworks } from '../../../src/routing/networks.ts';
import { planRoutes } from '../../../src/routing/plan.ts';
import { isMachine, leadsTo } from '../../../src/routing/plan-writes.ts';
import type { PlanInput, RemovalStep, RoutePlan, RouteStep, WriteStep } from '../../../src/routing/route-plan.ts';
import { afterPlan, afterStep, standing } from './table-model.ts';
import { worlds } from './worlds.ts';

/** What may be written in the networks of these worlds, 10.244.0.0/20 and fd00:10::/60, and what may be deleted. */
const subnet = /^(10\.244\.([0-9]|1[0-5])\.0\/24|fd00:10:0:[0-9a-f]::\/64|fd00:10::\/64)$/;
const partOfNetwork =
  /^(10\.244\.([0-9]|1[0-5])\.\d+\/(2[1-9]|3[0-2])|fd00:10:(0:[0-9a-f])?:.*\/(6[1-9]|[7-9]\d|1[0-2]\d))$/;

const runs = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 300) };

/** Holds the property against plans of many worlds. */
function forAll(check: (input: PlanInput, plan: RoutePlan) => void, world = worlds()): void {
  fc.assert(
    fc.property(world, (input) => check(input, planRoutes(input))),
    runs,
  );
}

const isRemoval = (step: RouteStep): step is RemovalStep => step.action === 'delete' || step.action === 'forget';
const isWrite = (step: RouteStep): step is WriteStep => !isRemoval(step);
const deletions = (plan: RoutePlan) => plan.steps.filter((step) => step.action === 'delete');
/** Of a machine that the cloud calls terminated: by the route, or by our record where the route leads nowhere and names none. */
const terminated = (input: PlanInput, step: RemovalStep & { readonly action: 'delete' }): boolean => {
  const { id, instanceId } = step.expected;
  const nowhere = standing(input, step).some(({ target, state }) => target.id === id && state === 'blackhole');
  const recorded = nowhere && instanceId === undefined && input.terminatedInstances.has(step.record.holder);
  return input.terminatedInstances.has(instanceId ?? id) || recorded;
};
const placeOf = ({ tableId, destination }: Pick<RouteStep, 'tableId' | 'destination'>): string =>
  `${tableId} ${formatCidr(destination)}`;

describe('what is never touched', () => {
  it('writes and deletes nothing outside the networks, and writes only subnets', () => {
    forAll((_, plan) => {
      for (const step of plan.steps) {
        // Told by its text, and not by what the planner tells it by.
        const text = formatCidr(step.destination);
        expect(text).toMatch(isWrite(step) ? subnet : partOfNetwork);
      }
    });
  });

  it('leaves every route that leads to no machine, or that nobody wrote by hand, as it is', () => {
    const untouchable = ({ tables }: PlanInput): readonly (readonly [string, RouteEntry])[] =>
      tables.flatMap(({ id, routes }) =>
        routes
          .filter(({ target, origin }) => !['nic', 'instance', 'address'].includes(target.kind) || origin !== 'static')
          .map((entry) => [id, entry] as const),
      );

    forAll((input, plan) => {
      expect(untouchable(afterPlan(input, plan))).toEqual(untouchable(input));
      for (const step of plan.steps) {
        if ('expected' in step) expect(isMachine(step.expected)).toBe(true);
        if (!isWrite(step)) continue;
        const others = standing(input, step).filter((entry) => !isMachine(entry.target) || entry.origin !== 'static');
        expect(others).toEqual([]);
      }
    });
  });

  it('names every change it makes by what stands there', () => {
    forAll((input, plan) => {
      for (const step of plan.steps) {
        if (!('expected' in step)) continue;
        const named = standing(input, step).map(({ target, handle }) => ({ target, handle }));
        expect(named).toContainEqual({ target: step.expected, handle: step.handle });
      }
    });
  });
});

describe('what is never deleted', () => {
  it('a route that a lease holds, in whole or in part, or that is desired', () => {
    forAll((input, plan) => {
      const live = input.leases.kind === 'known' ? input.leases.live : [];
      for (const { destination } of plan.steps.filter(isRemoval)) {
        for (const subnet of [...live, ...input.desired.map((route) => route.destination)]) {
          expect(cidrsOverlap(subnet, destination)).toBe(false);
        }
      }
    });
  });

  it('anything when leases are unknown, none, of another store or older than what was seen', () => {
    forAll((input, plan) => {
      const { leases } = input;
      const healthy =
        leases.kind === 'known' &&
        leases.live.length > 0 &&
        (leases.remembered === undefined ||
          (leases.remembered.storeId === leases.store.storeId &&
            BigInt(leases.remembered.revision) <= BigInt(leases.store.revision)));
      if (!healthy) expect(plan.steps.filter(isRemoval)).toEqual([]);
    });
  });

  it('a route without a record of it, or with a record of another next hop', () => {
    forAll((input, plan) => {
      for (const step of deletions(plan)) {
        expect(input.records).toContain(step.record);
        expect(placeOf(step.record)).toBe(placeOf(step));
        expect([step.expected.id, step.expected.instanceId]).toContain(step.record.target);
      }
    });
  });

  it('a route or record that somebody is just removing, nor is the route written', () => {
    forAll((input, plan) => {
      for (const { record } of plan.steps.filter(isRemoval)) {
        if (record.removingUntil !== undefined) expect(Date.parse(record.removingUntil)).toBeLessThanOrEqual(input.now);
      }
      const removing = (input.records ?? []).filter(({ removingUntil }) => Date.parse(removingUntil ?? '') > input.now);
      const places = new Set(removing.map(placeOf));
      for (const step of plan.steps) expect(places).not.toContain(placeOf(step));
      for (const { tableId, route } of plan.kept)
        expect(places).not.toContain(placeOf({ tableId, destination: route.destination }));
    });
  });

  it('a route whose lease was missed fewer times than required, unless its instance is terminated', () => {
    forAll((input, plan) => {
      if (input.leases.kind === 'unknown') return;
      for (const step of deletions(plan)) {
        const { destination } = step;
        if (terminated(input, step)) continue;
        const missed = input.leases.absences.get(cidrKey(destination)) ?? 0;
        expect(missed).toBeGreaterThanOrEqual(input.policy.requiredAbsences);
      }
    });
  });

  it('many at once, unless their instances are terminated or a person has said so', () => {
    forAll((input, plan) => {
      const { policy } = input;
      const running = deletions(plan).filter((step) => !terminated(input, step));
      const going = new Set(running.map(({ destination }) => cidrKey(destination))).size;
      const tables = new Set(input.tables.map(({ id }) => id));
      const here = [...(input.records ?? []).filter(({ tableId }) => tables.has(tableId)), ...input.desired];
      const ours = new Set(here.map(({ destination }) => cidrKey(destination))).size;
      const few = going <= policy.massDeleteCount || going <= policy.massDeleteShare * ours;
      expect(few || policy.allowMassDelete).toBe(true);
    });
  });

  it('a record whose route still stands', () => {
    forAll((input, plan) => {
      for (const step of plan.steps) if (step.action === 'forget') expect(standing(input, step)).toEqual([]);
    });
  });
});

describe('a move', () => {
  const countOf = (input: PlanInput, step: RouteStep): number => standing(input, step).length;

  /** For each place of a write, how many routes stand there before the plan and after each of its steps. */
  function histories(input: PlanInput, plan: RoutePlan): ReadonlyMap<string, readonly number[]> {
    const counts = new Map<string, number[]>();
    let world = input;
    for (const step of plan.steps.filter(isWrite)) {
      const history = counts.get(placeOf(step)) ?? [countOf(input, step)];
      world = afterStep(world, step);
      counts.set(placeOf(step), [...history, countOf(world, step)]);
    }
    return counts;
  }

  it('has no gap where the cloud replaces in place', () => {
    forAll((input, plan) => {
      if (!input.capabilities.replacesInPlace || input.capabilities.coexistingRoutes) return;
      for (const history of histories(input, plan).values()) {
        expect([
          [0, 1],
          [1, 1],
        ]).toContainEqual(history);
      }
    });
  });

  it('has no gap where routes coexist and the table has room', () => {
    forAll((input, plan) => {
      if (!input.capabilities.coexistingRoutes || input.tables.some(({ routeLimit }) => routeLimit !== undefined))
        return;
      for (const [before, ...after] of histories(input, plan).values()) {
        if (before !== 0) expect(Math.min(...after)).toBeGreaterThan(0);
      }
    });
  });

  it('has a gap of two calls in a row where the cloud can do neither', () => {
    forAll((input, plan) => {
      if (input.capabilities.replacesInPlace || input.capabilities.coexistingRoutes) return;
      for (const [place, history] of histories(input, plan)) {
        expect([
          [0, 1],
          [1, 0, 1],
        ]).toContainEqual(history);
        const at = plan.steps.flatMap((step, index) => (placeOf(step) === place ? index : []));
        expect((at.at(-1) ?? 0) - (at[0] ?? 0)).toBe(history.length - 2);
      }
    });
  });

  it('says beside what it stands until the other half of it, which takes out just that', () => {
    forAll((input, plan) => {
      for (const step of plan.steps) {
        if (step.action !== 'create') continue;
        const before = standing(input, step).map(({ target, handle, preference }) => ({ target, handle, preference }));
        const later = plan.steps.filter((other) => other.action === 'withdraw' && placeOf(other) === placeOf(step));
        const earlier = later.filter((other) => plan.steps.indexOf(other) < plan.steps.indexOf(step));
        expect(step.beside ?? []).toEqual(earlier.length > 0 ? [] : expect.arrayContaining(before));
        expect(later.length).toBe(before.length);
      }
    });
  });

  it('takes the spare room, and a new destination leaves it', () => {
    forAll((input, plan) => {
      const { spareRoutes = 0, coexistingRoutes } = input.capabilities;
      for (const { tableId, family, used, limit } of plan.use) {
        if (limit === undefined) continue;
        const here = plan.steps.filter((step) => step.tableId === tableId && step.destination.family === family);
        const created = here.filter((step) => step.action === 'create');
        const moved = created.filter((step) => standing(input, step).length > 0);
        const fresh = created.filter((step) => standing(input, step).length === 0);
        if (fresh.length > 0) expect(used + fresh.length).toBeLessThanOrEqual(limit - spareRoutes);
        // With room for one more than is spare, the first move of a plan adds before it deletes.
        const gaps = moved.filter((step) => step.action === 'create' && !step.beside?.length);
        if (coexistingRoutes && created.length === 1 && used < limit) expect(gaps).toEqual([]);
      }
    });
  });

  it('never takes out what leads to the lease', () => {
    forAll((_, plan) => {
      for (const step of plan.steps) {
        if (step.action === 'withdraw' || step.action === 'replace')
          expect(leadsTo(step.expected, step.nextHop)).toBe(false);
      }
    });
  });

  it('names both next hops', () => {
    forAll((_, plan) => {
      for (const step of plan.steps) {
        if (step.action !== 'replace' && step.action !== 'withdraw') continue;
        expect(step.reason).toContain(step.expected.id);
        expect(step.reason).toContain(step.nextHop.nicId);
      }
    });
  });
});

describe('a full table', () => {
  it('never holds more routes at the end than it may, or than stood there', () => {
    forAll((input, plan) => {
      const used = new Map(planRoutes(afterPlan(input, plan)).use.map((use) => [`${use.tableId} ${use.family}`, use]));
      for (const { tableId, family, used: before, limit } of plan.use) {
        const after = used.get(`${tableId} ${family}`)?.used ?? 0;
        if (limit !== undefined) expect(after).toBeLessThanOrEqual(Math.max(limit, before));
      }
    });
  });

  it('never holds more on the way than it may', () => {
    forAll((_, plan) => {
      const writes = plan.steps.filter(isWrite);
      for (const { tableId, family, used, limit } of plan.use) {
        if (limit === undefined) continue;
        // Steps of different destinations go side by side, so that all additions may come before any withdrawal.
        const here = writes.filter((step) => step.tableId === tableId && step.destination.family === family);
        const places = Map.groupBy(here, placeOf);
        const peak = [...places.values()].reduce((sum, steps) => sum + peakOf(steps), used);
        expect(peak).toBeLessThanOrEqual(Math.max(limit, used));
      }
    });
  });

  function peakOf(steps: readonly WriteStep[]): number {
    let now = 0;
    let most = 0;
    for (const { action } of steps) {
      now += action === 'create' ? 1 : action === 'withdraw' ? -1 : 0;
      most = Math.max(most, now);
    }
    return most;
  }
});

describe('a plan', () => {
  it('answers each desired route in each table exactly once', () => {
    forAll((input, plan) => {
      const answers = [
        ...new Set(plan.steps.filter(isWrite).map(placeOf)),
        ...plan.kept.map(({ tableId, route }) => placeOf({ tableId, destination: route.destination })),
        ...plan.held.filter(({ action }) => action === 'write').map(placeOf),
        ...new Set(plan.conflicts.map(placeOf)),
      ].sort();
      const asked = new Set(
        input.desired.flatMap(({ destination }) => input.tables.map(({ id }) => placeOf({ tableId: id, destination }))),
      );
      expect(answers).toEqual([...asked].sort());
    });
  });

  it('says of each route of ours that nobody desires why it stays, or takes it out', () => {
    forAll(
      (input, plan) => {
        if (!input.records) return;
        const answered = new Set([...plan.steps, ...plan.held, ...plan.foreign].map(placeOf));
        for (const { id: tableId, routes } of input.tables) {
          for (const { destination, origin } of routes) {
            if (!destination || origin === 'local' || !insideNetworks(input.networks, destination)) continue;
            if (input.desired.some((route) => sameCidr(route.destination, destination))) continue;
            expect(answered).toContain(placeOf({ tableId, destination }));
          }
        }
      },
      worlds(['all']),
    );
  });

  it('leads to where every written route stands', () => {
    forAll((input, plan) => {
      const after = planRoutes(afterPlan(input, plan));
      const kept = new Set(
        after.kept.map(({ tableId, route }) => placeOf({ tableId, destination: route.destination })),
      );
      const waiting = new Set(after.held.map(placeOf));
      for (const step of plan.steps.filter(isWrite))
        expect(kept.has(placeOf(step)) || waiting.has(placeOf(step))).toBe(true);
      for (const step of plan.steps)
        if (step.action === 'create' || step.action === 'replace') expect(kept).toContain(placeOf(step));
    });
  });

  it('has no step left once it is carried out, but for what waited for room', () => {
    forAll((input, plan) => {
      const waited = new Set(plan.held.filter(({ code }) => code === 'quota').map(placeOf));
      const world = afterPlan(input, plan);
      const second = planRoutes(world);
      expect(second.steps.filter((step) => !waited.has(placeOf(step)))).toEqual([]);
      // What a removal made room for is written then; and then it is really done.
      expect(planRoutes(afterPlan(world, second)).steps).toEqual([]);
    });
  });

  it('is accepted, step by step, by the executor’s own last look', () => {
    forAll((input, plan) => {
      const check = createStepCheck(input);
      for (const step of plan.steps) expect(check(step, new Map(), 0)).toBeUndefined();
    });
  });

  it('does not depend on the order of anything', () => {
    const shuffled = worlds().chain((input) =>
      fc
        .record({
          tables: shuffle(input.tables).chain((tables) =>
            fc.tuple(...tables.map((table) => shuffle(table.routes).map((routes) => ({ ...table, routes })))),
          ),
          desired: shuffle(input.desired),
          records: input.records ? shuffle(input.records) : fc.constant(undefined),
          terminatedInstances: shuffle([...input.terminatedInstances]).map((ids) => new Set(ids)),
          live: shuffle(input.leases.kind === 'known' ? input.leases.live : []),
        })
        .map(({ live, ...parts }) => {
          const leases = input.leases.kind === 'known' ? { ...input.leases, live } : input.leases;
          return [input, { ...input, ...parts, leases }] as const;
        }),
    );

    fc.assert(
      fc.property(shuffled, ([input, other]) => {
        expect(planRoutes(other)).toEqual(planRoutes(input));
      }),
      runs,
    );
  });

  function shuffle<T>(items: readonly T[]): fc.Arbitrary<T[]> {
    return fc.shuffledSubarray([...items], { minLength: items.length });
  }

  it('changes nothing of what it was given', () => {
    forAll((input) => {
      const before = structuredClone(input);
      planRoutes(input);
      expect(input).toEqual(before);
    });
  });
});

describe('an agent’s plan', () => {
  const agents = worlds(['node']);

  it('writes only its own subnets', () => {
    forAll((input, plan) => {
      const own = new Set(input.desired.map(({ destination }) => cidrKey(destination)));
      for (const step of plan.steps.filter(isWrite)) {
        expect(own).toContain(cidrKey(step.destination));
        expect(step.nextHop.nicId).toBe('eni-a');
      }
    }, agents);
  });

  it('collects only recorded routes that were its own, or lead nowhere', () => {
    forAll((input, plan) => {
      for (const step of deletions(plan)) {
        // A propagated route to the same next hop may stand beside it; a deletion never meets that one.
        const [found] = standing(input, step).filter(
          ({ target, origin }) => target.id === step.expected.id && origin === 'static',
        );
        const names = ['eni-a', 'i-a', '10.0.1.1', 'fd00:1::1'];
        const own = [found?.target.id, found?.target.instanceId].some((id) => id !== undefined && names.includes(id));
        expect(own || found?.state === 'blackhole').toBe(true);
        expect(input.records).toContain(step.record);
      }
    }, agents);
  });

  it('forgets only its own records', () => {
    forAll((_, plan) => {
      for (const step of plan.steps) if (step.action === 'forget') expect(step.record.holder).toBe('i-a');
    }, agents);
  });
});

it('meets, in the worlds these tests are about, every action and every reason to wait', () => {
  const met = new Map<string, number>();
  const meet = (what: string): void => void met.set(what, (met.get(what) ?? 0) + 1);
  for (const input of fc.sample(worlds(), { numRuns: 3_000, seed: 1 })) {
    const plan = planRoutes(input);
    for (const { action } of plan.steps) meet(action);
    for (const { code } of plan.held) meet(code);
    if (plan.steps.some(({ action }) => action === 'delete') && input.scope.kind === 'node') meet('delete by an agent');
    if (plan.kept.length > 0) meet('kept');
    for (const step of plan.steps) {
      if (step.action === 'create' && step.beside?.length) meet('create beside');
      if ('expected' in step) meet(`change of a route to one ${step.expected.kind}`);
    }
    if (plan.held.some(({ code, reason }) => code === 'quota' && reason.includes('kept free'))) meet('spare room');
    if (plan.conflicts.length > 0) meet('conflict');
    if (plan.foreign.length > 0) meet('foreign');
  }
  const wanted = [
    ...['create', 'replace', 'withdraw', 'delete', 'forget', 'delete by an agent', 'kept', 'conflict', 'foreign'],
    ...[
      'create beside',
      'spare room',
      ...['nic', 'instance', 'address'].map((kind) => `change of a route to one ${kind}`),
    ],
    ...['not-active', 'outside-network', 'contested', 'quota', 'leases-unknown', 'lease-list-empty', 'store-changed'],
    ...['store-went-back', 'lease-absent-lately', 'lease-live', 'being-removed', 'no-record', 'mass-delete'],
  ];
  expect(wanted.filter((what) => (met.get(what) ?? 0) < 10)).toEqual([]);
});
