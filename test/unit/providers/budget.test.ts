/** The limits and retries around every provider: how fast, how many at once, how often again, and when it gives up. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { type BudgetLimits, withBudget } from '../../../providers/budget.ts';
import { createMemoryCloud, type MemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import type { CloudProvider, NextHop, RouteChange } from '../../../providers/provider.ts';
import { FlannelVpcError, type FlannelVpcErrorOptions } from '../../../src/core/errors.ts';
import { parseCidr } from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

const never = new AbortController().signal;
const selector = { tableIds: ['rtb-1'], networkId: undefined, subnetIds: [] };
const nextHop: NextHop = {
  nicId: 'eni-1',
  instanceId: 'i-1',
  subnetId: 'subnet-1',
  networkId: 'vpc-1',
  forwards: true,
};
let clock: TestClock;
let cloud: MemoryCloud;

beforeEach(() => {
  clock = createTestClock();
  cloud = createMemoryCloud({
    clock,
    networks: [{ id: 'vpc-1', cidrs: ['10.0.0.0/16'], subnets: [{ id: 'subnet-1', cidr: '10.0.1.0/24' }] }],
    tables: [{ id: 'rtb-1', networkId: 'vpc-1', main: true }],
    instances: [{ id: 'i-1', nics: [{ id: 'eni-1', subnetId: 'subnet-1', addresses: ['10.0.1.11'] }] }],
  });
});

/** The cloud's provider within limits that bind nothing but what the test is about; chance gives the shortest pauses. */
function budgeted(limits: Partial<BudgetLimits> = {}, random = 0): CloudProvider {
  const plenty = { capacity: 1_000, refillPerSecond: 1_000 };
  return withBudget(cloud.provider('i-1'), {
    ...{ clock, logger: silentLogger, random: () => random },
    limits: { reads: plenty, writes: plenty, ...limits },
  });
}

function creation(index: number): RouteChange {
  const destination = parseCidr(`10.244.${index}.0/24`);
  if (!destination) throw new Error(`no subnet ${index}`);
  return { action: 'create', tableId: 'rtb-1', destination, nextHop };
}

/** Starts calls side by side and keeps what becomes of each. */
function started(calls: readonly Promise<unknown>[]): { readonly outcomes: Promise<readonly string[]> } {
  const outcomes = calls.map((call) =>
    call.then(
      () => 'ok',
      (error: unknown) => (error instanceof FlannelVpcError ? error.code : String((error as Error).name)),
    ),
  );
  return { outcomes: Promise.all(outcomes) };
}

const reads = (provider: CloudProvider, count: number, signal = never): readonly Promise<unknown>[] =>
  Array.from({ length: count }, () => provider.tables(selector, signal));
const writes = (provider: CloudProvider, count: number, signal = never): readonly Promise<unknown>[] =>
  Array.from({ length: count }, (_, index) => provider.apply(creation(index), signal));
const fault = (code: FlannelVpcError['code'], options: FlannelVpcErrorOptions = {}) =>
  new FlannelVpcError(code, `the test wants ${code}`, options);
const arrivals = () => cloud.calls.map(({ at }) => at);

