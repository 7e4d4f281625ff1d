/** What every store of route records promises at its seam, as one suite: the same sentences for memory and for etcd. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Leadership } from '../../../lease/election.ts';
import type { LeaseStore } from '../../../lease/lease-store.ts';
import type { OwnershipRecord, OwnershipStore, StoredOwnershipRecord } from '../../../lease/ownership-store.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { sameCidr } from '../../../src/core/ip.ts';
import { attributes, cidr, four, four6, never, ranges, request } from './fixtures.ts';

/** An empty network with its stores, fresh for each test. */
export interface OwnershipWorld {
  readonly leases: LeaseStore;
  readonly clock: Clock;
  /** A store as one more node has it. */
  ownership(): OwnershipStore;
  /** Makes somebody new the leader, in place of whoever was. */
  lead(): Promise<Pick<Leadership, 'token'>>;
  /** Leaves nobody who leads. */
  leadNobody(): Promise<void>;
  /** A number that stays the same as long as nothing is put or deleted. */
  revision(): Promise<number>;
  close(): Promise<void>;
}

function record(destination: string, tableId: string, more: Partial<OwnershipRecord> = {}): OwnershipRecord {
  return {
    ...{
      tableId,
      destination: cidr(destination),
      target: 'eni-1',
      holder: 'i-1',
      writtenAt: '2026-01-02T03:04:05.000Z',
    },
    ...more,
  };
}

