/** etcd leases that were granted and not used yet. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createGrantPool, type GrantPool } from '../../../lease/etcd/holding.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

const day = 86_400;
const hourMs = 3_600_000;
const never = new AbortController().signal;
let clock: TestClock;
let granted: number;
let grants: GrantPool;

beforeEach(() => {
  clock = createTestClock();
  granted = 0;
  const client = {
    async grant() {
      // etcd takes its time, and counts from within it.
      await clock.sleep(2_000, never);
      return String(++granted);
    },
  };
  grants = createGrantPool(client, clock);
});

async function take(): Promise<{ readonly id: string; readonly expiresAt: number }> {
  const taking = grants.take(day, never);
  await clock.advance(2_000);
  return await taking;
}

describe('an etcd lease that was not used', () => {
  it('serves the next try, and ends when it did: who waited an hour for a subnet must renew it an hour earlier', async () => {
    const askedAt = clock.now();
    expect(await take()).toMatchObject({ id: '1', expiresAt: askedAt + day * 1_000 });
    await clock.advance(hourMs);
    expect(await take()).toMatchObject({ id: '1', expiresAt: askedAt + day * 1_000 });
  });

  it('is left to run out when it has run for long, or was used after all', async () => {
    await take();
    await clock.advance(3 * hourMs);
    expect(await take()).toMatchObject({ id: '2' });
    grants.used('1');
    expect(await take()).toMatchObject({ id: '2' });
    grants.used('2');
    expect(await take()).toMatchObject({ id: '3' });
  });
});