describe('the rate', () => {
  it('is the burst at once, then one call for each refilled token, first come first served', async () => {
    const provider = budgeted({ writes: { capacity: 3, refillPerSecond: 2 } });
    const { outcomes } = started(writes(provider, 6));
    await clock.advance(10_000);
    expect(await outcomes).toEqual(Array(6).fill('ok'));
    expect(arrivals()).toEqual([0, 0, 0, 500, 1_000, 1_500]);
    expect(cloud.calls.map(({ destination }) => destination)).toEqual(
      [0, 1, 2, 3, 4, 5].map((index) => `10.244.${index}.0/24`),
    );
  });

  it('saves up no more than the burst while nothing is called', async () => {
    const provider = budgeted({ writes: { capacity: 2, refillPerSecond: 1 } });
    await clock.advance(3_600_000);
    const { outcomes } = started(writes(provider, 4));
    await clock.advance(5_000);
    await outcomes;
    expect(arrivals()).toEqual([0, 0, 1_000, 2_000].map((ms) => 3_600_000 + ms));
  });

  it('counts every try', async () => {
    cloud.inject({ error: fault('THROTTLED'), times: 2 });
    const provider = budgeted({ reads: { capacity: 1, refillPerSecond: 0.1 } });
    const { outcomes } = started(reads(provider, 1));
    await clock.advance(60_000);
    expect(await outcomes).toEqual(['ok']);
    expect(arrivals()).toEqual([0, 10_000, 20_000]);
  });

  it('of writes is not that of reads', async () => {
    const provider = budgeted({ writes: { capacity: 1, refillPerSecond: 0.001 } });
    const { outcomes } = started([...writes(provider, 20), ...reads(provider, 1)]);
    await clock.settle();
    expect(cloud.calls.map(({ action }) => action)).toEqual(['create', 'tables']);
    await clock.advance(20_000_000);
    await outcomes;
  });
});

describe('the cap on calls in flight', () => {
  it('lets the next one go when one is answered', async () => {
    const provider = budgeted({ inFlight: 3 });
    const held = cloud.hold('tables');
    const { outcomes } = started(reads(provider, 5));
    await clock.settle();
    expect(cloud.count('tables')).toBe(3);
    held.release();
    expect(await outcomes).toEqual(Array(5).fill('ok'));
    expect(cloud.count('tables')).toBe(5);
  });

  it('is free again after failures and aborts', async () => {
    const provider = budgeted({ inFlight: 2 });
    cloud.inject({ error: fault('PERMISSION_DENIED'), times: 2 });
    expect(await started(reads(provider, 2)).outcomes).toEqual(['PERMISSION_DENIED', 'PERMISSION_DENIED']);
    const held = cloud.hold('tables');
    const controller = new AbortController();
    const { outcomes } = started(reads(provider, 4, controller.signal));
    await clock.settle();
    controller.abort();
    expect(await outcomes).toEqual(Array(4).fill('AbortError'));
    held.release();
    expect(await started(reads(provider, 2)).outcomes).toEqual(['ok', 'ok']);
  });

  it('is not used up by calls that wait for their next try', async () => {
    const provider = budgeted({ inFlight: 1 });
    cloud.inject({ action: 'create', error: fault('THROTTLED', { retryAfterMs: 60_000 }) });
    const { outcomes } = started(writes(provider, 1));
    await clock.settle();
    expect(await started(reads(provider, 1)).outcomes).toEqual(['ok']);
    await clock.advance(60_000);
    expect(await outcomes).toEqual(['ok']);
  });
});

