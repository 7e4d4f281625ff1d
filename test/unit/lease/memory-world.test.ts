/** What the world in memory has beyond the seams: time, outages, and what others put. */
import { expect, it } from '@jest/globals';
import { createMemoryLeaseStore } from '../../../lease/memory/lease-store.ts';
import { createMemoryWorld } from '../../../lease/memory/world.ts';
import { attributes, never, reader, request, subnets } from '../../integration/lease/fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';

it('ends a lease that nobody renews, and whoever watches sees it', async () => {
  const clock = createTestClock();
  const world = createMemoryWorld(clock);
  const store = createMemoryLeaseStore(world);
  const lease = await store.acquire(request('192.0.2.1', { ttlSeconds: 60 }), never);
  expect(lease.expiresAt).toBe(clock.now() + 60_000);
  const own = reader(store.watchOwn(lease, never));
  const all = reader(store.watch(never));
  await Promise.all([own.next(), all.next()]);
  await clock.advance(30_000);
  expect((await store.renew(lease, never)).expiresAt).toBe(clock.now() + 60_000);
  const gone = own.next();
  const removed = all.next();
  // The watches wake at the end they knew of, and find it moved.
  await clock.advance(30_000);
  expect((await store.list(never)).leases).toHaveLength(1);
  await clock.advance(30_000);
  expect(await gone).toEqual({ kind: 'gone' });
  expect(await removed).toMatchObject({ kind: 'changes', removed: [expect.any(String)] });
  await store.close();
});

it('is away for every store during an outage, and goes on as if nothing had been', async () => {
  const world = createMemoryWorld(createTestClock());
  const store = createMemoryLeaseStore(world);
  const events = reader(store.watch(never));
  await events.next();
  world.setOutage('a cut cable');
  await expect(store.acquire(request('192.0.2.1'), never)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    retry: 'backoff',
  });
  await expect(store.readNetConf(never)).rejects.toThrow('a cut cable');
  const next = events.next();
  world.putLease(subnets('10.5.1.0/24'), attributes('192.0.2.9'), 600);
  expect(await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 20, 'silence'))])).toBe('silence');
  world.setOutage(undefined);
  expect(await next).toMatchObject({ kind: 'changes', put: [{ subnets: subnets('10.5.1.0/24') }] });
  await store.close();
});
