/** Several changes in one call, where the cloud has such a call. */
import { expect } from '@jest/globals';
import type { ChangeResult, CloudProvider, RouteChange } from '../../../providers/provider.ts';
import { type Cidr, formatCidr } from '../../../src/core/ip.ts';
import { leadsTo } from '../../../src/routing/plan-writes.ts';
import { creation, deletion, type Lab, only, replacement } from './lab.ts';
import { signal } from './limits.ts';
import type { Chapter } from './sentence.ts';
import { stands } from './writes.ts';

type Batches = NonNullable<CloudProvider['applyBatch']>;

/** The controller's, or undefined where the cloud has none: then that is what is asserted. */
async function batchesOf(lab: Lab): Promise<Batches | undefined> {
  const provider = await lab.provider('controller');
  const { applyBatch } = provider;
  if (lab.capabilities.batchSize > 1) {
    if (!applyBatch) throw new Error(`batches of ${lab.capabilities.batchSize}, and no applyBatch`);
    return (...given) => applyBatch.apply(provider, given);
  }
  expect(applyBatch).toBeUndefined();
  return undefined;
}

const codes = (results: readonly ChangeResult[]) => results.map((result) => result?.code ?? 'made');

/** Of two creations, a replacement and a deletion, in this order. */
async function mixture(
  lab: Lab,
): Promise<{ readonly changes: readonly RouteChange[]; readonly destinations: readonly Cidr[] }> {
  const [first, second] = [await lab.hop(lab.nodes[0]), await lab.hop(lab.nodes[1])];
  const destinations = [lab.destination(), lab.destination(), lab.destination(), lab.destination()] as const;
  const [one, two, moved, gone] = destinations;
  const standing = await stands(lab, moved, first);
  const doomed = await stands(lab, gone, first);
  const changes = [
    creation(lab, one, first),
    creation(lab, two, second),
    replacement(moved, lab.tableId, standing, second),
    deletion(gone, lab.tableId, doomed),
  ];
  return { changes, destinations };
}