describe('trying again', () => {
  it('pauses twice as long each time, by chance between half and the whole of it', async () => {
    for (const [random, pauses] of [
      [0, [125, 250, 500]],
      [1, [250, 500, 1_000]],
    ] as const) {
      cloud.inject({ error: fault('TRANSIENT'), times: 3 });
      const from = clock.monotonic();
      cloud.resetCalls();
      const { outcomes } = started(reads(budgeted({}, random), 1));
      await clock.advance(60_000);
      expect(await outcomes).toEqual(['ok']);
      const at = arrivals().map((ms) => ms - from);
      expect(at.slice(1).map((ms, index) => ms - (at[index] ?? 0))).toEqual(pauses);
    }
  });

  it('waits as long as the cloud asks', async () => {
    cloud.inject({ error: fault('THROTTLED', { retryAfterMs: 7_000 }) });
    const { outcomes } = started(reads(budgeted(), 1));
    await clock.advance(60_000);
    expect(await outcomes).toEqual(['ok']);
    expect(arrivals()).toEqual([0, 7_000]);
  });

  it('ends after so many tries, with the last error', async () => {
    cloud.inject({ error: fault('THROTTLED'), times: Infinity });
    const { outcomes } = started(reads(budgeted({ attempts: 4 }), 1));
    await clock.advance(60_000);
    expect(await outcomes).toEqual(['THROTTLED']);
    expect(cloud.count()).toBe(4);
  });

  it('ends rather than pause beyond the deadline', async () => {
    cloud.inject({ error: fault('TRANSIENT', { retryAfterMs: 4_000 }), times: Infinity });
    const { outcomes } = started(reads(budgeted({ deadlineMs: 10_000 }), 1));
    await clock.advance(60_000);
    expect(await outcomes).toEqual(['TRANSIENT']);
    expect(arrivals()).toEqual([0, 4_000, 8_000]);
  });

  it('is done even for a call that waited for its first try longer than the deadline', async () => {
    const provider = budgeted({ writes: { capacity: 1, refillPerSecond: 0.05 }, deadlineMs: 30_000 });
    cloud.inject({ error: fault('THROTTLED'), matches: ({ destination }) => destination === '10.244.2.0/24' });
    const { outcomes } = started(writes(provider, 3));
    await clock.advance(120_000);
    expect(await outcomes).toEqual(['ok', 'ok', 'ok']);
    expect(arrivals()).toEqual([0, 20_000, 40_000, 60_000]);
  });

  it.each(['QUOTA_EXCEEDED', 'PERMISSION_DENIED', 'NOT_FOUND', 'INVALID', 'CONFLICT', 'INTERNAL'] as const)(
    'is not done for %s',
    async (code) => {
      cloud.inject({ error: fault(code), times: Infinity });
      expect(await started(reads(budgeted(), 1)).outcomes).toEqual([code]);
      expect(cloud.count()).toBe(1);
    },
  );

  it('is done three times for the metadata server, outside of every bucket', async () => {
    const empty = { capacity: 1, refillPerSecond: 0.000_1 };
    const provider = budgeted({ reads: empty, writes: empty });
    await provider.tables(selector, never);
    cloud.inject({ action: 'identify', error: fault('METADATA_UNAVAILABLE'), times: 2 });
    const { outcomes } = started([provider.identify(never)]);
    await clock.advance(2_000);
    expect(await outcomes).toEqual(['ok']);
    expect(cloud.count('identify')).toBe(3);
  });
});

describe('an abort', () => {
  it('ends the wait for a token at once, and makes no call', async () => {
    const provider = budgeted({ reads: { capacity: 1, refillPerSecond: 0.01 } });
    await provider.tables(selector, never);
    const controller = new AbortController();
    const { outcomes } = started(reads(provider, 3, controller.signal));
    await clock.settle();
    controller.abort();
    expect(await outcomes).toEqual(Array(3).fill('AbortError'));
    expect(clock.pauses()).toEqual([]);
    expect(cloud.count()).toBe(1);
    // Their tokens went back: the next call waits for one of its own only.
    const next = started(reads(provider, 1));
    await clock.advance(100_000);
    expect(await next.outcomes).toEqual(['ok']);
  });

  it('ends the wait for a slot and the pause before a try', async () => {
    const provider = budgeted({ inFlight: 1 });
    const controller = new AbortController();
    cloud.inject({ action: 'create', error: fault('THROTTLED', { retryAfterMs: 60_000 }) });
    const pausing = started(writes(provider, 1, controller.signal));
    await clock.settle();
    const held = cloud.hold('tables');
    const first = started(reads(provider, 1));
    const waiting = started(reads(provider, 1, controller.signal));
    await clock.settle();
    controller.abort();
    expect(await pausing.outcomes).toEqual(['AbortError']);
    expect(await waiting.outcomes).toEqual(['AbortError']);
    held.release();
    expect(await first.outcomes).toEqual(['ok']);
    expect(cloud.count('create')).toBe(1);
    expect(cloud.count('tables')).toBe(1);
  });
});
