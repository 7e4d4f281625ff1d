/** What goes wrong at a cloud, as one of the seam's errors. */
import { expect } from '@jest/globals';
import type { CloudProvider } from '../../../providers/provider.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { ip } from '../../support/addresses.ts';
import type { CloudFault } from '../cloud-world.ts';
import { exactly } from './batches.ts';
import { creation, deletion, hurriedClock, type Lab, only, replacement } from './lab.ts';
import { signal } from './limits.ts';
import { controller, expectInSync } from './moves.ts';
import { wanted } from './route-store.ts';
import type { Chapter, Sentence } from './sentence.ts';
import { again, apply, stands } from './writes.ts';

type Call = (provider: CloudProvider) => Promise<unknown>;
type Effect = CloudFault['effect'];

/** Reads of the seam, each of which a fault may strike. */
export function reads(lab: Lab): Readonly<Record<string, Call>> {
  const { networkId, tableIds, subnets } = lab.world;
  const [node] = lab.nodes;
  const claim = { address: ip(node.address), networkId };
  return {
    resolve: (provider) => provider.resolve([claim], signal()),
    instances: (provider) => provider.instances([node.id], signal()),
    'tables by id': (provider) => provider.tables({ tableIds, networkId, subnetIds: [] }, signal()),
    'tables by subnet': (provider) =>
      provider.tables({ tableIds: [], networkId, subnetIds: [subnets[0].id] }, signal()),
  };
}

