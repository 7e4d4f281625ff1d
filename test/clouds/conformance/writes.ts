/** Changes one by one. */
import { expect } from '@jest/globals';
import type { NextHop, RouteChange } from '../../../providers/provider.ts';
import { type Cidr, type Family, formatCidr } from '../../../src/core/ip.ts';
import { leadsTo } from '../../../src/routing/plan-writes.ts';
import { creation, deletion, type Lab, only, replacement } from './lab.ts';
import { signal } from './limits.ts';
import { unknownId } from './resolve.ts';
import type { Chapter } from './sentence.ts';

/** By the first node's agent. */
export async function apply(lab: Lab, change: RouteChange): Promise<void> {
  await (await lab.provider(lab.nodes[0])).apply(change, signal());
}

/** Created by the first node's agent. */
export async function stands(lab: Lab, destination: Cidr, nextHop: NextHop) {
  await apply(lab, creation(lab, destination, nextHop));
  return only(await lab.standing(destination));
}

/** The first change was made already: whether a cloud says so or takes it as done, nothing else comes of it. */
export async function again(lab: Lab, change: RouteChange): Promise<void> {
  await apply(lab, change).catch((error: unknown) => expect(error).toMatchObject({ code: 'CONFLICT' }));
}

/** Creates, moves where that is one call, and deletes; the data path follows at once. Nothing else changes. */
export async function wholeLife(lab: Lab, family: Family): Promise<void> {
  const destination = lab.destination(family);
  const [a, b] = lab.nodes;
  const [first, second] = [await lab.hop(a), await lab.hop(b)];
  const before = await lab.others([destination]);

  let entry = await stands(lab, destination, first);
  expect(entry).toMatchObject({ destination, origin: 'static', state: 'active' });
  expect(leadsTo(entry.target, first)).toBe(true);
  // Records of ours name the target before the route is written: what is shown must be what was said.
  expect([first.target?.[family]?.id ?? first.nicId]).toContain(entry.target.id);
  if (lab.capabilities.marksRoutes) expect(entry.marked).toBe(true);
  expect(await lab.followed(destination)).toBe(a.nicId);
  if (lab.capabilities.replacesInPlace) {
    await apply(lab, replacement(destination, lab.tableId, entry, second));
    entry = only(await lab.standing(destination));
    expect(leadsTo(entry.target, second)).toBe(true);
    expect(await lab.followed(destination)).toBe(b.nicId);
  }
  for (const tableId of lab.world.tableIds) {
    if (tableId !== lab.tableId) expect(await lab.standing(destination, tableId)).toEqual([]);
  }
  await apply(lab, deletion(destination, lab.tableId, entry));
  expect(await lab.standing(destination)).toEqual([]);
  expect(await lab.followed(destination)).toBeUndefined();
  expect(await lab.others([destination])).toBe(before);
}