export const batches: Chapter = {
  about: 'a batch',
  sentences: [
    {
      says: 'creates, replaces and deletes together, and touches nothing else',
      async holds(lab) {
        const apply = await batchesOf(lab);
        if (!apply) return;
        const { changes, destinations } = await mixture(lab);
        const before = await lab.others(destinations);

        const results = await apply(lab.tableId, changes, signal());

        expect(codes(results)).toEqual(changes.map(() => 'made'));
        const [a, b] = lab.nodes;
        const followed = await Promise.all(destinations.map((destination) => lab.followed(destination)));
        expect(followed).toEqual([a.nicId, b.nicId, b.nicId, undefined]);
        if (lab.capabilities.marksRoutes) {
          for (const one of destinations.slice(0, 2)) expect(only(await lab.standing(one)).marked).toBe(true);
        }
        expect(await lab.others(destinations)).toBe(before);
      },
    },
    {
      says: 'says of each change what became of it, in order',
      async holds(lab) {
        const apply = await batchesOf(lab);
        if (!apply) return;
        const [first, second] = [await lab.hop(lab.nodes[0]), await lab.hop(lab.nodes[1])];
        const [taken, free, absent] = [lab.destination(), lab.destination(), lab.destination()];
        await lab.world.putRoute(lab.tableId, formatCidr(taken), lab.nodes[0]);
        const others = only(await lab.standing(taken));

        const results = await apply(
          lab.tableId,
          [
            creation(lab, taken, second),
            creation(lab, free, second),
            replacement(absent, lab.tableId, others, first),
            deletion(lab.destination(), lab.tableId, others),
          ],
          signal(),
        );

        expect(codes(results)).toEqual(['CONFLICT', 'made', 'CONFLICT', 'made']);
        expect(only(await lab.standing(taken))).toEqual(others);
        expect(leadsTo(only(await lab.standing(free)).target, second)).toBe(true);
        expect(await lab.standing(absent)).toEqual([]);
      },
    },
    {
      says: 'that was made already changes nothing more',
      async holds(lab) {
        const apply = await batchesOf(lab);
        if (!apply) return;
        const { changes } = await mixture(lab);
        await apply(lab.tableId, changes, signal());
        const before = await lab.others([]);

        const results = await apply(lab.tableId, changes, signal());

        for (const code of codes(results)) expect(['made', 'CONFLICT']).toContain(code);
        expect(await lab.others([])).toBe(before);
      },
    },
    {
      says: 'of nothing costs no request',
      async holds(lab) {
        const apply = await batchesOf(lab);
        if (!apply) return;
        let results: readonly ChangeResult[] | undefined;
        const requests = await lab.requestsOf(async () => {
          results = await apply(lab.tableId, [], signal());
        });

        expect(results).toEqual([]);
        expect(requests).toEqual([]);
      },
    },
    {
      says: 'of many costs few requests',
      async holds(lab) {
        const apply = await batchesOf(lab);
        if (!apply) return;
        const nextHop = await lab.hop(lab.nodes[0]);
        const many = Math.min(lab.capabilities.batchSize, 40);
        const changes = Array.from({ length: many }, () => creation(lab, lab.destination(), nextHop));

        const requests = await lab.requestsOf(async () => {
          expect(codes(await apply(lab.tableId, changes, signal()))).toEqual(changes.map(() => 'made'));
        });

        expect(requests.filter((request) => request.changes).length).toBeLessThan(many / 4);
        expect(requests.length).toBeLessThan(many);
      },
    },
    {
      says: 'that the cloud makes half of is never called made where it was not, and the rest can be made after it',
      async holds(lab) {
        const apply = await batchesOf(lab);
        if (!apply) return;
        const nextHop = await lab.hop(lab.nodes[0]);
        const changes = Array.from({ length: 6 }, () => creation(lab, lab.destination(), nextHop));
        const operation = await writingOf(lab, apply);
        const before = await lab.others(changes.map(({ destination }) => destination));
        lab.world.inject({ operation, effect: { kind: 'half' } });

        const results = await apply(lab.tableId, changes, signal()).catch((error: unknown) => {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(TRANSIENT|CONFLICT|THROTTLED)$/) });
          return undefined;
        });

        for (const [at, result] of (results ?? []).entries()) {
          const { destination } = changes[at] ?? {};
          if (destination && result === undefined) expect(await lab.followed(destination)).toBe(lab.nodes[0].nicId);
        }
        lab.world.clearFaults();
        const missing: RouteChange[] = [];
        for (const change of changes) {
          if ((await lab.standing(change.destination)).length === 0) missing.push(change);
        }
        expect(results === undefined || results.some((result) => result !== undefined)).toBe(true);
        expect(codes(await apply(lab.tableId, missing, signal()))).toEqual(missing.map(() => 'made'));
        for (const { destination } of changes) {
          expect(await lab.followed(destination)).toBe(lab.nodes[0].nicId);
          only(await lab.standing(destination));
        }
        expect(await lab.others(changes.map(({ destination }) => destination))).toBe(before);
      },
    },
  ],
};

/** The request by which a batch of creations is made. */
async function writingOf(lab: Lab, apply: Batches): Promise<RegExp> {
  const nextHop = await lab.hop(lab.nodes[0]);
  const changes = [creation(lab, lab.destination(), nextHop), creation(lab, lab.destination(), nextHop)];
  const requests = await lab.requestsOf(() => apply(lab.tableId, changes, signal()));
  return exactly(requests.filter((request) => request.changes).at(-1)?.operation);
}

/** Strikes the operation of that name alone. */
export function exactly(operation: string | undefined): RegExp {
  if (operation === undefined) throw new Error('nothing was asked of the cloud');
  return new RegExp(`^${operation.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
}