export function describeOwnershipStore(name: string, make: () => Promise<OwnershipWorld>): void {
  describe(`${name} as a store of route records`, () => {
    let world: OwnershipWorld;
    let store: OwnershipStore;
    beforeEach(async () => {
      world = await make();
      store = world.ownership();
    });
    afterEach(async () => {
      await world.close();
    });

    const soon = (): number => world.clock.now() + 60_000;
    const claimOne = async (wanted: OwnershipRecord): Promise<StoredOwnershipRecord> => {
      expect(await store.claim([wanted], never)).toMatchObject({ kind: 'claimed' });
      const stored = (await store.list(never)).find((each) => each.tableId === wanted.tableId);
      if (!stored) throw new Error('no record');
      return stored;
    };

    it('stores records and lists them, in both families and with any table id', async () => {
      const wanted = [
        record('10.6.0.0/26', 'rtb-1'),
        record('10.6.0.0/26', '/subscriptions/0/resourceGroups/g/routeTables/a table%'),
        record('fd00:6::/64', 'rtb-1', { target: 'i-9' }),
      ];
      expect(await store.claim(wanted, never)).toEqual({ kind: 'claimed', previous: [] });
      const listed = await world.ownership().list(never);
      expect(listed.map(({ revision: _, ...rest }) => rest)).toEqual(expect.arrayContaining(wanted));
      expect(listed).toHaveLength(3);
      expect(listed.every((each) => each.removingUntil === undefined && BigInt(each.revision) > 0n)).toBe(true);
    });

    it('keeps which next hop of ours a route is to take the place of, and puts nothing for that alone', async () => {
      await claimOne(record('10.6.0.0/26', 'rtb-1'));
      const moved = record('10.6.0.0/26', 'rtb-1', { target: 'eni-2', holder: 'i-2', replaces: 'eni-1' });
      expect(await claimOne(moved)).toMatchObject(moved);
      const before = await world.revision();
      await claimOne({ ...moved, replaces: undefined });
      expect(await world.revision()).toBe(before);
      const stored = await claimOne(moved);
      expect(await store.beginRemoval(stored, soon(), never)).toMatchObject({ replaces: 'eni-1' });
    });

    it('puts nothing where equal records stand, time aside', async () => {
      const wanted = [record('10.6.0.0/26', 'rtb-1'), record('10.6.0.0/26', 'rtb-2')];
      await store.claim(wanted, never);
      const before = await world.revision();
      const again = wanted.map((each) => ({ ...each, writtenAt: '2027-01-01T00:00:00.000Z' }));
      expect(await world.ownership().claim(again, never)).toEqual({ kind: 'claimed', previous: [] });
      expect(await world.revision()).toBe(before);
    });

    it('replaces the record of a former holder, and says what it was', async () => {
      await store.claim(
        [record('10.6.0.0/26', 'rtb-1', { target: 'eni-old', holder: 'i-old' }), record('10.6.0.0/26', 'rtb-2')],
        never,
      );
      const wanted = [record('10.6.0.0/26', 'rtb-1'), record('10.6.0.0/26', 'rtb-2'), record('10.6.0.0/26', 'rtb-3')];
      const result = await store.claim(wanted, never);
      expect(result).toMatchObject({
        kind: 'claimed',
        previous: [{ tableId: 'rtb-1', target: 'eni-old', holder: 'i-old' }],
      });
      expect((await store.list(never)).map((each) => each.target)).toEqual(['eni-1', 'eni-1', 'eni-1']);
    });

    it('claims hundreds of records', async () => {
      const wanted = Array.from({ length: 250 }, (_, index) => record(`10.7.${index}.0/24`, 'rtb-1'));
      expect(await store.claim(wanted, never)).toEqual({ kind: 'claimed', previous: [] });
      expect(await store.list(never)).toHaveLength(250);
      const before = await world.revision();
      await store.claim(wanted, never);
      expect(await world.revision()).toBe(before);
    });

    it('lets two claim the same route at once, and one of them stands', async () => {
      const rivals = ['eni-a', 'eni-b'].map((target) =>
        world.ownership().claim([record('10.6.0.0/26', 'rtb-1', { target })], never),
      );
      const results = await Promise.all(rivals);
      expect(results.every((result) => result.kind === 'claimed')).toBe(true);
      expect(results.flatMap((result) => (result.kind === 'claimed' ? result.previous : []))).toHaveLength(1);
      expect(await store.list(never)).toHaveLength(1);
    });

    it('claims nothing while a route is being removed, and after that again', async () => {
      const stored = await claimOne(record('10.6.0.0/26', 'rtb-1'));
      const until = soon();
      const marked = await store.beginRemoval(stored, until, never);
      expect(marked).toMatchObject({ tableId: 'rtb-1', target: 'eni-1' });
      expect(Date.parse(marked?.removingUntil ?? '')).toBe(until);
      const wanted = [record('10.6.0.0/26', 'rtb-2'), record('10.6.0.0/26', 'rtb-1')];
      expect(await world.ownership().claim(wanted, never)).toEqual({ kind: 'removing', until });
      expect(await store.list(never)).toHaveLength(1);
      if (!marked) throw new Error('not marked');
      await store.finishRemoval(marked, never);
      expect(await store.list(never)).toEqual([]);
      expect(await store.claim(wanted, never)).toEqual({ kind: 'claimed', previous: [] });
    });

    it('claims a route whose removal ran out of time, and takes the mark off', async () => {
      const stored = await claimOne(record('10.6.0.0/26', 'rtb-1'));
      const marked = await store.beginRemoval(stored, world.clock.now() - 1_000, never);
      expect(await store.claim([record('10.6.0.0/26', 'rtb-1')], never)).toMatchObject({
        kind: 'claimed',
        previous: [{ tableId: 'rtb-1' }],
      });
      const [again] = await store.list(never);
      expect(again?.removingUntil).toBeUndefined();
      if (!marked) throw new Error('not marked');
      await store.finishRemoval(marked, never);
      expect(await store.list(never)).toHaveLength(1);
    });

    it('claims a route whose removal is to last for years, which only a wrong clock writes', async () => {
      const stored = await claimOne(record('10.6.0.0/26', 'rtb-1'));
      const inTenYears = world.clock.now() + 10 * 365 * 86_400_000;
      expect(await store.beginRemoval(stored, inTenYears, never)).toBeDefined();
      expect(await store.claim([record('10.6.0.0/26', 'rtb-1')], never)).toMatchObject({ kind: 'claimed' });
      expect((await store.list(never))[0]?.removingUntil).toBeUndefined();
    });

    it('marks nothing that changed since it was read', async () => {
      const stored = await claimOne(record('10.6.0.0/26', 'rtb-1'));
      await store.claim([record('10.6.0.0/26', 'rtb-1', { target: 'eni-2' })], never);
      expect(await store.beginRemoval(stored, soon(), never)).toBeUndefined();
      expect((await store.list(never))[0]?.removingUntil).toBeUndefined();
    });

    it('marks no route twice', async () => {
      const stored = await claimOne(record('10.6.0.0/26', 'rtb-1'));
      const marks = await Promise.all(
        [store, world.ownership()].map((each) => each.beginRemoval(stored, soon(), never)),
      );
      expect(marks.filter((mark) => mark !== undefined)).toHaveLength(1);
    });

    it('takes a mark off again, unless somebody did something since', async () => {
      const stored = await claimOne(record('10.6.0.0/26', 'rtb-1'));
      const marked = await store.beginRemoval(stored, soon(), never);
      if (!marked) throw new Error('not marked');
      await store.cancelRemoval(marked, never);
      const [free] = await store.list(never);
      expect(free).toMatchObject({ target: stored.target, holder: stored.holder, writtenAt: stored.writtenAt });
      expect(free?.removingUntil).toBeUndefined();
      expect(await store.claim([stored], never)).toEqual({ kind: 'claimed', previous: [] });

      const again = free && (await store.beginRemoval(free, soon(), never));
      if (!again) throw new Error('not marked again');
      await store.cancelRemoval(marked, never);
      expect(await store.list(never)).toEqual([again]);
      await store.finishRemoval(again, never);
      await store.cancelRemoval(again, never);
      expect(await store.list(never)).toEqual([]);
    });

    it('marks no route whose destination is leased, alone or as half of a dual-stack lease', async () => {
      const single = await world.leases.acquire(request('192.0.2.1', { ranges: ranges(four) }), never);
      const dual = await world.leases.acquire(
        request(['192.0.2.2', 'fd00::2'], { ranges: ranges(four, four6) }),
        never,
      );
      const leased = [single.subnets[4], dual.subnets[4], dual.subnets[6]].filter((subnet) => subnet !== undefined);
      await store.claim(
        leased.map((destination) => ({ ...record('10.6.0.0/26', 'rtb-1'), destination })),
        never,
      );
      const stored = await store.list(never);
      expect(stored).toHaveLength(3);
      for (const each of stored) expect(await store.beginRemoval(each, soon(), never)).toBeUndefined();
      await world.leases.release(single.subnets, never);
      await world.leases.release(dual.subnets, never);
      for (const each of stored) expect(await store.beginRemoval(each, soon(), never)).toBeDefined();
    });

    it('marks the route of a lease whose machine is gone, as long as it is that very lease', async () => {
      const ranged = { ranges: ranges(four, four6) };
      const dual = await world.leases.acquire(request(['192.0.2.1', 'fd00::1'], ranged), never);
      const single = await world.leases.acquire(request('192.0.2.2', { ranges: ranges(four) }), never);
      const routes = [
        { destination: dual.subnets[4], ended: dual, other: single },
        { destination: dual.subnets[6], ended: dual, other: single },
        { destination: single.subnets[4], ended: single, other: dual },
      ];
      for (const { destination, ended, other } of routes) {
        if (!destination) throw new Error('no subnet');
        await store.claim([{ ...record('10.6.0.0/26', 'rtb-1'), destination }], never);
        const stored = (await store.list(never)).find((each) => sameCidr(each.destination, destination));
        if (!stored) throw new Error('no record');
        expect(await store.beginRemoval(stored, soon(), never)).toBeUndefined();
        expect(await store.beginRemoval(stored, soon(), never, other)).toBeUndefined();
        const former = { ...ended, revision: '1' };
        expect(await store.beginRemoval(stored, soon(), never, former)).toBeUndefined();
        expect(await store.beginRemoval(stored, soon(), never, ended)).toMatchObject({ target: 'eni-1' });
      }
    });

    it('marks no route of a lease that somebody took over from the machine that is gone', async () => {
      const mine = { instanceId: 'i-1' };
      const ended = await world.leases.acquire(
        request('192.0.2.1', { ranges: ranges(four), attributes: attributes('192.0.2.1', mine) }),
        never,
      );
      const { 4: destination } = ended.subnets;
      if (!destination) throw new Error('no subnet');
      const stored = await claimOne({ ...record('10.6.0.0/26', 'rtb-1'), destination });
      const heir = { ranges: ranges(four), attributes: attributes('192.0.2.1', { instanceId: 'i-2' }) };
      expect(await world.leases.acquire(request('192.0.2.1', heir), never)).toMatchObject({ how: 'taken-over' });
      expect(await store.beginRemoval(stored, soon(), never, ended)).toBeUndefined();
    });

    describe('behind the fence of a leadership', () => {
      it('does all as before while that leader leads', async () => {
        const fenced = store.fenced(await world.lead());
        const wanted = [record('10.6.0.0/26', 'rtb-1'), record('10.6.0.0/26', 'rtb-2')];
        expect(await fenced.claim(wanted, never)).toEqual({ kind: 'claimed', previous: [] });
        expect(await fenced.claim(wanted, never)).toEqual({ kind: 'claimed', previous: [] });
        const former = await fenced.claim([record('10.6.0.0/26', 'rtb-1', { target: 'eni-2' })], never);
        expect(former).toMatchObject({ kind: 'claimed', previous: [{ target: 'eni-1' }] });
        const [first, second] = await fenced.list(never);
        if (!first || !second) throw new Error('no records');
        const marked = await fenced.beginRemoval(first, soon(), never);
        if (!marked) throw new Error('not marked');
        expect(await fenced.beginRemoval(first, soon(), never)).toBeUndefined();
        expect(await fenced.claim([first], never)).toMatchObject({ kind: 'removing' });
        await fenced.finishRemoval(marked, never);
        await fenced.finishRemoval(marked, never);
        expect(await fenced.list(never)).toEqual([second]);
      });

      it.each(['another leads', 'nobody leads'])('writes nothing any more once %s', async (then) => {
        const fenced = store.fenced(await world.lead());
        const stored = await claimOne(record('10.6.0.0/26', 'rtb-1'));
        const marked = await fenced.beginRemoval(await claimOne(record('10.6.0.64/26', 'rtb-2')), soon(), never);
        if (!marked) throw new Error('not marked');
        if (then === 'another leads') await world.lead();
        else await world.leadNobody();
        const before = await world.revision();
        for (const write of [
          fenced.claim([record('10.6.0.128/26', 'rtb-1')], never),
          // One that would have nothing to write, too: who acts on the answer must lead.
          fenced.claim([record('10.6.0.0/26', 'rtb-1')], never),
          fenced.beginRemoval(stored, soon(), never),
          fenced.finishRemoval(marked, never),
          fenced.cancelRemoval(marked, never),
        ]) {
          await expect(write).rejects.toMatchObject({ code: 'LEADERSHIP_LOST', retry: 'never' });
        }
        expect(await world.revision()).toBe(before);
        expect(await fenced.list(never)).toHaveLength(2);
        expect(await store.claim([record('10.6.0.128/26', 'rtb-1')], never)).toMatchObject({ kind: 'claimed' });
      });
    });

    it('does nothing for a signal that has fired', async () => {
      const fired = AbortSignal.abort();
      await expect(store.claim([record('10.6.0.0/26', 'rtb-1')], fired)).rejects.toMatchObject({ name: 'AbortError' });
      expect(await store.list(never)).toEqual([]);
    });
  });
}