export const writes: Chapter = {
  about: 'a change',
  sentences: [
    {
      says: 'creates, shows, replaces and deletes a route, and touches nothing else',
      holds: async (lab) => await wholeLife(lab, 4),
    },
    {
      says: 'is made in each of several tables',
      async holds(lab) {
        const destination = lab.destination();
        const nextHop = await lab.hop(lab.nodes[1]);
        for (const tableId of lab.world.tableIds) {
          await apply(lab, creation(lab, destination, nextHop, tableId));
          expect(await lab.followed(destination, tableId)).toBe(lab.nodes[1].nicId);
        }
        for (const tableId of lab.world.tableIds) {
          await apply(lab, deletion(destination, tableId, only(await lab.standing(destination, tableId))));
          expect(await lab.followed(destination, tableId)).toBeUndefined();
        }
      },
    },
    {
      says: 'that was made already makes nothing more',
      async holds(lab) {
        const destination = lab.destination();
        const [first, second] = [await lab.hop(lab.nodes[0]), await lab.hop(lab.nodes[1])];
        const create = creation(lab, destination, first);
        const created = await stands(lab, destination, first);
        await again(lab, create);
        expect(only(await lab.standing(destination))).toEqual(created);

        if (lab.capabilities.replacesInPlace) {
          const replace = replacement(destination, lab.tableId, created, second);
          await apply(lab, replace);
          const replaced = only(await lab.standing(destination));
          await again(lab, replace);
          expect(only(await lab.standing(destination))).toEqual(replaced);
        }
        const remove = deletion(destination, lab.tableId, only(await lab.standing(destination)));
        await apply(lab, remove);
        await apply(lab, remove);
        expect(await lab.standing(destination)).toEqual([]);
      },
    },
    {
      says: 'that deletes what is not there is done',
      async holds(lab) {
        const destination = lab.destination();
        const { nicId, target } = await lab.hop(lab.nodes[0]);
        const expected = target?.[4] ?? ({ kind: 'nic', id: nicId } as const);
        const before = await lab.others([]);

        await apply(lab, deletion(destination, lab.tableId, { target: expected }));

        expect(await lab.others([])).toBe(before);
      },
    },
    {
      says: 'that creates what stands already is a conflict, and leaves it as it is',
      async holds(lab) {
        const destination = lab.destination();
        const [a] = lab.nodes;
        await lab.world.putRoute(lab.tableId, formatCidr(destination), a);
        const before = await lab.standing(destination);

        const create = creation(lab, destination, await lab.hop(lab.nodes[1]));
        if (lab.capabilities.coexistingRoutes) {
          // It stands beside, and packets go one way.
          const beside = before.map(({ target, handle, preference }) => ({ target, handle, preference }));
          await apply(lab, { ...create, beside });
          expect(await lab.followed(destination)).toMatch(new RegExp(`^(${a.nicId}|${lab.nodes[1].nicId})$`));
        } else {
          await expect(apply(lab, create)).rejects.toMatchObject({ code: 'CONFLICT' });
        }

        expect(await lab.standing(destination)).toEqual(expect.arrayContaining([...before]));
      },
    },
    {
      says: 'that replaces what is not there is refused, and makes nothing',
      async holds(lab) {
        const destination = lab.destination();
        const nextHop = await lab.hop(lab.nodes[0]);
        const target = nextHop.target?.[4] ?? ({ kind: 'nic', id: nextHop.nicId } as const);

        const replaced = apply(lab, replacement(destination, lab.tableId, { target }, nextHop));

        const code = lab.capabilities.replacesInPlace ? 'CONFLICT' : 'INVALID';
        await expect(replaced).rejects.toMatchObject({ code });
        expect(await lab.standing(destination)).toEqual([]);
      },
    },
    {
      says: 'that expects another target than what stands is a conflict, where the cloud can compare',
      async holds(lab) {
        const destination = lab.destination();
        const [a, b] = [await lab.hop(lab.nodes[0]), await lab.hop(lab.nodes[1])];
        const seen = await stands(lab, destination, a);
        // Meanwhile somebody else has taken it out and put another one there.
        await lab.world.removeRoute(lab.tableId, formatCidr(destination));
        await lab.world.putRoute(lab.tableId, formatCidr(destination), lab.nodes[1]);
        const now = only(await lab.standing(destination));
        if (lab.subject.ignoresExpected) {
          // Nothing can be promised; the planner reads shortly before it writes.
          return expect(lab.capabilities.coexistingRoutes ?? false).toBe(false);
        }

        const removed = apply(lab, deletion(destination, lab.tableId, seen));
        // Beside each other, the one that was meant is gone.
        if (lab.capabilities.coexistingRoutes) await again(lab, deletion(destination, lab.tableId, seen));
        else await expect(removed).rejects.toMatchObject({ code: 'CONFLICT' });
        await removed.catch(() => {});
        if (lab.capabilities.replacesInPlace) {
          const replaced = apply(lab, replacement(destination, lab.tableId, seen, a));
          await expect(replaced).rejects.toMatchObject({ code: 'CONFLICT' });
        }

        expect(only(await lab.standing(destination))).toEqual(now);
        expect(leadsTo(now.target, b)).toBe(true);
      },
    },
    {
      says: 'names the table that does not exist',
      async holds(lab) {
        const nextHop = await lab.hop(lab.nodes[0]);
        const missing = unknownId(lab.tableId);

        await expect(apply(lab, creation(lab, lab.destination(), nextHop, missing))).rejects.toMatchObject({
          code: 'NOT_FOUND',
          message: expect.stringContaining(missing.split('/').at(-1) ?? ''),
        });
      },
    },
    {
      says: 'names the machine that does not exist, and writes nothing',
      async holds(lab) {
        const destination = lab.destination();
        const nextHop = await lab.hop(lab.nodes[0]);
        // An address is an address to a cloud that knows routes by nothing else.
        if (nextHop.target?.[4]?.kind === 'address') return expect(nextHop.addresses).not.toHaveLength(0);
        const [nicId, instanceId] = [unknownId(nextHop.nicId), unknownId(nextHop.instanceId ?? '')];
        const target = nextHop.target?.[4];
        const gone: NextHop = {
          ...{ ...nextHop, nicId, instanceId },
          ...(target && { target: { 4: { kind: 'instance', id: instanceId, instanceId } } }),
        };

        const text = new RegExp([nicId, instanceId].map((id) => id.split('/').at(-1)).join('|'));
        await expect(apply(lab, creation(lab, destination, gone))).rejects.toMatchObject({
          code: 'NOT_FOUND',
          message: expect.stringMatching(text),
        });
        expect(await lab.standing(destination)).toEqual([]);
      },
    },
    {
      says: 'and many others are made together by a program that heeds how many the cloud takes',
      async holds(lab) {
        const program = await lab.program();
        const nextHop = await lab.hop(lab.nodes[0]);
        const destinations = Array.from({ length: 12 }, () => lab.destination());
        const places = destinations.flatMap((destination) =>
          lab.world.tableIds.map((tableId) => ({ destination, tableId })),
        );

        await Promise.all(
          places.map(({ destination, tableId }) =>
            program.apply(creation(lab, destination, nextHop, tableId), signal(60_000)),
          ),
        );

        for (const { destination, tableId } of places) {
          expect(await lab.followed(destination, tableId)).toBe(lab.nodes[0].nicId);
        }
      },
    },
  ],
};