async function failureOf(work: Promise<unknown>): Promise<FlannelVpcError> {
  const error = await work.then(
    () => new Error('nothing went wrong'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof FlannelVpcError) return error;
  throw error;
}

/** Strikes the first request of each read, and the one that writes of each kind of write. */
async function struck(lab: Lab, effect: Effect, check: (error: FlannelVpcError, what: string) => void): Promise<void> {
  const provider = await lab.provider('controller');
  for (const [what, call] of Object.entries(reads(lab))) {
    lab.world.clearFaults();
    lab.world.inject({ effect });
    check(await failureOf(call(provider)), what);
  }
  lab.world.clearFaults();
  await struckWrites(lab, effect, check);
}

/** The same for writes; each leaves the table as it was. */
async function struckWrites(
  lab: Lab,
  effect: Effect,
  check: (error: FlannelVpcError, what: string) => void,
  kinds: readonly string[] = ['create', 'replace', 'delete'],
): Promise<void> {
  const provider = await lab.provider('controller');
  const [first, second] = [await lab.hop(lab.nodes[0]), await lab.hop(lab.nodes[1])];
  const write = async (kind: string) => {
    const destination = lab.destination();
    if (kind === 'create') return creation(lab, destination, first);
    const entry = await stands(lab, destination, first);
    return kind === 'delete'
      ? deletion(destination, lab.tableId, entry)
      : replacement(destination, lab.tableId, entry, second);
  };
  for (const kind of kinds) {
    if (kind === 'replace' && !lab.capabilities.replacesInPlace) continue;
    const rehearsal = await write(kind);
    const requests = await lab.requestsOf(() => provider.apply(rehearsal, signal()));
    const change = await write(kind);
    const before = await lab.standing(change.destination);
    lab.world.inject({ operation: exactly(requests.filter(({ changes }) => changes)[0]?.operation), effect });

    check(await failureOf(provider.apply(change, signal())), kind);

    lab.world.clearFaults();
    expect(await lab.standing(change.destination)).toEqual(before);
  }
}

function strikes(says: string, effect: Effect, check: (error: FlannelVpcError, what: string) => void): Sentence {
  return { says, holds: async (lab) => await struck(lab, effect, check) };
}

const coded =
  (...codes: readonly string[]) =>
  (error: FlannelVpcError, what: string): void =>
    expect(`${what}: ${error.code}`).toMatch(new RegExp(`: (${codes.join('|')})$`));

export const errors: Chapter = {
  about: 'what goes wrong',
  sentences: [
    strikes('is called THROTTLED when it is too many requests', { kind: 'refuse', as: 'throttled' }, (error, what) => {
      coded('THROTTLED')(error, what);
      if (error.retryAfterMs !== undefined) expect(error.retryAfterMs).toBeGreaterThan(0);
    }),
    strikes(
      'is called PERMISSION_DENIED when a right is missing, and says which and what to do',
      { kind: 'refuse', as: 'denied' },
      (error, what) => {
        coded('PERMISSION_DENIED')(error, what);
        expect(error.details['action']).toEqual(expect.stringMatching(/./));
        expect(error.hint).toEqual(expect.stringMatching(/./));
      },
    ),
    strikes('is called TRANSIENT when the cloud itself fails', { kind: 'refuse', as: 'server' }, coded('TRANSIENT')),
    strikes('is called TRANSIENT when a load balancer says so', { kind: 'status', status: 503 }, coded('TRANSIENT')),
    strikes('is called TRANSIENT when the connection ends', { kind: 'cut' }, coded('TRANSIENT')),
    {
      says: 'is called TRANSIENT when the cloud is busy with another change',
      holds: async (lab) => await struckWrites(lab, { kind: 'refuse', as: 'busy' }, coded('TRANSIENT')),
    },
    {
      says: 'is called QUOTA_EXCEEDED when there is no room, with what to do',
      holds: async (lab) =>
        await struckWrites(
          lab,
          { kind: 'refuse', as: 'quota' },
          (error, what) => {
            coded('QUOTA_EXCEEDED')(error, what);
            expect(error.details['tableId']).toBe(lab.tableId);
            expect(error.hint).toEqual(expect.stringMatching(/./));
          },
          ['create'],
        ),
    },
    {
      says: 'is told of a table that is really full, and passes once it has room',
      async holds(lab) {
        const nextHop = await lab.hop(lab.nodes[0]);
        const destination = lab.destination();
        await stands(lab, lab.destination(), nextHop);
        lab.world.setRouteLimit(1);
        const before = await lab.others([]);

        const error = await failureOf(apply(lab, creation(lab, destination, nextHop)));

        expect(error).toMatchObject({ code: 'QUOTA_EXCEEDED', hint: expect.any(String) });
        expect(error.details['tableId']).toBe(lab.tableId);
        expect(await lab.others([])).toBe(before);
        lab.world.setRouteLimit(lab.capabilities.defaultRouteLimit);
        await apply(lab, creation(lab, destination, nextHop));
        expect(await lab.followed(destination)).toBe(lab.nodes[0].nicId);
      },
    },
    {
      says: 'is only an answer that was lost: the same change again makes nothing twice',
      async holds(lab) {
        const nextHop = await lab.hop(lab.nodes[0]);
        const rehearsal = creation(lab, lab.destination(), nextHop);
        const creating = await lab.requestsOf(() => apply(lab, rehearsal));
        const change = creation(lab, lab.destination(), nextHop);
        const lost = (operation: string | undefined): void =>
          lab.world.inject({ operation: exactly(operation), when: 'after', effect: { kind: 'cut' } });
        lost(creating.filter(({ changes }) => changes)[0]?.operation);

        await apply(lab, change).catch((error: FlannelVpcError) => coded('TRANSIENT')(error, 'create'));
        lab.world.clearFaults();
        await again(lab, change);

        const entry = only(await lab.standing(change.destination));
        expect(await lab.followed(change.destination)).toBe(lab.nodes[0].nicId);
        const removal = deletion(rehearsal.destination, lab.tableId, only(await lab.standing(rehearsal.destination)));
        const deleting = await lab.requestsOf(() => apply(lab, removal));
        lost(deleting.filter(({ changes }) => changes)[0]?.operation);
        await apply(lab, deletion(change.destination, lab.tableId, entry)).catch(() => {});
        lab.world.clearFaults();
        await apply(lab, deletion(change.destination, lab.tableId, entry));
        expect(await lab.standing(change.destination)).toEqual([]);
      },
    },
    {
      says: 'in the middle of it is mended by the next look: every kind of fault, one after the other',
      async holds(lab) {
        const destinations = Array.from({ length: 3 }, () => lab.destination());
        const { store, look } = await controller(lab, hurriedClock());
        const before = await lab.others(destinations);
        const effects: readonly Effect[] = [
          { kind: 'cut' },
          { kind: 'status', status: 502 },
          { kind: 'refuse', as: 'server' },
          { kind: 'refuse', as: 'busy' },
          { kind: 'refuse', as: 'throttled' },
        ];
        const faults = effects.flatMap((effect) => (['before', 'after'] as const).map((when) => ({ when, effect })));
        for (const [round, fault] of faults.entries()) {
          const node = lab.nodes[round % 2 === 0 ? 0 : 1];
          for (const destination of destinations) store.putLease(destination, node);
          const desired = await Promise.all(destinations.map((destination) => wanted(lab, destination, node)));
          lab.world.inject({ ...fault, times: 4 });

          const { problems } = await look(desired);
          lab.world.clearFaults();
          // What is told in between passes by itself.
          for (const { code } of problems) expect(['TRANSIENT', 'THROTTLED']).toContain(code);
          expectInSync(await look(desired));

          for (const destination of destinations) {
            for (const tableId of lab.world.tableIds) {
              expect(await lab.followed(destination, tableId)).toBe(node.nicId);
              only(await lab.standing(destination, tableId), `route for ${formatCidr(destination)}`);
            }
          }
        }
        expect(await lab.others(destinations)).toBe(before);
      },
    },
  ],
};
