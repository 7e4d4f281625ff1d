/** The budget around a provider, on a memory cloud and by a clock turned by hand. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { withBudget } from '../../../providers/budget.ts';
import { type BudgetLimits, defaultBudget } from '../../../providers/budget-limits.ts';
import { createMemoryCloud, type MemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import type { CloudProvider, RouteChange } from '../../../providers/provider.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { cidrOf, parseIp } from '../../../src/core/ip.ts';
import { type LogFields, silentLogger } from '../../../src/core/log.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

const selector = { tableIds: ['rtb-1'], networkId: undefined, subnetIds: [] };
const never = new AbortController().signal;
const throttled = (retryAfterMs?: number) => new FlannelVpcError('THROTTLED', 'slow down', { retryAfterMs });
/** Tried again alike, and no reason to go slower. */
const passing = (retryAfterMs?: number) => new FlannelVpcError('TRANSIENT', 'not now', { retryAfterMs });

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

function budget(
  limits: Partial<BudgetLimits> = {},
  random: () => number = () => 0.5,
  beforeWrite?: () => void,
): CloudProvider {
  return withBudget(cloud.provider('i-1'), { clock, random, logger: silentLogger, limits, beforeWrite });
}

function create(index: number): RouteChange {
  const address = parseIp(`10.244.${index}.0`);
  if (!address) throw new Error(`no subnet ${index}`);
  const nextHop = { nicId: 'eni-1', instanceId: 'i-1', subnetId: 'subnet-1', networkId: 'vpc-1', forwards: true };
  return { action: 'create', tableId: 'rtb-1', destination: cidrOf(address, 24), nextHop };
}

/** Starts a call and keeps what comes of it. */
function outcomeOf<T>(call: Promise<T>): { value?: T; error?: unknown; settled: boolean } {
  const outcome: { value?: T; error?: unknown; settled: boolean } = { settled: false };
  call.then(
    (value) => Object.assign(outcome, { value, settled: true }),
    (error: unknown) => Object.assign(outcome, { error, settled: true }),
  );
  return outcome;
}

const arrivals = (): readonly number[] => cloud.calls.map(({ at }) => at);

