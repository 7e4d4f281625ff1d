/** Giving up before and in the middle, and being killed there. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type { CloudProvider } from '../../../providers/provider.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { ip } from '../../support/addresses.ts';
import { creation, deletion, type Lab, only } from './lab.ts';
import { allowedStages } from './moves.ts';
import { createRouteStore, wanted } from './route-store.ts';
import type { Chapter } from './sentence.ts';
import { startWriter } from './writer-process.ts';
import { again } from './writes.ts';

/** Every call of the seam, with a signal. */
async function calls(
  lab: Lab,
): Promise<readonly ((provider: CloudProvider, signal: AbortSignal) => Promise<unknown>)[]> {
  const { networkId, tableIds } = lab.world;
  const [node] = lab.nodes;
  const nextHop = await lab.hop(node);
  const destination = lab.destination();
  const target = nextHop.target?.[4] ?? ({ kind: 'nic', id: nextHop.nicId } as const);
  const { applyBatch } = await lab.provider('controller');
  return [
    (provider, inner) => provider.resolve([{ address: ip(node.address), networkId }], inner),
    (provider, inner) => provider.instances([node.id], inner),
    (provider, inner) => provider.tables({ tableIds, networkId, subnetIds: [] }, inner),
    (provider, inner) => provider.apply(creation(lab, destination, nextHop), inner),
    (provider, inner) => provider.apply(deletion(destination, lab.tableId, { target }), inner),
    ...(lab.capabilities.forwarding.settable
      ? [(provider: CloudProvider, inner: AbortSignal) => provider.prepare(nextHop, inner)]
      : []),
    ...(applyBatch
      ? [
          (provider: CloudProvider, inner: AbortSignal) =>
            provider.applyBatch?.(lab.tableId, [creation(lab, destination, nextHop)], inner) ?? Promise.resolve(),
        ]
      : []),
  ];
}

export const abortAndKill: Chapter = {
  about: 'giving up',
  sentences: [
    {
      says: 'beforehand ends every call with an AbortError, and nothing is asked',
      async holds(lab) {
        const provider = await lab.provider('controller');
        const all = await calls(lab);
        const before = await lab.others([]);

        const requests = await lab.requestsOf(async () => {
          for (const call of all) {
            await expect(call(provider, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
          }
          const identified = (await lab.provider(lab.nodes[0])).identify(AbortSignal.abort());
          await expect(identified).rejects.toMatchObject({ name: 'AbortError' });
        });

        expect(requests).toEqual([]);
        expect(await lab.others([])).toBe(before);
      },
    },
    {
      says: 'in the middle ends a read at once with an AbortError',
      async holds(lab) {
        const provider = await lab.provider('controller');
        const { networkId, tableIds } = lab.world;
        lab.world.inject({ effect: { kind: 'delay', ms: 2_000 } });
        const giveUp = new AbortController();
        setTimeout(() => giveUp.abort(), 100);
        const started = performance.now();

        const read = provider.tables({ tableIds, networkId, subnetIds: [] }, giveUp.signal);

        await expect(read).rejects.toMatchObject({ name: 'AbortError' });
        expect(performance.now() - started).toBeLessThan(1_500);
      },
    },
    {
      says: 'in the middle of a change ends it at once, and the change can be made again',
      async holds(lab) {
        const nextHop = await lab.hop(lab.nodes[0]);
        const change = creation(lab, lab.destination(), nextHop);
        const before = await lab.others([change.destination]);
        lab.world.setOperationDelay(700);
        const giveUp = new AbortController();
        setTimeout(() => giveUp.abort(), 150);
        const started = performance.now();

        const applied = (await lab.provider(lab.nodes[0])).apply(change, giveUp.signal);

        await expect(applied).rejects.toMatchObject({ name: 'AbortError' });
        expect(performance.now() - started).toBeLessThan(600);
        // What is on the wire may still take effect, and with it an operation that holds up others.
        await delay(800);
        lab.world.setOperationDelay(0);
        await again(lab, change);
        only(await lab.standing(change.destination));
        expect(await lab.followed(change.destination)).toBe(lab.nodes[0].nicId);
        expect(await lab.others([change.destination])).toBe(before);
      },
    },
    {
      says: 'by a deadline is no AbortError: it passes by itself',
      async holds(lab) {
        const provider = await lab.provider('controller');
        const { networkId, tableIds } = lab.world;
        lab.world.inject({ effect: { kind: 'delay', ms: 1_000 } });

        const read = provider.tables({ tableIds, networkId, subnetIds: [] }, AbortSignal.timeout(100));

        const error = await read.catch((thrown: unknown) => thrown);
        expect((error as Error).name === 'TimeoutError' || (error as { code?: unknown }).code === 'TRANSIENT').toBe(
          true,
        );
      },
    },
    {
      says: 'for good, by SIGKILL at any moment, leaves what the next process makes whole',
      holds: killed,
    },
  ],
};

/**
 * Six subnets to be written, two to be moved, a route of ours that has outlived its lease, and another hand's route inside the
 * network. Processes are killed one after the other; the last one is left alone.
 */
async function killed(lab: Lab): Promise<void> {
  const store = createRouteStore();
  const [a, b] = lab.nodes;
  const ours = Array.from({ length: 8 }, () => lab.destination());
  const [stale, foreign] = [lab.destination(), lab.destination()];
  const moved = ours.filter((_, at) => at % 4 === 0);
  for (const destination of moved) store.putLease(destination, a);
  const former = [...moved, stale];
  const earlier = await startWriter(lab, store, await Promise.all(former.map((each) => wanted(lab, each, a))));
  expect(await earlier.ended).toEqual({ inSync: true, problems: [] });
  for (const tableId of lab.world.tableIds) await lab.world.putRoute(tableId, formatCidr(foreign), a);
  const before = await lab.others([...ours, stale]);
  const desired = await Promise.all(
    ours.map(async (destination, at) => {
      const node = at % 2 === 0 ? b : a;
      store.putLease(destination, node);
      return await wanted(lab, destination, node);
    }),
  );

  const points: number[] = [];
  const work = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      // Each event is a call of the store or a change of the cloud; a cloud may make many changes by one.
      const point = 1 + Math.floor(Math.random() * 2 ** (round + 2));
      points.push(point);
      let events = 0;
      const writer = await startWriter(lab, store, desired, () => {
        events += 1;
        if (events === point) writer.kill();
      });
      const stop = lab.onEachChange(() => {
        events += 1;
        if (events === point) writer.kill();
      });
      await writer.ended;
      stop();
    }
    store.endRemovals();
    const last = await startWriter(lab, store, desired);
    expect({ points, ...(await last.ended) }).toEqual({ points, inSync: true, problems: [] });
  };
  const seen = await lab.watching(only(moved.slice(0, 1)), work);

  for (const { destination, nextHop } of desired) {
    for (const tableId of lab.world.tableIds) {
      expect(await lab.followed(destination, tableId)).toBe(nextHop.nicId);
      only(await lab.standing(destination, tableId));
    }
  }
  for (const tableId of lab.world.tableIds) expect(await lab.standing(stale, tableId)).toEqual([]);
  expect(await lab.others([...ours, stale])).toBe(before);
  const states = [...seen.values()].flat();
  const allowed = allowedStages(lab, a.nicId, b.nicId).flat();
  for (const state of states) expect(allowed).toContain(state);
  // The record of every route is there still, and no other.
  const recorded = new Set([...store.world.records().values()].map(({ destination }) => formatCidr(destination)));
  expect([...recorded].sort()).toEqual(ours.map(formatCidr).sort());
}
