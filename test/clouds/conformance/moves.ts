/** A subnet that goes from one machine to another, by the program's own planner and executor, and what packets meet meanwhile. */
import { expect } from '@jest/globals';
import type { Clock } from '../../../src/core/clock.ts';
import { type Family, formatCidr } from '../../../src/core/ip.ts';
import type { PassResult } from '../../../src/routing/reconciler.ts';
import { type Lab, only } from './lab.ts';
import { reconciling } from './look.ts';
import { createRouteStore, wanted } from './route-store.ts';
import type { Chapter } from './sentence.ts';

/** A controller of its own, with a store of its own. */
export async function controller(lab: Lab, clock?: Clock) {
  const store = createRouteStore();
  const look = reconciling({ ...store, provider: await lab.program(clock) }, lab.world);
  return { store, look };
}

/** Nothing is wrong with it. */
export function expectInSync(result: PassResult): void {
  expect(result.problems.map(({ code, message }) => `${code} ${message}`)).toEqual([]);
  expect(result.inSync).toBe(true);
}

/** Runs of the same state count once. */
function stages(states: readonly (string | undefined)[]): readonly (string | undefined)[] {
  return states.filter((state, at) => at === 0 || state !== states[at - 1]);
}

/** What packets may meet from one NIC to the other: without a gap, unless the cloud can do neither. */
export function allowedStages(lab: Lab, from: string, to: string): readonly (readonly (string | undefined)[])[] {
  const { replacesInPlace, coexistingRoutes } = lab.capabilities;
  return replacesInPlace || coexistingRoutes ? [[from, to]] : [[from, undefined, to]];
}

/** There, back and there again: clouds that let two routes stand take turns in which of them is the new one. */
export async function moves(lab: Lab, family: Family): Promise<void> {
  const destination = lab.destination(family);
  const { store, look } = await controller(lab);
  const [a, b] = lab.nodes;
  store.putLease(destination, a);
  const before = await lab.others([destination]);
  expectInSync(await look([await wanted(lab, destination, a)]));
  for (const [from, to] of [
    [a, b],
    [b, a],
    [a, b],
  ] as const) {
    store.putLease(destination, to);
    const desired = [await wanted(lab, destination, to)];
    const seen = await lab.watching(destination, async () => expectInSync(await look(desired)));

    for (const states of seen.values()) {
      expect(states.length).toBeGreaterThan(2);
      expect(allowedStages(lab, from.nicId, to.nicId)).toContainEqual(stages(states));
    }
    for (const tableId of lab.world.tableIds) only(await lab.standing(destination, tableId));
  }
  expect(await lab.others([destination])).toBe(before);
}

export const movesChapter: Chapter = {
  about: 'a move',
  sentences: [
    {
      says: 'has no moment without a route, or with packets split, where the cloud can do that; and one gap where it can’t',
      holds: async (lab) => await moves(lab, 4),
    },
    {
      says: 'of a route that another hand wrote takes its place the same way',
      async holds(lab) {
        const destination = lab.destination();
        const { store, look } = await controller(lab);
        const [a, b] = lab.nodes;
        store.putLease(destination, b);
        for (const tableId of lab.world.tableIds) await lab.world.putRoute(tableId, formatCidr(destination), a);
        const desired = [await wanted(lab, destination, b)];

        const seen = await lab.watching(destination, async () => expectInSync(await look(desired)));

        for (const states of seen.values()) {
          expect(allowedStages(lab, a.nicId, b.nicId)).toContainEqual(stages(states));
        }
      },
    },
    {
      says: 'finds room in a table that is full but for what is kept free for moves',
      async holds(lab) {
        const destination = lab.destination();
        const { store, look } = await controller(lab);
        const [a, b] = lab.nodes;
        store.putLease(destination, a);
        expectInSync(await look([await wanted(lab, destination, a)]));
        await fill(lab, lab.capabilities.spareRoutes ?? 0);
        store.putLease(destination, b);
        const desired = [await wanted(lab, destination, b)];

        const seen = await lab.watching(destination, async () => expectInSync(await look(desired)));

        for (const states of seen.values()) {
          expect(allowedStages(lab, a.nicId, b.nicId)).toContainEqual(stages(states));
        }
      },
    },
    {
      says: 'is written once, and not again when all stands',
      async holds(lab) {
        const destination = lab.destination();
        const { store, look } = await controller(lab);
        store.putLease(destination, lab.nodes[0]);
        const desired = [await wanted(lab, destination, lab.nodes[0])];
        expectInSync(await look(desired));

        const requests = await lab.requestsOf(async () => expectInSync(await look(desired)));

        expect(requests.filter(({ changes }) => changes)).toEqual([]);
      },
    },
  ],
};

/** Lowers the limit so that every table has room for so many more routes, or more. */
export async function fill(lab: Lab, room: number): Promise<void> {
  const tables = await lab.tables();
  const used = tables.map(
    ({ routes }) =>
      routes.filter(({ origin, destination }) => origin !== 'propagated' && (destination?.family ?? 4) === 4).length,
  );
  lab.world.setRouteLimit(Math.max(...used) + room);
}
