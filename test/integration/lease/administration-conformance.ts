/** What nodes report and what operators do, as one suite: the same sentences for memory and for etcd. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { leaseKey } from '../../../lease/lease-key.ts';
import type { NodeReport } from '../../../lease/node-reports.ts';
import type { Stores } from '../../../lease/stores.ts';
import type { LeaseWorld } from './conformance.ts';
import { attributes, four, four6, never, ranges, request, subnets } from './fixtures.ts';

const ready: NodeReport = { ready: true, reason: '', since: '2026-01-02T03:04:05.000Z' };
const alone: NodeReport = { ready: true, reason: 'no peer', since: '2026-01-02T03:04:06.000Z' };
const dualRequest = request(['192.0.2.1', 'fd00::1'], { ranges: ranges(four, four6) });

export function describeAdministration(name: string, make: () => Promise<LeaseWorld>): void {
  let world: LeaseWorld;
  let stores: Stores;
  beforeEach(async () => {
    world = await make();
    stores = world.stores();
  });
  afterEach(async () => {
    await world.close();
  });

  const names = async (): Promise<readonly string[]> =>
    (await stores.leases.list(never)).leases.map((lease) => leaseKey(lease.subnets));

  describe(`${name} as a store of what nodes report`, () => {
    const listed = (): Promise<ReadonlyMap<string, NodeReport>> => world.stores().reports.list(never);

    it('lists each report by its lease, the last one only', async () => {
      const first = await stores.leases.acquire(request('192.0.2.3', { previous: subnets('10.5.1.0/24') }), never);
      const dual = await world.store().acquire(dualRequest, never);
      await stores.reports.publish(first, ready, never);
      await stores.reports.publish(dual, ready, never);
      await stores.reports.publish(dual, alone, never);
      expect(await listed()).toEqual(
        new Map(Object.entries({ '10.5.1.0/24': ready, [leaseKey(dual.subnets)]: alone })),
      );
    });

    it('puts nothing where an equal one stands, time aside', async () => {
      const lease = await stores.leases.acquire(request('192.0.2.1'), never);
      await stores.reports.publish(lease, ready, never);
      const before = await world.revision();
      await world.stores().reports.publish(lease, { ...ready, since: alone.since }, never);
      expect(await world.revision()).toBe(before);
      expect((await listed()).get(leaseKey(lease.subnets))).toEqual(ready);
    });

    it('forgets a report with its lease, also where the lease is made again', async () => {
      const lease = await stores.leases.acquire(dualRequest, never);
      await stores.reports.publish(lease, ready, never);
      await world.deleteLease(lease.subnets);
      expect(await listed()).toEqual(new Map());
      const restored = await stores.leases.renew(lease, never);
      expect(await listed()).toEqual(new Map());
      await stores.reports.publish(restored, ready, never);
      expect((await listed()).size).toBe(1);
    });

    it('takes no report of a lease that is not there, or another node has', async () => {
      const lease = await stores.leases.acquire(request('192.0.2.1'), never);
      await world.deleteLease(lease.subnets);
      await expect(stores.reports.publish(lease, ready, never)).rejects.toMatchObject({ code: 'CONFLICT' });
      await world.putLease(lease.subnets, attributes('192.0.2.66'), 86_400);
      await expect(stores.reports.publish(lease, ready, never)).rejects.toMatchObject({ code: 'LEASE_LOST' });
      expect(await listed()).toEqual(new Map());
    });

    it('keeps the report of a lease that is reserved or renewed', async () => {
      const lease = await stores.leases.acquire(request('192.0.2.1'), never);
      await stores.reports.publish(lease, ready, never);
      await stores.leases.renew(lease, never);
      await stores.admin.reserve(lease.subnets, undefined, never);
      expect((await listed()).get(leaseKey(lease.subnets))).toEqual(ready);
      const before = await world.revision();
      await stores.reports.publish(await stores.leases.renew(lease, never), ready, never);
      expect(await world.revision()).toBe(before);
    });
  });

  describe(`${name} in an operator's hands`, () => {
    it('ends a lease, once, and what hangs on it', async () => {
      const lease = await stores.leases.acquire(dualRequest, never);
      await stores.reports.publish(lease, ready, never);
      expect(await stores.admin.end(lease, never)).toBe(true);
      expect(await stores.admin.end(lease, never)).toBe(false);
      expect(await names()).toEqual([]);
      expect(await stores.reports.list(never)).toEqual(new Map());
    });

    it('ends no lease that changed since it was looked at', async () => {
      const lease = await stores.leases.acquire(request('192.0.2.1'), never);
      await world.putLease(lease.subnets, attributes('192.0.2.66'), 86_400);
      expect(await stores.admin.end(lease, never)).toBe(false);
      expect(await names()).toEqual([leaseKey(lease.subnets)]);
    });

    it('reserves a lease that stands: same value, no end', async () => {
      const foreign = { ...attributes('192.0.2.1', { instanceId: 'i-a' }), unknownFields: { Rack: 7 } };
      await world.putLease(subnets('10.5.42.0/24'), foreign, 86_400);
      const reserved = await stores.admin.reserve(subnets('10.5.42.0/24'), undefined, never);
      expect(reserved).toMatchObject({ subnets: subnets('10.5.42.0/24'), attributes: foreign, reserved: true });
      expect((await stores.leases.list(never)).leases).toEqual([reserved]);
      const before = await world.revision();
      expect(
        await stores.admin.reserve(subnets('10.5.42.0/24'), attributes('192.0.2.1', { instanceId: 'i-a' }), never),
      ).toEqual(reserved);
      expect(await world.revision()).toBe(before);
    });

    it('reserves no lease for another node than the one that holds it', async () => {
      await world.putLease(subnets('10.5.42.0/24'), attributes('192.0.2.66'), 86_400);
      const reserving = stores.admin.reserve(subnets('10.5.42.0/24'), attributes('192.0.2.1'), never);
      await expect(reserving).rejects.toMatchObject({
        code: 'CONFLICT',
        message: expect.stringContaining('192.0.2.66'),
      });
      expect((await stores.leases.list(never)).leases).toMatchObject([{ reserved: false }]);
    });

    it.each([
      ['IPv4', '192.0.2.1', four, subnets('10.6.0.64/26')],
      ['IPv6', 'fd00::1', four6, subnets('fd00:6:0:1::/64')],
    ])('reserves a free %s subnet for a node, which then gets it', async (_, address, range, wanted) => {
      const reserved = await stores.admin.reserve(wanted, attributes(address), never);
      expect(reserved).toMatchObject({ subnets: wanted, attributes: attributes(address), reserved: true });
      expect((await stores.leases.list(never)).leases).toEqual([reserved]);
      const mine = await world.store().acquire(request(address, { ranges: ranges(range) }), never);
      expect(mine).toMatchObject({ subnets: wanted, how: 'kept', reserved: true });
    });

    it('reserves both subnets of a node, and nobody gets either half before that ends', async () => {
      const both = subnets('10.6.0.64/26', 'fd00:6:0:1::/64');
      const reserved = await stores.admin.reserve(both, attributes(['192.0.2.1', 'fd00::1']), never);
      const other = request(['192.0.2.2', 'fd00::2'], { ranges: ranges(four, four6), previous: both });
      const theirs = await world.store().acquire(other, never);
      expect(theirs.subnets[4]).not.toEqual(both[4]);
      expect(theirs.subnets[6]).not.toEqual(both[6]);
      expect(await stores.leases.release(theirs.subnets, never)).toBe(true);
      expect(await stores.admin.end(reserved, never)).toBe(true);
      expect(await world.store().acquire(other, never)).toMatchObject({ subnets: both, how: 'previous' });
    });

    it.each([
      ['10.5.42.0/25', 'a longer one', subnets('10.5.42.0/24')],
      ['10.5.0.0/16', 'a shorter one', subnets('10.5.42.0/24')],
      ['10.5.42.0/24', 'the same half of a dual-stack lease', subnets('10.5.42.0/24', 'fd00:5::/64')],
      ['fd00:5::/64', 'the other half of a dual-stack lease', subnets('10.5.42.0/24', 'fd00:5::/64')],
    ])('reserves no %s over another lease: %s', async (wanted, _, standing) => {
      await world.putLease(standing, attributes(['192.0.2.66', 'fd00::66']), 86_400);
      await expect(stores.admin.reserve(subnets(wanted), attributes('192.0.2.1'), never)).rejects.toMatchObject({
        code: 'CONFLICT',
        message: expect.stringContaining(leaseKey(standing)),
        hint: expect.stringContaining(leaseKey(standing)),
      });
      expect(await names()).toEqual([leaseKey(standing)]);
    });

    it('reserves no free subnet for nobody', async () => {
      await expect(stores.admin.reserve(subnets('10.5.42.0/24'), undefined, never)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        hint: expect.stringContaining('public IP'),
      });
      expect(await names()).toEqual([]);
    });

    it('lets one of two have a subnet that both reserve or claim at once', async () => {
      const wanted = subnets('10.6.0.64/26', 'fd00:6:0:1::/64');
      const attempts = [1, 2, 3].map((n) =>
        world.stores().admin.reserve(wanted, attributes([`192.0.2.${n}`, `fd00::${n}`]), never),
      );
      const claim = world
        .store()
        .acquire(request(['192.0.2.9', 'fd00::9'], { ranges: ranges(four, four6), previous: wanted }), never);
      const results = await Promise.allSettled(attempts);
      const claimed = await claim;
      const winners = results.filter((result) => result.status === 'fulfilled');
      expect(winners).toHaveLength(leaseKey(claimed.subnets) === leaseKey(wanted) ? 0 : 1);
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'CONFLICT' });
      expect((await names()).filter((each) => each === leaseKey(wanted))).toHaveLength(1);
    });

    it('writes net-conf only over the one that was looked at', async () => {
      const first = await stores.admin.writeNetConf('{"Network":"10.5.0.0/16"}', undefined, never);
      expect(await stores.leases.readNetConf(never)).toEqual({ text: '{"Network":"10.5.0.0/16"}', revision: first });
      const second = await stores.admin.writeNetConf('{"Network":"10.6.0.0/16"}', first, never);
      for (const stale of [undefined, first]) {
        await expect(stores.admin.writeNetConf('{"Network":"10.7.0.0/16"}', stale, never)).rejects.toMatchObject({
          code: 'CONFLICT',
        });
      }
      expect(await stores.leases.readNetConf(never)).toEqual({ text: '{"Network":"10.6.0.0/16"}', revision: second });
    });
  });
}
