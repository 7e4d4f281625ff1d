/** When a lease is renewed, by a clock that somebody sets meanwhile. */
import { expect, test } from '@jest/globals';
import { createMemoryLeaseStore } from '../../../lease/memory/lease-store.ts';
import { createMemoryWorld } from '../../../lease/memory/world.ts';
import { keepLease, leaseTtlSeconds } from '../../../src/agent/lease-keeper.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { request } from '../../integration/lease/fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';

const hour = 3_600_000;

test.each([
  ['set back by ten years', -10 * 365 * 24 * hour, 23 * hour],
  ['set back by an hour', -hour, 23 * hour],
  ['right', 0, 23 * hour],
  ['set forward by an hour', hour, 22 * hour],
  ['set forward by ten years', 10 * 365 * 24 * hour, 1_000],
])('a lease is renewed in time with a clock that is %s just after it was had', async (_, jump, expected) => {
  const time = createTestClock();
  const world = createMemoryWorld(time);
  const store = createMemoryLeaseStore(world);
  const ending = new AbortController();
  const lease = await store.acquire(request('192.0.2.1', { ttlSeconds: leaseTtlSeconds }), ending.signal);
  const clock: Clock = { ...time, now: () => time.now() + jump };
  let renewals = 0;
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const parts = { store, logger, clock, random: () => 0.5, onWaiting: () => {}, onOutage: () => {} };
  const kept = keepLease(
    { ...parts, lease, renewMarginMs: hour, onRenewed: () => void renewals++ },
    ending.signal,
  ).catch(() => {});
  await time.advance(expected * 0.98);
  expect(renewals).toBe(0);
  await time.advance(expected * 0.03);
  expect(renewals).toBe(1);
  ending.abort();
  await kept;
});

test('why a lease can’t be renewed is told until it can', async () => {
  const clock = createTestClock();
  const world = createMemoryWorld(clock);
  const store = createMemoryLeaseStore(world);
  const ending = new AbortController();
  const lease = await store.acquire(request('192.0.2.1', { ttlSeconds: leaseTtlSeconds }), ending.signal);
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const told: (string | undefined)[] = [];
  const parts = { store, logger, clock, random: () => 0.5, onWaiting: () => {}, onRenewed: () => {} };
  const onOutage = (reason: string | undefined): void => void told.push(reason);
  const kept = keepLease({ ...parts, lease, renewMarginMs: hour, onOutage }, ending.signal).catch(() => {});
  world.setOutage('it has no such user');
  await clock.advance(23 * hour + 30_000);
  expect(told.at(-1)).toBe('the store in memory is away: it has no such user');
  world.setOutage(undefined);
  await clock.advance(120_000);
  expect(told.at(-1)).toBeUndefined();
  ending.abort();
  await kept;
});