describe('rates', () => {
  it('lets a burst of the bucket’s size through at once, and then one for each token refilled', async () => {
    const provider = budget({ writes: { capacity: 3, refillPerSecond: 2 }, inFlight: 100 });
    for (let index = 0; index < 7; index++) outcomeOf(provider.apply(create(index), never));

    await clock.advance(10_000);

    expect(arrivals()).toEqual([0, 0, 0, 500, 1_000, 1_500, 2_000]);
    expect(Object.keys(cloud.staticRoutes('rtb-1'))).toHaveLength(7);
  });

  it('serves calls in the order they were made', async () => {
    const provider = budget({ writes: { capacity: 1, refillPerSecond: 1 } });
    for (let index = 0; index < 5; index++) outcomeOf(provider.apply(create(index), never));

    await clock.advance(10_000);

    expect(cloud.calls.map(({ destination }) => destination)).toEqual(
      [0, 1, 2, 3, 4].map((index) => `10.244.${index}.0/24`),
    );
  });

  it('fills the bucket while nothing is called, but never above its size', async () => {
    const provider = budget({ reads: { capacity: 2, refillPerSecond: 1 } });
    for (let index = 0; index < 2; index++) outcomeOf(provider.tables(selector, never));
    await clock.advance(60_000);
    for (let index = 0; index < 4; index++) outcomeOf(provider.tables(selector, never));

    await clock.advance(10_000);

    expect(arrivals()).toEqual([0, 0, 60_000, 60_000, 61_000, 62_000]);
  });

  it('keeps reads and writes apart, so that a thousand writes delay no read', async () => {
    const provider = budget({ writes: { capacity: 1, refillPerSecond: 1 }, inFlight: 2 });
    for (let index = 0; index < 50; index++) outcomeOf(provider.apply(create(index), never));
    const read = outcomeOf(provider.tables(selector, never));

    await clock.settle();

    expect(read.settled).toBe(true);
    expect(arrivals()).toEqual([0, 0]);
  });

  it('gives each kind of change a rate of its own', async () => {
    const provider = budget({ writes: { capacity: 1, refillPerSecond: 1 } });
    const hop = create(1);
    if (hop.action !== 'create') throw new Error('no creation');
    const expected = { kind: 'nic', id: 'eni-1' } as const;
    for (let index = 0; index < 3; index++) outcomeOf(provider.apply(create(index), never));
    outcomeOf(provider.prepare(hop.nextHop, never));
    outcomeOf(provider.apply({ ...create(9), action: 'delete', expected }, never));

    await clock.settle();

    expect(cloud.calls.map(({ action }) => action).sort()).toEqual(['create', 'delete', 'prepare']);
  });

  it('counts the states of instances and a diagnosis as one read each', async () => {
    const provider = budget({
      reads: { capacity: 1, refillPerSecond: 1 },
      writes: { capacity: 9, refillPerSecond: 9 },
    });
    const subject = { networks: [], nextHop: undefined, tables: [], networkId: undefined, needs: 'read' } as const;
    for (let index = 0; index < 2; index++) {
      outcomeOf(provider.diagnose(subject, never));
      outcomeOf(provider.instances(['i-1'], never));
    }

    await clock.advance(10_000);

    expect(cloud.calls.map(({ action, at }) => [action, at])).toEqual([
      ['diagnose', 0],
      ['instances', 0],
      ['diagnose', 1_000],
      ['instances', 1_000],
    ]);
  });

  it('counts each try of a call', async () => {
    cloud.inject({ action: 'create', error: passing(), times: 2 });
    const provider = budget({ writes: { capacity: 1, refillPerSecond: 0.1 } }, () => 0);
    const write = outcomeOf(provider.apply(create(1), never));

    await clock.advance(60_000);

    expect(write).toEqual({ value: undefined, settled: true });
    expect(arrivals()).toEqual([0, 10_000, 20_000]);
  });

  it('takes half of what EC2 publishes, unless told otherwise', async () => {
    const provider = budget({ inFlight: 100 });
    for (let index = 0; index < 30; index++) outcomeOf(provider.apply(create(index), never));
    await clock.advance(60_000);

    expect(defaultBudget.writes).toEqual({ capacity: 25, refillPerSecond: 2.5 });
    expect(arrivals().filter((at) => at === 0)).toHaveLength(25);
    expect(arrivals().slice(25)).toEqual([400, 800, 1_200, 1_600, 2_000]);
  });
});

