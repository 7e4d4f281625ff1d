/** The order of writes: one at a time where the cloud wants it, together where it can take several, and nobody left waiting. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ChangeResult, CloudProvider, ProviderCapabilities, RouteChange } from '../../../providers/provider.ts';
import { withWriteQueue } from '../../../providers/write-queue.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { cidr } from '../../support/addresses.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

/** One call that the provider got, until the test ends it. */
interface Call {
  readonly destinations: readonly string[];
  readonly signal: AbortSignal;
  end(result?: readonly ChangeResult[] | Error): void;
}

const never = new AbortController().signal;
let clock: TestClock;
let calls: Call[];

beforeEach(() => {
  clock = createTestClock();
  calls = [];
});

function queued(capabilities: Partial<ProviderCapabilities>, batches = true): CloudProvider {
  const begin = <T>(
    changes: readonly RouteChange[],
    signal: AbortSignal,
    value: (result: unknown) => T,
  ): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort);
    calls.push({
      destinations: changes.map(({ tableId, destination }) => `${tableId} ${formatCidr(destination)}`),
      signal,
      end: (result) => (result instanceof Error ? reject(result) : resolve(value(result))),
    });
    return promise;
  };
  const provider = {
    type: 'test',
    capabilities: { batchSize: 1, writesAtOnce: 'any', ...capabilities },
    apply: (change: RouteChange, signal: AbortSignal) => begin([change], signal, () => undefined),
    ...((capabilities.batchSize ?? 1) > 1 && {
      applyBatch: (_: string, changes: readonly RouteChange[], signal: AbortSignal) =>
        begin(changes, signal, (result) => (result ?? changes.map(() => undefined)) as readonly ChangeResult[]),
    }),
  } as unknown as CloudProvider;
  return withWriteQueue(provider, { clock, batches });
}

function change(index: number, tableId = 'rtb-1'): RouteChange {
  const nextHop = { nicId: 'eni-1', instanceId: 'i-1', subnetId: undefined, networkId: undefined, forwards: true };
  return { action: 'create', tableId, destination: cidr(`10.244.${index}.0/24`), nextHop };
}

/** What became of it, once it is settled. */
function follow(call: Promise<void>): { outcome: unknown } {
  const followed: { outcome: unknown } = { outcome: 'waiting' };
  call.then(
    () => void (followed.outcome = 'done'),
    (error: unknown) => void (followed.outcome = error),
  );
  return followed;
}

const seen = (): readonly string[] => calls.map(({ destinations }) => destinations.join(', '));

describe('a cloud that takes any number of writes', () => {
  it('gets them as they come', async () => {
    const provider = queued({});
    for (const index of [1, 2, 3]) void provider.apply(change(index), never);
    await clock.settle();

    expect(calls).toHaveLength(3);
  });
});

describe('a cloud that takes one write for each table', () => {
  it('gets the next one when the one before has ended, well or badly', async () => {
    const provider = queued({ writesAtOnce: 'one-per-table' });
    const [first, second] = [follow(provider.apply(change(1), never)), follow(provider.apply(change(2), never))];
    void provider.apply(change(1, 'rtb-2'), never);
    await clock.settle();
    expect(seen()).toEqual(['rtb-1 10.244.1.0/24', 'rtb-2 10.244.1.0/24']);

    const failure = new Error('no');
    calls[0]?.end(failure);
    await clock.settle();
    expect(first.outcome).toBe(failure);
    expect(seen().slice(2)).toEqual(['rtb-1 10.244.2.0/24']);

    calls[2]?.end();
    await clock.settle();
    expect(second.outcome).toBe('done');
  });

  it('starts anew after it was idle', async () => {
    const provider = queued({ writesAtOnce: 'one-per-table' });
    void provider.apply(change(1), never);
    await clock.settle();
    calls[0]?.end();
    await clock.settle();
    const later = follow(provider.apply(change(2), never));
    await clock.settle();
    calls[1]?.end();
    await clock.settle();

    expect(later.outcome).toBe('done');
  });

  it('never sends what was given up while it waited', async () => {
    const provider = queued({ writesAtOnce: 'one-per-table' });
    const giveUp = new AbortController();
    void provider.apply(change(1), never);
    const given = follow(provider.apply(change(2), giveUp.signal));
    void provider.apply(change(3), never);
    await clock.settle();
    giveUp.abort(new Error('given up'));
    await clock.settle();
    expect(given.outcome).toEqual(new Error('given up'));

    calls[0]?.end();
    await clock.settle();
    expect(seen()).toEqual(['rtb-1 10.244.1.0/24', 'rtb-1 10.244.3.0/24']);
  });
});

