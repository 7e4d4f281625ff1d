/** Whole passes again: what is collected, when, and what keeps it from being collected. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LeaseStore } from '../../../lease/lease-store.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { desired, target } from './fixtures.ts';
import { agentA, createPassLab, own, type PassLab, type Process } from './pass-lab.ts';

const former = '10.244.9.0/24';
let lab: PassLab;

/** Machine a wrote its present route and a former one, each in the first table; the former lease is gone. */
beforeEach(() => {
  lab = createPassLab({
    tables: [
      { id: 'rtb-1', networkId: 'vpc-1', main: true },
      { id: 'rtb-2', networkId: 'vpc-1' },
    ],
  });
  lab.putLease('10.244.1.0/24', 'a');
  for (const id of ['rtb-1', 'rtb-2']) put(id, '10.244.1.0/24', 'a');
  put('rtb-1', former, 'a');
});

function put(tableId: string, destination: string, machine: string): void {
  lab.cloud.putRoute(tableId, { destination, target: target(machine) });
  lab.putRecord(tableId, destination, machine);
}

const stands = (destination: string): boolean => destination in lab.cloud.staticRoutes('rtb-1');
const holds = async (process: Process): Promise<readonly string[]> =>
  (await process.pass(own)).held.map(({ code }) => code);

describe('an own former route', () => {
  it('goes after two resyncs without its lease, by way of its record', async () => {
    const process = lab.process(agentA);
    const first = await process.pass(own);
    expect(first).toMatchObject({ inSync: true, problems: [], done: [] });
    expect(first.held).toMatchObject([{ code: 'lease-absent-lately', reason: 'no lease for it in 1 of 2 looks' }]);
    expect(stands(former)).toBe(true);
    lab.events.splice(0);
    const second = await process.pass(own);
    expect(second).toMatchObject({ inSync: true, problems: [], done: [{ action: 'delete' }] });
    expect(lab.events).toEqual([
      'list',
      'leases',
      `beginRemoval ${former} rtb-1`,
      `delete ${former} rtb-1`,
      `finishRemoval ${former} rtb-1`,
    ]);
    expect(lab.records()).toEqual(['10.244.1.0/24 rtb-1 eni-a', '10.244.1.0/24 rtb-2 eni-a']);
    lab.events.splice(0);
    await process.pass(own);
    expect(lab.events).toEqual([]);
  });

  it('is not even looked up between resyncs, which count no absence', async () => {
    const process = lab.process(agentA);
    for (let index = 0; index < 5; index++) await process.pass(own, { resync: false });
    expect(lab.events.filter((event) => event === 'leases')).toEqual([]);
    expect(await holds(process)).toEqual(['lease-absent-lately']);
  });

  it('stays when its lease is back in between, and then counts anew', async () => {
    const process = lab.process(agentA);
    expect(await holds(process)).toEqual(['lease-absent-lately']);
    const lease = lab.putLease(former, 'a');
    expect(await holds(process)).toEqual(['lease-live']);
    lab.world.deleteLease(lease.subnets);
    expect(await holds(process)).toEqual(['lease-absent-lately']);
    expect(await holds(process)).toEqual([]);
    expect(stands(former)).toBe(false);
  });

  it('stays when its lease comes back after the list was read', async () => {
    const process = lab.process(agentA);
    await process.pass(own);
    lab.afterNext('leases', () => void lab.putLease(former, 'b'));
    expect(await process.pass(own)).toMatchObject({ inSync: true, problems: [], done: [] });
    expect(stands(former)).toBe(true);
    expect(lab.cloud.count('delete')).toBe(0);
    expect(lab.records()).toContain(`${former} rtb-1 eni-a`);
  });

  it('stays when its record changes after it was read', async () => {
    const process = lab.process(agentA);
    await process.pass(own);
    lab.afterNext('list', () => lab.putRecord('rtb-1', former, 'b'));
    expect(await process.pass(own)).toMatchObject({ inSync: true, problems: [], done: [] });
    expect(lab.cloud.count('delete')).toBe(0);
  });

  it('stays while this process has only just written it', async () => {
    const process = lab.process(agentA);
    const moved = [desired('10.244.8.0/24', 'a')];
    await process.pass(moved);
    for (let index = 0; index < 3; index++) await process.pass(own);
    expect(stands('10.244.8.0/24')).toBe(true);
    await lab.clock.advance(60_000);
    await process.pass(own);
    expect(stands('10.244.8.0/24')).toBe(false);
  });

  it('stays without a record of it', async () => {
    lab.world.deleteRecord(`${former} rtb-1`);
    const process = lab.process(agentA);
    for (let index = 0; index < 3; index++) {
      expect((await process.pass(own)).foreign).toMatchObject([{ tableId: 'rtb-1' }]);
    }
    expect(stands(former)).toBe(true);
  });
});