describe('a cloud that has too many calls', () => {
  const writes = { capacity: 4, refillPerSecond: 2 };

  it('gets no more at once, and then half as many, the refused one among them', async () => {
    cloud.inject({ action: 'create', error: throttled() });
    const provider = budget({ writes }, () => 0);
    const first = outcomeOf(provider.apply(create(1), never));
    await clock.settle();
    for (let index = 2; index <= 4; index++) outcomeOf(provider.apply(create(index), never));
    await clock.advance(10_000);
    expect(first).toEqual({ value: undefined, settled: true });
    expect(arrivals()).toEqual([0, 1_000, 2_000, 3_000, 4_000]);
  });

  it('gets as many as before after some that it let through', async () => {
    cloud.inject({ action: 'create', error: throttled() });
    const provider = budget({ writes }, () => 0);
    for (let index = 1; index <= 60; index++) {
      outcomeOf(provider.apply(create(index), never));
      await clock.advance(5_000);
    }
    const before = arrivals().length;
    for (let index = 61; index <= 68; index++) outcomeOf(provider.apply(create(index), never));
    await clock.advance(10_000);
    const [start = 0, ...later] = arrivals().slice(before);
    expect(later.map((at) => at - start)).toEqual([0, 0, 0, 500, 1_000, 1_500, 2_000]);
  });

  it('is asked ever more rarely while it refuses, by side by side refusals once', async () => {
    cloud.inject({ action: 'create', error: throttled(), times: Number.POSITIVE_INFINITY });
    const provider = budget({ writes: { capacity: 50, refillPerSecond: 16 }, attempts: 4 }, () => 0);
    for (let index = 1; index <= 8; index++) outcomeOf(provider.apply(create(index), never));
    await clock.settle();
    expect(arrivals()).toHaveLength(8);
    await clock.advance(1_000);
    // Half of 16, not a 256th part.
    expect(arrivals().length).toBeGreaterThan(12);
    const from = clock.monotonic();
    for (let index = 9; index <= 99; index++) outcomeOf(provider.apply(create(index), never));
    await clock.advance(10_000);
    expect(arrivals().filter((at) => at >= from).length).toBeLessThan(50);
  });

  it('is asked for the same by nobody before the time that it said, and then one after the other', async () => {
    cloud.inject({ action: 'create', error: throttled(20_000) });
    const provider = budget({ writes }, () => 0);
    const calls = [outcomeOf(provider.apply(create(1), never))];
    await clock.settle();
    for (let index = 2; index <= 4; index++) calls.push(outcomeOf(provider.apply(create(index), never)));
    await clock.advance(60_000);
    expect(calls).toEqual(calls.map(() => ({ value: undefined, settled: true })));
    expect(arrivals()).toEqual([0, 21_000, 22_000, 23_000, 24_000]);
  });

  it('is not asked either by who waited for their turn already', async () => {
    cloud.setLatency(100);
    cloud.inject({ action: 'create', error: throttled(20_000) });
    const provider = budget({ writes: { capacity: 1, refillPerSecond: 2 } }, () => 0);
    for (let index = 1; index <= 3; index++) outcomeOf(provider.apply(create(index), never));
    await clock.advance(20_099);
    expect(arrivals()).toEqual([0]);
    await clock.advance(20_000);
    expect(arrivals()).toHaveLength(4);
  });

  it('is not waited for when it said a time beyond all tries, and is sent nothing until then', async () => {
    cloud.inject({ action: 'create', error: throttled(300_000) });
    const provider = budget({ writes });
    const first = outcomeOf(provider.apply(create(1), never));
    await clock.advance(100_000);
    const second = outcomeOf(provider.apply(create(2), never));
    await clock.settle();
    expect(first.error).toMatchObject({ code: 'THROTTLED', retryAfterMs: 300_000 });
    expect(second.error).toMatchObject({
      ...{ code: 'THROTTLED', retryAfterMs: 200_000 },
      message: 'not sent, since the cloud said to come back in 200 s (slow down)',
    });
    expect(arrivals()).toEqual([0]);
    const read = outcomeOf(provider.tables(selector, never));
    await clock.settle();
    expect(read.settled).toBe(true);

    await clock.advance(100_000);
    const third = outcomeOf(provider.apply(create(3), never));
    await clock.advance(110_000);
    expect(third).toEqual({ value: undefined, settled: true });
    expect(cloud.calls.filter(({ action }) => action === 'create').map(({ at }) => at)).toEqual([0, 301_000]);
  });

  it('is asked for other things as before', async () => {
    cloud.inject({ action: 'create', error: throttled() });
    const provider = budget({ writes }, () => 0);
    outcomeOf(provider.apply(create(1), never));
    await clock.settle();
    cloud.resetCalls();
    for (let read = 0; read < 5; read++) outcomeOf(provider.tables(selector, never));
    await clock.settle();
    expect(cloud.count('tables')).toBe(5);
  });
});