describe('a cloud that takes one write in all', () => {
  it('gets writes to other tables in turn as well', async () => {
    const provider = queued({ writesAtOnce: 'one' });
    void provider.apply(change(1), never);
    void provider.apply(change(1, 'rtb-2'), never);
    await clock.settle();

    expect(seen()).toEqual(['rtb-1 10.244.1.0/24']);
  });
});

describe('a cloud that takes several changes in one call', () => {
  const batching = { writesAtOnce: 'one-per-table', batchSize: 3 } as const;

  it('gets what gathered, no more than it takes, and the rest next', async () => {
    const provider = queued(batching);
    for (const index of [1, 2, 3, 4, 5]) void provider.apply(change(index), never);
    await clock.advance(1_000);
    expect(seen()).toEqual(['rtb-1 10.244.1.0/24, rtb-1 10.244.2.0/24, rtb-1 10.244.3.0/24']);

    calls[0]?.end();
    await clock.advance(1_000);
    expect(seen().slice(1)).toEqual(['rtb-1 10.244.4.0/24, rtb-1 10.244.5.0/24']);
  });

  it('gets changes of one destination one after the other, in their order', async () => {
    const provider = queued(batching);
    for (const index of [1, 1, 2]) void provider.apply(change(index), never);
    await clock.advance(1_000);
    calls[0]?.end();
    await clock.advance(1_000);

    expect(seen()).toEqual(['rtb-1 10.244.1.0/24, rtb-1 10.244.2.0/24', 'rtb-1 10.244.1.0/24']);
  });

  it('keeps tables apart', async () => {
    const provider = queued({ ...batching, writesAtOnce: 'one' });
    for (const tableId of ['rtb-1', 'rtb-2', 'rtb-1']) void provider.apply(change(calls.length + 1, tableId), never);
    await clock.advance(1_000);

    expect(calls.length).toBeGreaterThan(0);
    expect(calls.every(({ destinations }) => new Set(destinations.map((text) => text.split(' ')[0])).size === 1)).toBe(
      true,
    );
  });

  it('tells each change what became of it', async () => {
    const provider = queued(batching);
    const refused = new FlannelVpcError('CONFLICT', 'it stands already');
    const [first, second] = [follow(provider.apply(change(1), never)), follow(provider.apply(change(2), never))];
    await clock.advance(1_000);
    calls[0]?.end([undefined, refused]);
    await clock.settle();

    expect([first.outcome, second.outcome]).toEqual(['done', refused]);
  });

  it('sends a change that is given up to nobody a second time, and the others again without it', async () => {
    const provider = queued(batching);
    const giveUp = new AbortController();
    const given = follow(provider.apply(change(1), giveUp.signal));
    const kept = follow(provider.apply(change(2), never));
    await clock.advance(1_000);
    giveUp.abort(new Error('given up'));
    await clock.advance(1_000);
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(given.outcome).toEqual(new Error('given up'));
    expect(seen().slice(1)).toEqual(['rtb-1 10.244.2.0/24']);

    calls[1]?.end();
    await clock.settle();
    expect(kept.outcome).toBe('done');
  });

  it('gets them one by one from who must not use the call', async () => {
    const provider = queued(batching, false);
    for (const index of [1, 2]) void provider.apply(change(index), never);
    await clock.advance(1_000);

    expect(seen()).toEqual(['rtb-1 10.244.1.0/24']);
  });
});