describe("another machine's route", () => {
  const others = '10.244.7.0/24';

  it('is left to its own agent while it leads somewhere', async () => {
    lab.cloud.removeRoute('rtb-1', former);
    put('rtb-1', others, 'b');
    const process = lab.process(agentA);
    for (let index = 0; index < 3; index++) await process.pass(own);
    expect(stands(others)).toBe(true);
    expect(lab.events.filter((event) => event === 'leases')).toEqual([]);
  });

  it('is collected as a blackhole once its lease is gone', async () => {
    put('rtb-1', others, 'b');
    lab.cloud.setInstanceState('i-b', 'terminated');
    const process = lab.process(agentA);
    for (let index = 0; index < 2; index++) await process.pass(own);
    expect(lab.cloud.staticRoutes('rtb-1')).toEqual({ '10.244.1.0/24': 'eni-a' });
  });

  it('stays as a blackhole while a lease holds it: a stopped machine comes back', async () => {
    put('rtb-1', others, 'b');
    lab.putLease(others, 'b');
    lab.cloud.setInstanceState('i-b', 'stopped');
    const process = lab.process(agentA);
    for (let index = 0; index < 4; index++) await process.pass(own);
    expect(stands(others)).toBe(true);
  });
});

describe('a store that is not what it was', () => {
  /** The store as the test wants it to be seen. */
  const seenAs = (change: () => { readonly storeId?: string; readonly revision?: string; readonly leases?: [] }) => {
    return (real: LeaseStore): Pick<LeaseStore, 'list'> => ({
      list: async (signal) => ({ ...(await real.list(signal)), ...change() }),
    });
  };

  it('deletes nothing while it lists no lease, and two looks are needed after that', async () => {
    let lost = true;
    const process = lab.process(
      agentA,
      seenAs(() => (lost ? { leases: [] } : {})),
    );
    for (let index = 0; index < 3; index++) expect(await holds(process)).toEqual(['lease-list-empty']);
    lost = false;
    expect(await holds(process)).toEqual(['lease-absent-lately']);
    expect(await holds(process)).toEqual([]);
  });

  it('deletes nothing while it is older than what was seen, and two looks are needed after that', async () => {
    let revision = '9007199254740993';
    const process = lab.process(
      agentA,
      seenAs(() => ({ revision })),
    );
    expect(await holds(process)).toEqual(['lease-absent-lately']);
    revision = '9007199254740992';
    expect(await holds(process)).toEqual(['store-went-back']);
    revision = '9007199254740994';
    expect(await holds(process)).toEqual(['lease-absent-lately']);
    expect(await holds(process)).toEqual([]);
  });

  it('deletes nothing when it is another one', async () => {
    let storeId = 'etcd-1';
    const process = lab.process(
      agentA,
      seenAs(() => ({ storeId })),
    );
    expect(await holds(process)).toEqual(['lease-absent-lately']);
    storeId = 'etcd-2';
    for (let index = 0; index < 3; index++) expect(await holds(process)).toEqual(['store-changed']);
    expect(stands(former)).toBe(true);
  });

  it('that does not answer deletes nothing, and keeps no route from being written', async () => {
    lab.cloud.removeRoute('rtb-2', '10.244.1.0/24');
    const away = new FlannelVpcError('STORE_UNAVAILABLE', 'the store does not answer');
    const process = lab.process(agentA, () => ({ list: () => Promise.reject(away) }));
    const result = await process.pass(own);
    expect(result).toMatchObject({ inSync: true, problems: [{ code: 'STORE_UNAVAILABLE' }] });
    expect(lab.cloud.staticRoutes('rtb-2')).toEqual({ '10.244.1.0/24': 'eni-a' });
    expect(stands(former)).toBe(true);
  });
});

describe("the cluster's one writer", () => {
  const destinations = Array.from({ length: 6 }, (_, index) => `10.244.${index + 2}.0/24`);

  it('deletes a few, and waits for a person before it deletes many', async () => {
    const process = lab.process({ kind: 'all' });
    for (const destination of destinations.slice(0, 4)) put('rtb-1', destination, 'b');
    await process.pass(own);
    expect((await process.pass(own)).done).toHaveLength(5);
    await process.pass(own);
    for (const destination of destinations) put('rtb-1', destination, 'b');
    await process.pass(own);
    const result = await process.pass(own);
    expect(result.done).toEqual([]);
    expect(new Set(result.held.map(({ code }) => code))).toEqual(new Set(['mass-delete']));
    expect(result.held[0]?.reason).toBe('6 of 7 destinations would go at once; that waits for a person');
  });
});