describe('calls in flight', () => {
  it('are never more than allowed, and the next one goes when one has ended', async () => {
    const held = cloud.hold('create');
    const provider = budget({ inFlight: 2 });
    const writes = [0, 1, 2, 3, 4].map((index) => outcomeOf(provider.apply(create(index), never)));
    await clock.settle();
    expect(cloud.calls).toHaveLength(2);

    held.release();
    await clock.settle();

    expect(writes.every(({ settled }) => settled)).toBe(true);
    expect(cloud.calls).toHaveLength(5);
  });

  it('give the next place to a read, however many changes wait', async () => {
    cloud.setLatency(1_000);
    const provider = budget({ inFlight: 1 });
    for (let index = 0; index < 5; index++) outcomeOf(provider.apply(create(index), never));
    await clock.settle();
    outcomeOf(provider.tables(selector, never));

    await clock.advance(10_000);

    expect(cloud.calls.map(({ action }) => action)).toEqual(['create', 'tables', ...Array(4).fill('create')]);
  });

  it('stay as few when places are handed on', async () => {
    cloud.setLatency(1_000);
    const provider = budget({ inFlight: 2 });
    for (let index = 0; index < 5; index++) outcomeOf(provider.apply(create(index), never));
    await clock.advance(1_500);
    for (let index = 5; index < 8; index++) outcomeOf(provider.apply(create(index), never));

    await clock.advance(10_000);

    expect(arrivals()).toEqual([0, 0, 1_000, 1_000, 2_000, 2_000, 3_000, 3_000]);
  });

  it('do not include one that waits for its next try', async () => {
    cloud.inject({ action: 'create', error: passing(30_000) });
    const provider = budget({ inFlight: 1 });
    outcomeOf(provider.apply(create(1), never));
    await clock.settle();
    const other = outcomeOf(provider.apply(create(2), never));

    await clock.settle();

    expect(other.settled).toBe(true);
  });

  it('lose their place when they are given up', async () => {
    const held = cloud.hold('create');
    const provider = budget({ inFlight: 1 });
    const first = new AbortController();
    const given = [1, 2].map((index) => outcomeOf(provider.apply(create(index), first.signal)));
    const later = outcomeOf(provider.apply(create(3), never));
    await clock.settle();

    first.abort(new DOMException('given up', 'AbortError'));
    held.release();
    await clock.settle();

    for (const { error } of given) expect(error).toMatchObject({ name: 'AbortError' });
    expect(later).toEqual({ value: undefined, settled: true });
    expect(cloud.count('create')).toBe(2);
  });
});

