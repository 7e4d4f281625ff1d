/** Reads that are old, and clouds that have had too much. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { withBudget } from '../../../providers/budget.ts';
import { isFlannelVpcError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { around } from './around.ts';
import { exactly } from './batches.ts';
import { creation, deletion, hurriedClock, only } from './lab.ts';
import { signal } from './limits.ts';
import { controller, expectInSync } from './moves.ts';
import { wanted } from './route-store.ts';
import type { Chapter } from './sentence.ts';
import { apply, stands } from './writes.ts';

export const lagAndThrottle: Chapter = {
  about: 'a cloud that is slow of understanding',
  sentences: [
    {
      says: 'is given the time that it asks for, and asked again',
      async holds(lab) {
        const provider = await lab.provider('controller');
        const nextHop = await lab.hop(lab.nodes[0]);
        const rehearsal = creation(lab, lab.destination(), nextHop);
        const requests = await lab.requestsOf(() => provider.apply(rehearsal, signal()));
        const operation = exactly(requests.filter(({ changes }) => changes)[0]?.operation);
        const change = creation(lab, lab.destination(), nextHop);
        lab.world.inject({ operation, times: 2, effect: { kind: 'refuse', as: 'throttled' } });
        const asked: number[] = [];
        const pauses: number[] = [];
        const listening = around(provider, {
          async apply(...given) {
            await provider.apply(...given).catch((error: unknown) => {
              if (isFlannelVpcError(error, 'THROTTLED')) asked.push(error.retryAfterMs ?? 0);
              throw error;
            });
          },
        });
        const parts = { clock: hurriedClock((ms) => void pauses.push(ms)), random: Math.random, logger: silentLogger };

        await withBudget(listening, parts).apply(change, signal());

        expect(await lab.followed(change.destination)).toBe(lab.nodes[0].nicId);
        expect(asked).toHaveLength(2);
        for (const ms of asked) expect(pauses.filter((pause) => pause > 0 && pause >= ms).length).toBeGreaterThan(0);
      },
    },
    {
      says: 'says THROTTLED by itself, and all is written in the end',
      async holds(lab) {
        const nextHop = await lab.hop(lab.nodes[0]);
        const changes = Array.from({ length: 6 }, () => creation(lab, lab.destination(), nextHop));
        lab.world.setThrottle({ burst: 3, perSecond: 20 });
        const provider = await lab.provider('controller');
        const selector = { tableIds: lab.world.tableIds, networkId: lab.world.networkId, subnetIds: [] };

        const hurried = await Promise.allSettled(Array.from({ length: 24 }, () => provider.tables(selector, signal())));
        const refused = hurried.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
        expect(refused.length).toBeGreaterThan(0);
        for (const error of refused) expect(error).toMatchObject({ code: 'THROTTLED' });

        lab.world.setThrottle({ burst: 20, perSecond: 40 });
        const program = await lab.program();
        await Promise.all(changes.map((change) => program.apply(change, signal(60_000))));
        lab.world.setThrottle(undefined);
        for (const { destination } of changes) expect(await lab.followed(destination)).toBe(lab.nodes[0].nicId);
      },
    },
    {
      says: 'shows late what was written, and is not written to again for that',
      async holds(lab) {
        const destination = lab.destination();
        const { store, look } = await controller(lab);
        store.putLease(destination, lab.nodes[0]);
        const desired = [await wanted(lab, destination, lab.nodes[0])];
        lab.world.setReadLag(700);

        const seen = await lab.watching(destination, async () => expectInSync(await look(desired)));

        // Before, once for each table, and after.
        for (const states of seen.values())
          expect(states.filter((state) => state === undefined).length).toBeGreaterThan(0);
        for (const [id, states] of seen) {
          const first = states.indexOf(lab.nodes[0].nicId);
          expect(states.slice(first).every((state) => state === lab.nodes[0].nicId)).toBe(true);
          lab.world.setReadLag(0);
          only(await lab.standing(destination, id));
        }
      },
    },
    {
      says: 'shows late what is gone, and nothing else is taken for it',
      async holds(lab) {
        const destination = lab.destination();
        const before = await lab.others([destination]);
        const entry = await stands(lab, destination, await lab.hop(lab.nodes[0]));
        lab.world.setReadLag(500);
        // Until it can be seen that it stands; who deletes it has seen it.
        await delay(600);
        await apply(lab, deletion(destination, lab.tableId, entry));

        // By a read from before: done, or told that it is too old.
        await apply(lab, deletion(destination, lab.tableId, entry)).catch((error: unknown) =>
          expect(error).toMatchObject({ code: expect.stringMatching(/^(CONFLICT|TRANSIENT)$/) }),
        );

        lab.world.setReadLag(0);
        expect(await lab.standing(destination)).toEqual([]);
        expect(await lab.others([destination])).toBe(before);
      },
    },
    {
      says: 'takes its time for a change, and the change is done when that is over, not before',
      async holds(lab) {
        const destination = lab.destination();
        const nextHop = await lab.hop(lab.nodes[0]);
        lab.world.setOperationDelay(400);
        const started = performance.now();

        await apply(lab, creation(lab, destination, nextHop));

        expect(performance.now() - started).toBeGreaterThan(300);
        expect(await lab.followed(destination)).toBe(lab.nodes[0].nicId);
        expect(only(await lab.standing(destination)).state).toBe('active');
      },
    },
  ],
};
