/** What every lease store promises at its seam, as one suite: the same sentences for memory and for etcd. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LeaseAttributes } from '../../../lease/lease.ts';
import { leaseKey } from '../../../lease/lease-key.ts';
import type { LeaseStore, OwnedLease } from '../../../lease/lease-store.ts';
import type { Stores } from '../../../lease/stores.ts';
import { isAbortError, isFlannelVpcError } from '../../../src/core/errors.ts';
import { type Cidr, cidrsOverlap, formatCidr, type PerFamily } from '../../../src/core/ip.ts';
import { attributes, cidr, four, four6, ip, never, range, ranges, reader, request, subnets, wide } from './fixtures.ts';

/** An empty network with its store, fresh for each test. */
export interface LeaseWorld {
  /** The stores as one more process has them, with a connection of its own. */
  stores(): Stores;
  /** The leases of such. */
  store(): LeaseStore;
  setNetConf(text: string): Promise<void>;
  /** Puts without asking who is there, as real flannel does. Without a TTL it is a reservation. */
  putLease(of: PerFamily<Cidr>, value: LeaseAttributes, ttlSeconds?: number): Promise<void>;
  deleteLease(of: PerFamily<Cidr>): Promise<void>;
  /** A number that stays the same as long as nothing is put or deleted. */
  revision(): Promise<number>;
  close(): Promise<void>;
}

const idA = { instanceId: 'i-a' };
const idB = { instanceId: 'i-b' };

