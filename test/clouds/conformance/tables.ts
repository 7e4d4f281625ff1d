/** Reading route tables. */
import { expect } from '@jest/globals';
import type { RouteTable, TableSelector } from '../../../providers/provider.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { isMachine, leadsTo } from '../../../src/routing/plan-writes.ts';
import { type Lab, only } from './lab.ts';
import { signal } from './limits.ts';
import { unknownId } from './resolve.ts';
import type { Chapter } from './sentence.ts';

async function read(lab: Lab, more: Partial<TableSelector>): Promise<readonly RouteTable[]> {
  const selector = { tableIds: [], networkId: lab.world.networkId, subnetIds: [], ...more };
  return await (await lab.provider('controller')).tables(selector, signal());
}

const idsOf = (tables: readonly RouteTable[]): readonly string[] => tables.map(({ id }) => id).sort();

export const tables: Chapter = {
  about: 'route tables',
  sentences: [
    {
      says: 'are found by the subnets they serve, each once',
      async holds(lab) {
        const { subnets, tableIds, networkId } = lab.world;
        for (const { id, tableId } of subnets) {
          const [table, ...more] = await read(lab, { subnetIds: [id] });
          expect(more).toEqual([]);
          expect(table).toMatchObject({ id: tableId, networkId });
        }
        const both = await read(lab, { subnetIds: subnets.flatMap(({ id }) => [id, id]) });
        expect(idsOf(both)).toEqual([...tableIds].sort());
      },
    },
    {
      says: 'are those configured, and one that does not exist is named',
      async holds(lab) {
        const { tableIds } = lab.world;
        const missing = unknownId(lab.tableId);

        expect(idsOf(await read(lab, { tableIds }))).toEqual([...tableIds].sort());
        expect(idsOf(await read(lab, { tableIds: [lab.tableId] }))).toEqual([lab.tableId]);
        await expect(read(lab, { tableIds: [lab.tableId, missing] })).rejects.toMatchObject({
          code: 'NOT_FOUND',
          message: expect.stringContaining(missing.split('/').at(-1) ?? ''),
        });
      },
    },
    {
      says: 'that served nodes once are found if they are there',
      async holds(lab) {
        const { tableIds, subnets } = lab.world;
        const alsoIds = [...tableIds, unknownId(lab.tableId)];

        expect(idsOf(await read(lab, { subnetIds: [subnets[0].id], alsoIds }))).toEqual([...tableIds].sort());
        expect(idsOf(await read(lab, { alsoIds }))).toEqual([...tableIds].sort());
      },
    },
    {
      says: 'are found by their tag, which is taken by the letter',
      async holds(lab) {
        const { tag } = lab.subject;
        // Clouds whose tables have none say nothing of it.
        if (!tag) return expect(lab.subject.tag).toBeUndefined();
        const subnetIds = [lab.world.subnets[1].id];

        expect(idsOf(await read(lab, { tag, subnetIds }))).toEqual([lab.tableId]);
        for (const value of ['another', '*']) {
          await expect(read(lab, { tag: { ...tag, value }, subnetIds })).rejects.toMatchObject({
            code: 'NOT_FOUND',
            message: expect.stringContaining(`${tag.key}=${value}`),
            hint: expect.stringContaining('tag'),
          });
        }
        // Configured ones go before it.
        const tableIds = [lab.world.subnets[1].tableId];
        expect(idsOf(await read(lab, { tag, tableIds }))).toEqual(tableIds);
      },
    },
    {
      says: 'show other people’s routes as what is never touched',
      async holds(lab) {
        for (const { routes } of await read(lab, { tableIds: lab.world.tableIds })) {
          const found = routes.filter(({ destinationText }) => destinationText === lab.world.foreignDestination);
          expect(found.length).toBeGreaterThan(0);
          for (const { target, origin, marked } of found) {
            expect(origin !== 'static' || !isMachine(target)).toBe(true);
            expect(marked ?? false).toBe(false);
          }
        }
      },
    },
    {
      says: 'show another hand’s route to a machine for what it is: static, a machine’s, and not marked as ours',
      async holds(lab) {
        const [a, b] = lab.nodes;
        const destination = lab.destination();
        await lab.world.putRoute(lab.tableId, formatCidr(destination), a);

        const found = only(await lab.standing(destination));

        expect(found).toMatchObject({ destination, destinationText: formatCidr(destination), origin: 'static' });
        expect(found.state).toBe('active');
        expect(found.marked ?? false).toBe(false);
        expect(leadsTo(found.target, await lab.hop(a))).toBe(true);
        expect(leadsTo(found.target, await lab.hop(b))).toBe(false);
      },
    },
    {
      says: 'are read to their last page',
      async holds(lab) {
        const destinations = Array.from({ length: 40 }, () => lab.destination());
        for (const destination of destinations) {
          await lab.world.putRoute(lab.tableId, formatCidr(destination), lab.nodes[0]);
        }

        const [table] = await read(lab, { tableIds: [lab.tableId] });

        const shown = new Set(table?.routes.map(({ destinationText }) => destinationText));
        expect(destinations.map(formatCidr).filter((text) => !shown.has(text))).toEqual([]);
      },
    },
  ],
};