describe('a call that fails', () => {
  it.each(['THROTTLED', 'TRANSIENT'] as const)('is tried again when it is %s', async (code) => {
    cloud.inject({ action: 'tables', error: new FlannelVpcError(code, 'not now'), times: 2 });
    const read = outcomeOf(budget().tables(selector, never));

    await clock.advance(10_000);

    expect(read.value).toHaveLength(1);
    expect(cloud.count('tables')).toBe(3);
  });

  it.each([
    'QUOTA_EXCEEDED',
    'PERMISSION_DENIED',
    'NOT_FOUND',
    'INVALID',
    'CONFLICT',
    'INTERNAL',
    'CONFIG_INVALID',
  ] as const)('is not tried again when it is %s', async (code) => {
    const error = new FlannelVpcError(code, 'no');
    cloud.inject({ action: 'create', error, times: 5 });
    const write = outcomeOf(budget().apply(create(1), never));

    await clock.advance(600_000);

    expect(write.error).toBe(error);
    expect(cloud.count('create')).toBe(1);
  });

  it('is not tried again when it is none of our errors', async () => {
    let tries = 0;
    const broken = Object.assign(cloud.provider('i-1'), {
      async tables(): Promise<never> {
        tries += 1;
        throw new RangeError('a bug');
      },
    });
    const provider = withBudget(broken, { clock, random: () => 0, logger: silentLogger });
    const read = outcomeOf(provider.tables(selector, never));

    await clock.advance(600_000);

    expect(read.error).toBeInstanceOf(RangeError);
    expect(tries).toBe(1);
  });

  it('waits longer each time, by chance between half a ceiling and the whole of it', async () => {
    const waits = async (random: () => number): Promise<readonly number[]> => {
      cloud.resetCalls();
      cloud.inject({ action: 'tables', error: passing(), times: 5 });
      outcomeOf(budget({}, random).tables(selector, never));
      await clock.advance(100_000);
      const at = arrivals();
      return at.slice(1).map((time, index) => time - (at[index] ?? 0));
    };

    expect(await waits(() => 0)).toEqual([125, 250, 500, 1_000, 2_000]);
    expect(await waits(() => 0.999)).toEqual([125, 250, 500, 1_000, 2_000].map((ms) => ms * 1.999));
  });

  it('waits at least as long as the cloud asked for, and not everybody equally long', async () => {
    const pauseWith = async (random: () => number): Promise<number> => {
      cloud.inject({ action: 'tables', error: throttled(7_000) });
      outcomeOf(budget({}, random).tables(selector, never));
      await clock.settle();
      const pause = Math.min(...clock.pauses().filter((ms) => ms < defaultBudget.deadlineMs));
      await clock.advance(20_000);
      return pause;
    };

    const [short, long] = [await pauseWith(() => 0), await pauseWith(() => 1)];

    expect(short).toBeGreaterThanOrEqual(7_000);
    expect(long).toBeGreaterThan(short);
    expect(long).toBeLessThan(8_000);
  });

  it('is given up after the last try, with the cloud’s own error', async () => {
    const error = throttled();
    cloud.inject({ action: 'tables', error, times: Number.POSITIVE_INFINITY });
    const read = outcomeOf(budget({ attempts: 4 }).tables(selector, never));

    await clock.advance(600_000);

    expect(read.error).toBe(error);
    expect(cloud.count('tables')).toBe(4);
    expect(clock.pauses()).toEqual([]);
  });

  it('is given up at once when the deadline would pass during the pause', async () => {
    const error = throttled(50_000);
    cloud.inject({ action: 'tables', error, times: Number.POSITIVE_INFINITY });
    const read = outcomeOf(budget({ deadlineMs: 60_000 }).tables(selector, never));

    await clock.advance(51_000);

    expect(read.error).toBe(error);
    expect(cloud.count('tables')).toBe(2);
  });

  it('is given up at the deadline even when it never answers', async () => {
    cloud.hold('tables');
    const read = outcomeOf(budget({ deadlineMs: 60_000 }).tables(selector, never));

    await clock.advance(59_999);
    expect(read.settled).toBe(false);
    await clock.advance(1);

    expect(read.error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('60 s') });
  });

  it('does not count the time until its turn against its deadline', async () => {
    const provider = budget({ writes: { capacity: 1, refillPerSecond: 0.01 }, deadlineMs: 5_000 });
    outcomeOf(provider.apply(create(1), never));
    const second = outcomeOf(provider.apply(create(2), never));

    await clock.advance(100_000);

    expect(second).toEqual({ value: undefined, settled: true });
  });
});

describe('an abort', () => {
  const reason = new DOMException('enough', 'AbortError');

  const waits: readonly (readonly [string, Partial<BudgetLimits>, () => void])[] = [
    ['waits for its turn', { writes: { capacity: 0, refillPerSecond: 0.001 } }, () => {}],
    ['waits for another call to end', { inFlight: 1 }, () => void cloud.hold('create')],
    ['waits for its next try', {}, () => cloud.inject({ error: throttled(60_000), times: Number.POSITIVE_INFINITY })],
    ['is under way', {}, () => void cloud.hold('create')],
  ];

  it.each(waits)('ends a call at once that %s', async (_, limits, prepare) => {
    prepare();
    const provider = budget(limits);
    const stop = new AbortController();
    const calls = [1, 2].map((index) => outcomeOf(provider.apply(create(index), stop.signal)));
    await clock.settle();
    expect(calls.map(({ settled }) => settled)).toEqual([false, false]);
    const before = cloud.calls.length;

    stop.abort(reason);
    await clock.settle();

    expect(calls.map(({ error }) => error)).toEqual([reason, reason]);
    expect(cloud.calls).toHaveLength(before);
    expect(clock.pauses()).toEqual([]);
  });

  it('keeps a call from being made at all when it came before', async () => {
    const call = outcomeOf(budget().apply(create(1), AbortSignal.abort(reason)));

    await clock.settle();

    expect(call.error).toBe(reason);
    expect(cloud.calls).toEqual([]);
  });

  it('that came before the call takes no turn', async () => {
    const provider = budget({ writes: { capacity: 1, refillPerSecond: 0.001 } });
    outcomeOf(provider.apply(create(1), AbortSignal.abort(reason)));
    const other = outcomeOf(provider.apply(create(2), never));

    await clock.settle();

    expect(other.settled).toBe(true);
  });

  it('gives the turn back', async () => {
    const provider = budget({ writes: { capacity: 1, refillPerSecond: 1 } });
    const stop = new AbortController();
    outcomeOf(provider.apply(create(1), never));
    for (const index of [2, 3, 4]) outcomeOf(provider.apply(create(index), stop.signal));
    await clock.settle();
    stop.abort(reason);
    await clock.settle();
    outcomeOf(provider.apply(create(5), never));

    await clock.advance(1_000);

    expect(arrivals()).toEqual([0, 1_000]);
  });
});