export function describeLeaseStore(name: string, make: () => Promise<LeaseWorld>): void {
  describe(`${name} as a lease store`, () => {
    let world: LeaseWorld;
    let store: LeaseStore;
    beforeEach(async () => {
      world = await make();
      store = world.store();
    });
    afterEach(async () => {
      await world.close();
    });

    const restarted = (): LeaseStore => world.store();
    const subnetOf = (lease: OwnedLease): string => leaseKey(lease.subnets);

    describe('net-conf', () => {
      it('is undefined as long as there is none', async () => {
        expect(await store.readNetConf(never)).toBeUndefined();
      });

      it('is the text as stored, not parsed', async () => {
        await world.setNetConf('{"Network": broken');
        expect(await store.readNetConf(never)).toEqual({ text: '{"Network": broken', revision: expect.any(String) });
      });
    });

    describe('acquire', () => {
      it('gives a free subnet of the range, and lists it as written', async () => {
        const mine = {
          ...attributes('192.0.2.1', { ...idA, nicId: 'eni-1' }),
          backendType: 'host-gw',
          backendData: { 4: { VNI: 1 } },
        };
        const lease = await store.acquire(request('192.0.2.1', { attributes: mine }), never);
        expect(lease.how).toBe('allocated');
        expect(lease.reserved).toBe(false);
        expect(lease.expiresAt).toBeGreaterThan(0);
        const { leases, revision, storeId } = await store.list(never);
        expect(leases).toEqual([
          { subnets: lease.subnets, attributes: mine, reserved: false, revision: lease.revision },
        ]);
        expect(BigInt(revision)).toBeGreaterThanOrEqual(BigInt(lease.revision));
        expect(storeId).not.toBe('');
      });

      it('gives every node of a crowd a subnet of its own, until all are gone', async () => {
        const hosts = [1, 2, 3, 4].map((n) => `192.0.2.${n}`);
        const leases = await Promise.all(
          hosts.map((host) => world.store().acquire(request(host, { ranges: ranges(four) }), never)),
        );
        expect(new Set(leases.map(subnetOf)).size).toBe(4);
        const fifth = store.acquire(request('192.0.2.5', { ranges: ranges(four) }), never);
        await expect(fifth).rejects.toMatchObject({ code: 'NETWORK_FULL', retry: 'backoff' });
      });

      it('goes on in a full network once a subnet is freed', async () => {
        const hosts = [1, 2, 3, 4].map((n) => `192.0.2.${n}`);
        const leases = await Promise.all(
          hosts.map((host) => world.store().acquire(request(host, { ranges: ranges(four) }), never)),
        );
        await expect(store.acquire(request('192.0.2.5', { ranges: ranges(four) }), never)).rejects.toThrow(
          'out of subnets',
        );
        const freed = leases[2];
        if (!freed) throw new Error('no lease');
        expect(await store.release(freed.subnets, never)).toBe(true);
        expect(subnetOf(await store.acquire(request('192.0.2.5', { ranges: ranges(four) }), never))).toBe(
          subnetOf(freed),
        );
      });

      it('gives a restarted node its lease back without putting anything', async () => {
        const first = await store.acquire(request('192.0.2.1'), never);
        const before = await world.revision();
        const again = await restarted().acquire(request('192.0.2.1'), never);
        expect(again).toMatchObject({ subnets: first.subnets, how: 'kept', revision: first.revision });
        expect(await world.revision()).toBe(before);
      });

      it('finds the lease by instance id when the address has changed, and writes the new address', async () => {
        const first = await store.acquire(request('192.0.2.1', { attributes: attributes('192.0.2.1', idA) }), never);
        const moved = await restarted().acquire(
          request('192.0.2.9', { attributes: attributes('192.0.2.9', idA) }),
          never,
        );
        expect(moved).toMatchObject({ subnets: first.subnets, how: 'rewritten' });
        expect((await store.list(never)).leases.map((lease) => lease.attributes.publicIps[4])).toEqual([
          ip('192.0.2.9'),
        ]);
      });

      it('adopts what flannel wrote for this address', async () => {
        await world.putLease(subnets('10.5.77.0/24'), attributes('192.0.2.1'), 86_400);
        const lease = await store.acquire(request('192.0.2.1', { attributes: attributes('192.0.2.1', idA) }), never);
        expect(lease).toMatchObject({ subnets: subnets('10.5.77.0/24'), how: 'rewritten' });
      });

      it('leaves the lease of another instance with the same address alone until the address is confirmed', async () => {
        await world.putLease(subnets('10.5.77.0/24'), attributes('192.0.2.1', idB), 86_400);
        const mine = { attributes: attributes('192.0.2.1', idA) };
        const doubtful = await store.acquire(request('192.0.2.1', { ...mine, publicIpConfirmed: false }), never);
        expect(leaseKey(doubtful.subnets)).not.toBe('10.5.77.0/24');
        await world.deleteLease(doubtful.subnets);
        const sure = await restarted().acquire(request('192.0.2.1', mine), never);
        expect(sure).toMatchObject({ subnets: subnets('10.5.77.0/24'), how: 'taken-over' });
      });

      it('takes the subnet of subnet.env when it is free, and another when it is not', async () => {
        const previous = subnets('10.5.42.0/24');
        const first = await store.acquire(request('192.0.2.1', { previous }), never);
        expect(first).toMatchObject({ subnets: previous, how: 'previous' });
        const clone = await world.store().acquire(request('192.0.2.2', { previous }), never);
        expect(clone.how).toBe('allocated');
        expect(clone.subnets).not.toEqual(previous);
      });

      it('ignores a previous subnet that does not fit the range', async () => {
        const lease = await store.acquire(request('192.0.2.1', { previous: subnets('10.9.1.0/24') }), never);
        expect(lease.how).toBe('allocated');
      });

      it('keeps a reservation a reservation', async () => {
        await world.putLease(subnets('10.5.42.0/24'), attributes('192.0.2.1'));
        const lease = await store.acquire(request('192.0.2.1', { attributes: attributes('192.0.2.1', idA) }), never);
        expect(lease).toMatchObject({ subnets: subnets('10.5.42.0/24'), reserved: true, expiresAt: undefined });
        expect(await store.renew(lease, never)).toMatchObject({ reserved: true, expiresAt: undefined });
        expect((await store.list(never)).leases).toMatchObject([{ reserved: true, attributes: { node: idA } }]);
      });

      it('writes members it does not know back as they were', async () => {
        const foreign = { ...attributes('192.0.2.1'), unknownFields: { Rack: { row: 7 }, Note: 'keep <me>' } };
        await world.putLease(subnets('10.5.42.0/24'), foreign, 86_400);
        await store.acquire(request('192.0.2.1', { attributes: attributes('192.0.2.1', idA) }), never);
        const [stored] = (await store.list(never)).leases;
        expect(stored?.attributes).toEqual({ ...foreign, node: idA });
      });

      it('moves to the new range in one step when net-conf has changed, and gives the old subnet up', async () => {
        await store.acquire(request('192.0.2.1'), never);
        const moved = await restarted().acquire(request('192.0.2.1', { ranges: ranges(four) }), never);
        expect(moved.how).toBe('allocated');
        expect((await store.list(never)).leases.map((lease) => leaseKey(lease.subnets))).toEqual([subnetOf(moved)]);
      });

      it('reuses the space of its own lease of another length', async () => {
        const one = range('10.6.0.0/24', 24, '10.6.0.0', '10.6.0.0');
        await store.acquire(request('192.0.2.1', { ranges: ranges(one) }), never);
        const moved = await restarted().acquire(request('192.0.2.1', { ranges: ranges(four) }), never);
        expect(four.network.length).toBeLessThan(moved.subnets[4]?.length ?? 0);
        expect((await store.list(never)).leases).toHaveLength(1);
      });

      it('never overlaps leases of another length', async () => {
        await world.putLease(subnets('10.6.0.0/25'), attributes('192.0.2.50'), 86_400);
        await world.putLease(subnets('10.6.0.208/28'), attributes('192.0.2.51'), 86_400);
        const lease = await store.acquire(request('192.0.2.1', { ranges: ranges(four) }), never);
        expect(subnetOf(lease)).toBe('10.6.0.128/26');
        await expect(
          world.store().acquire(request('192.0.2.2', { ranges: ranges(four) }), never),
        ).rejects.toMatchObject({ code: 'NETWORK_FULL' });
      });

      it('claims nothing by a net-conf that has changed, and keeps what it has all the same', async () => {
        const readRevision = async (): Promise<string | undefined> => (await store.readNetConf(never))?.revision;
        await world.setNetConf('{"Network":"10.5.0.0/16"}');
        const first = await readRevision();
        const lease = await store.acquire(request('192.0.2.1', { netConfRevision: first }), never);
        await world.setNetConf('{"Network":"10.5.0.0/16","SubnetLen":26}');
        await expect(
          world.store().acquire(request('192.0.2.2', { netConfRevision: first }), never),
        ).rejects.toMatchObject({
          code: 'CONFLICT',
          retry: 'now',
        });
        expect(await restarted().acquire(request('192.0.2.1', { netConfRevision: first }), never)).toMatchObject({
          subnets: lease.subnets,
          how: 'kept',
        });
        const next = request('192.0.2.2', { netConfRevision: await readRevision() });
        expect((await world.store().acquire(next, never)).how).toBe('allocated');
      });

      it('leases in both families, and keeps the halves when IPv6 is switched on', async () => {
        const v4 = await store.acquire(request('192.0.2.1', { ranges: ranges(four) }), never);
        const both = request(['192.0.2.1', 'fd00::1'], { ranges: ranges(four, four6) });
        const dual = await restarted().acquire(both, never);
        expect(dual.subnets[4]).toEqual(v4.subnets[4]);
        expect(dual.subnets[6]?.length).toBe(64);
        expect((await store.list(never)).leases).toHaveLength(1);
        expect(await restarted().acquire(both, never)).toMatchObject({ subnets: dual.subnets, how: 'kept' });
      });

      it('never gives a half of a dual-stack lease twice, however many ask at once', async () => {
        const stores = [1, 2, 3, 4].map((n) => ({ store: world.store(), host: [`192.0.2.${n}`, `fd00::${n}`] }));
        const leases = await Promise.all(
          stores.map((each) => each.store.acquire(request(each.host, { ranges: ranges(four, four6) }), never)),
        );
        expect(new Set(leases.map((lease) => lease.subnets[4] && formatCidr(lease.subnets[4]))).size).toBe(4);
        expect(new Set(leases.map((lease) => lease.subnets[6] && formatCidr(lease.subnets[6]))).size).toBe(4);
        const more = request(['192.0.2.9', 'fd00::9'], { ranges: ranges(wide, four6) });
        await expect(store.acquire(more, never)).rejects.toMatchObject({ code: 'NETWORK_FULL' });
      });

      it('does not take an IPv6 subnet that a lease with another IPv4 half holds', async () => {
        await world.putLease(subnets('10.5.7.0/24', 'fd00:6:0:1::/64'), attributes(['192.0.2.50', 'fd00::50']), 86_400);
        const wanted = request(['192.0.2.1', 'fd00::1'], {
          ranges: ranges(wide, four6),
          previous: subnets('10.5.8.0/24', 'fd00:6:0:1::/64'),
        });
        const lease = await store.acquire(wanted, never);
        expect(lease.subnets[6]).not.toEqual(cidr('fd00:6:0:1::/64'));
      });

      it('leases IPv6 alone, and takes no other IPv6-only lease for its own', async () => {
        const first = await store.acquire(request('fd00::1', { ranges: ranges(four6) }), never);
        const second = await world.store().acquire(request('fd00::2', { ranges: ranges(four6) }), never);
        expect(first.subnets[4]).toBeUndefined();
        expect(first.subnets[6] && second.subnets[6] && cidrsOverlap(first.subnets[6], second.subnets[6])).toBe(false);
        expect(await restarted().acquire(request('fd00::1', { ranges: ranges(four6) }), never)).toMatchObject({
          subnets: first.subnets,
          how: 'kept',
        });
      });
    });

    describe('renew', () => {
      it('moves the end without a put', async () => {
        const lease = await store.acquire(request('192.0.2.1'), never);
        const before = await world.revision();
        const renewed = await store.renew(lease, never);
        expect(renewed).toMatchObject({ subnets: lease.subnets, revision: lease.revision, how: 'kept' });
        expect(renewed.expiresAt).toBeGreaterThanOrEqual(lease.expiresAt ?? 0);
        expect(await world.revision()).toBe(before);
      });

      it('creates a lease that has vanished again on the same subnet', async () => {
        const lease = await store.acquire(request('192.0.2.1'), never);
        await world.deleteLease(lease.subnets);
        expect(await store.renew(lease, never)).toMatchObject({ subnets: lease.subnets, how: 'restored' });
        expect((await store.list(never)).leases).toHaveLength(1);
      });

      it('creates both halves of a dual-stack lease again', async () => {
        const lease = await store.acquire(request(['192.0.2.1', 'fd00::1'], { ranges: ranges(four, four6) }), never);
        await world.deleteLease(lease.subnets);
        expect(await store.renew(lease, never)).toMatchObject({ subnets: lease.subnets, how: 'restored' });
      });

      it('gives a lease up that somebody else holds', async () => {
        const lease = await store.acquire(request('192.0.2.1'), never);
        await world.putLease(lease.subnets, attributes('192.0.2.66'), 86_400);
        await expect(store.renew(lease, never)).rejects.toMatchObject({
          code: 'LEASE_LOST',
          message: expect.stringContaining('192.0.2.66'),
        });
      });

      it('gives a vanished lease up when an overlapping one stands there', async () => {
        const lease = await store.acquire(request('192.0.2.1', { previous: subnets('10.5.42.0/24') }), never);
        await world.deleteLease(lease.subnets);
        await world.putLease(subnets('10.5.42.64/26'), attributes('192.0.2.66'), 86_400);
        await expect(store.renew(lease, never)).rejects.toMatchObject({ code: 'LEASE_LOST' });
      });

      it('writes its value back where something of the same node replaced it', async () => {
        const mine = attributes('192.0.2.1', idA);
        const lease = await store.acquire(request('192.0.2.1', { attributes: mine }), never);
        await world.putLease(lease.subnets, attributes('192.0.2.1'), 86_400);
        expect(await store.renew(lease, never)).toMatchObject({ how: 'rewritten' });
        expect((await store.list(never)).leases[0]?.attributes).toEqual(mine);
      });
    });

    describe('watchOwn', () => {
      it('says that the lease is held, is gone, and is held again', async () => {
        const lease = await store.acquire(request('192.0.2.1'), never);
        const stop = new AbortController();
        const events = reader(store.watchOwn(lease, stop.signal));
        expect(await events.next()).toMatchObject({ kind: 'held', lease: { subnets: lease.subnets } });
        await world.deleteLease(lease.subnets);
        expect(await events.next()).toEqual({ kind: 'gone' });
        await store.renew(lease, never);
        expect(await events.next()).toMatchObject({ kind: 'held' });
        stop.abort();
        await expect(events.next()).rejects.toMatchObject({ name: 'AbortError' });
      });

      it('notices at once when flannel on another host puts its value over ours', async () => {
        const lease = await store.acquire(request('192.0.2.1'), never);
        const events = reader(store.watchOwn(lease, never));
        await events.next();
        await world.putLease(lease.subnets, attributes('192.0.2.66'), 86_400);
        expect(await events.next()).toMatchObject({
          kind: 'taken',
          by: { attributes: { publicIps: { 4: ip('192.0.2.66') } } },
        });
        await store.close();
        await expect(events.next()).rejects.toMatchObject({ name: 'AbortError' });
      });

      it('sees nothing of other leases', async () => {
        const lease = await store.acquire(request('192.0.2.1', { previous: subnets('10.5.4.0/24') }), never);
        const events = reader(store.watchOwn(lease, never));
        await events.next();
        await world.store().acquire(request('192.0.2.2', { previous: subnets('10.5.42.0/24') }), never);
        await world.deleteLease(lease.subnets);
        expect(await events.next()).toEqual({ kind: 'gone' });
        await store.close();
        await expect(events.next()).rejects.toThrow();
      });
    });

    describe('watch', () => {
      it('starts with all there is and goes on with changes', async () => {
        await world.putLease(subnets('10.5.1.0/24'), attributes('192.0.2.50'), 86_400);
        const stop = new AbortController();
        const events = reader(store.watch(stop.signal));
        expect(await events.next()).toMatchObject({
          kind: 'snapshot',
          list: { leases: [{ subnets: subnets('10.5.1.0/24') }] },
        });
        await world.putLease(subnets('10.5.2.0/24'), attributes('192.0.2.51'), 86_400);
        expect(await events.next()).toMatchObject({
          kind: 'changes',
          put: [{ subnets: subnets('10.5.2.0/24') }],
          removed: [],
        });
        await world.deleteLease(subnets('10.5.1.0/24'));
        expect(await events.next()).toMatchObject({ kind: 'changes', put: [], removed: ['10.5.1.0/24'] });
        stop.abort();
        await expect(events.next()).rejects.toMatchObject({ name: 'AbortError' });
      });

      it('shows nothing when a node restarts unchanged', async () => {
        await world.store().acquire(request('192.0.2.1', { previous: subnets('10.5.1.0/24') }), never);
        const events = reader(store.watch(never));
        await events.next();
        await world.store().acquire(request('192.0.2.1'), never);
        await world.store().acquire(request('192.0.2.2', { previous: subnets('10.5.9.0/24') }), never);
        expect(await events.next()).toMatchObject({
          kind: 'changes',
          put: [{ subnets: subnets('10.5.9.0/24') }],
          removed: [],
        });
        await store.close();
        await expect(events.next()).rejects.toThrow();
      });
    });

    describe('neighbours', () => {
      const namesOf = async (after: string, limit: number): Promise<readonly string[]> =>
        (await store.neighbours(subnets(after), limit, never)).map((lease) => leaseKey(lease.subnets));

      beforeEach(async () => {
        for (const n of [1, 2, 3, 4, 5]) {
          await world.putLease(subnets(`10.5.${n}.0/24`), attributes(`192.0.2.${n}`), 86_400);
        }
      });

      it('are those that follow, and after the last the first ones', async () => {
        expect(await namesOf('10.5.2.0/24', 2)).toEqual(['10.5.3.0/24', '10.5.4.0/24']);
        expect(await namesOf('10.5.4.0/24', 3)).toEqual(['10.5.5.0/24', '10.5.1.0/24', '10.5.2.0/24']);
      });

      it('are never the lease itself, nor anybody twice', async () => {
        expect(await namesOf('10.5.3.0/24', 100)).toEqual(['10.5.4.0/24', '10.5.5.0/24', '10.5.1.0/24', '10.5.2.0/24']);
      });

      it('are there for a subnet that has no lease, and are none when none are asked for', async () => {
        await world.deleteLease(subnets('10.5.5.0/24'));
        expect(await namesOf('10.5.5.0/24', 1)).toEqual(['10.5.1.0/24']);
        expect(await namesOf('10.5.3.0/24', 0)).toEqual([]);
      });

      it('are whole leases', async () => {
        const both = subnets('10.5.1.0/24', 'fd00:1::/64');
        await world.putLease(both, attributes(['192.0.2.9', 'fd00::9'], idB), 86_400);
        const { leases } = await store.list(never);
        const found = await store.neighbours(subnets('10.5.5.0/24'), 9, never);
        expect(found).toEqual(leases.filter((lease) => leaseKey(lease.subnets) !== '10.5.5.0/24'));
      });
    });

    describe('release', () => {
      it('ends a lease, and says whether there was one', async () => {
        const lease = await store.acquire(request(['192.0.2.1', 'fd00::1'], { ranges: ranges(four, four6) }), never);
        expect(await store.release(lease.subnets, never)).toBe(true);
        expect(await store.release(lease.subnets, never)).toBe(false);
        expect((await store.list(never)).leases).toEqual([]);
        const next = request(['192.0.2.2', 'fd00::2'], { ranges: ranges(four, four6), previous: lease.subnets });
        expect(await world.store().acquire(next, never)).toMatchObject({ subnets: lease.subnets, how: 'previous' });
      });
    });

    describe('ending', () => {
      it('does nothing for a signal that has fired', async () => {
        const fired = AbortSignal.abort();
        const before = await world.revision();
        for (const call of [store.acquire(request('192.0.2.1'), fired), store.list(fired), store.readNetConf(fired)]) {
          await expect(call).rejects.toMatchObject({ name: 'AbortError' });
        }
        expect(await world.revision()).toBe(before);
      });

      it('refuses calls after close, without calling that an outage', async () => {
        await store.close();
        await store.close();
        const error: unknown = await store.list(never).catch((thrown: unknown) => thrown);
        expect(isAbortError(error)).toBe(true);
        expect(isFlannelVpcError(error)).toBe(false);
      });
    });
  });
}