it('asks the metadata server outside of every bucket, three times at most', async () => {
  cloud.inject({ action: 'identify', error: new FlannelVpcError('METADATA_UNAVAILABLE', 'no'), times: 9 });
  const provider = budget({ reads: { capacity: 0, refillPerSecond: 0.001 } });
  const asked = outcomeOf(provider.identify(never));

  await clock.advance(60_000);

  expect(asked.error).toMatchObject({ code: 'METADATA_UNAVAILABLE' });
  expect(cloud.count('identify')).toBe(3);
});

describe('who may not write any more', () => {
  const lost = new FlannelVpcError('LEADERSHIP_LOST', 'another one leads');
  let leads: boolean;
  const check = (): void => {
    if (!leads) throw lost;
  };

  beforeEach(() => {
    leads = true;
  });

  it('sends nothing that waited for its turn, and reads on', async () => {
    const provider = budget({ writes: { capacity: 1, refillPerSecond: 1 } }, undefined, check);
    const [first, second] = [create(1), create(2)].map((change) => outcomeOf(provider.apply(change, never)));
    await clock.settle();
    leads = false;

    await clock.advance(60_000);
    const read = outcomeOf(provider.tables(selector, never));
    await clock.settle();

    expect(first).toEqual({ value: undefined, settled: true });
    expect(second).toEqual({ error: lost, settled: true });
    expect(cloud.count('create')).toBe(1);
    expect(read).toMatchObject({ value: [expect.anything()] });
  });

  it('does not try again', async () => {
    cloud.inject({ action: 'create', error: throttled() });
    const write = outcomeOf(budget({}, undefined, check).apply(create(1), never));
    await clock.settle();
    leads = false;

    await clock.advance(60_000);

    expect(write).toEqual({ error: lost, settled: true });
    expect(cloud.count('create')).toBe(1);
  });
});

describe('what is said of failures', () => {
  it('is said once in five minutes, and at once when the failure is another one', async () => {
    const said: unknown[] = [];
    const logger = { ...silentLogger, warn: (_: string, fields?: LogFields) => void said.push(fields?.['code']) };
    const provider = withBudget(cloud.provider('i-1'), { clock, random: () => 0.5, logger, limits: {} });
    const failFor = async (error: FlannelVpcError): Promise<void> => {
      cloud.inject({ action: 'tables', error, times: Number.POSITIVE_INFINITY });
      outcomeOf(provider.tables(selector, never));
      await clock.advance(60_000);
      cloud.clearFaults();
    };

    await failFor(throttled());
    await failFor(throttled());
    await failFor(passing());
    expect(said).toEqual(['THROTTLED', 'TRANSIENT']);

    await clock.advance(5 * 60_000);
    await failFor(throttled());
    expect(said).toEqual(['THROTTLED', 'TRANSIENT', 'THROTTLED']);
  });
});
