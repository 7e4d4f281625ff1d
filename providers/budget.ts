/**
 * The one layer of limits and retries around a provider: a token bucket for reads and one for writes, a cap on calls in flight,
 * and retries with jitter that honour what the cloud said. SDKs' own retries are off.
 */
import pRetry from 'p-retry';
import { backoffMs, type Clock, type Random } from '../src/core/clock.ts';
import { isFlannelVpcError } from '../src/core/errors.ts';
import type { Logger } from '../src/core/log.ts';
import type { CloudProvider } from './provider.ts';

export interface BucketLimits {
  /** Calls that may be made at once. */
  readonly capacity: number;
  readonly refillPerSecond: number;
}

export interface BudgetLimits {
  readonly reads: BucketLimits;
  readonly writes: BucketLimits;
  readonly inFlight: number;
  /** Tries of one call, the first included. */
  readonly attempts: number;
  /** For how long a call that failed may be tried again, milliseconds. */
  readonly deadlineMs: number;
}

/** Half of what EC2 publishes (Describe 20/s with a bucket of 100, route writes 5/s with 50), shared by nobody knows how many. */
export const defaultBudget: BudgetLimits = {
  reads: { capacity: 50, refillPerSecond: 10 },
  writes: { capacity: 25, refillPerSecond: 2.5 },
  inFlight: 8,
  attempts: 8,
  deadlineMs: 120_000,
};

export interface BudgetOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits?: Partial<BudgetLimits>;
}

/** First pause after a throttled or failed call, and the longest, milliseconds. */
const baseMs = 250;
const maxMs = 20_000;

/** The provider, with every call inside the budget. `identify` asks the metadata server, which no bucket is for. */
export function withBudget(provider: CloudProvider, options: BudgetOptions): CloudProvider {
  const limits = { ...defaultBudget, ...options.limits };
  const reads = createBucket(limits.reads, options.clock);
  const writes = createBucket(limits.writes, options.clock);
  const slots = createSlots(limits.inFlight);

  async function within<T>(bucket: Bucket, signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await retrying(
      async () => {
        await bucket.take(signal);
        // Only while it is under way: calls that wait for a token or for their next try keep nobody else from theirs.
        const release = await slots.take(signal);
        try {
          return await call(signal);
        } finally {
          release();
        }
      },
      { ...options, limits, signal },
    );
  }

  return {
    type: provider.type,
    capabilities: provider.capabilities,
    identify: (signal) =>
      retrying(() => provider.identify(signal), { ...options, limits: { ...limits, attempts: 3 }, signal }),
    resolve: (claims, signal) => within(reads, signal, (inner) => provider.resolve(claims, inner)),
    tables: (selector, signal) => within(reads, signal, (inner) => provider.tables(selector, inner)),
    prepare: (nextHop, signal) => within(writes, signal, (inner) => provider.prepare(nextHop, inner)),
    apply: (change, signal) => within(writes, signal, (inner) => provider.apply(change, inner)),
    close: () => provider.close(),
  };
}

async function retrying<T>(
  call: () => Promise<T>,
  options: Pick<BudgetOptions, 'clock' | 'random' | 'logger'> & {
    readonly limits: BudgetLimits;
    readonly signal: AbortSignal;
  },
): Promise<T> {
  const { clock, random, logger, limits, signal } = options;
  // Not from the start: with hundreds of writes ahead of it, a call waits for its first try longer than this.
  let failedAt: number | undefined;
  let outOfTime = false;
  return await pRetry(call, {
    retries: limits.attempts - 1,
    // The pauses are ours (below), so that a clock passed in decides them and the server's word counts.
    minTimeout: 0,
    maxTimeout: 0,
    signal,
    shouldRetry: ({ error }) => isFlannelVpcError(error) && error.retry === 'backoff' && !outOfTime,
    async onFailedAttempt({ error, attemptNumber, retriesLeft }) {
      if (!isFlannelVpcError(error) || error.retry !== 'backoff' || retriesLeft === 0) return;
      const pause = Math.max(backoffMs(attemptNumber - 1, baseMs, maxMs, random), error.retryAfterMs ?? 0);
      const now = clock.monotonic();
      failedAt ??= now;
      outOfTime = now + pause - failedAt >= limits.deadlineMs;
      if (outOfTime) return;
      logger.debug('cloud call failed; trying again', {
        error: error.message,
        code: error.code,
        attempt: attemptNumber,
        pauseMs: Math.round(pause),
      });
      await clock.sleep(pause, signal);
    },
  });
}

interface Bucket {
  /** Waits for a token; first come, first served. */
  take(signal: AbortSignal): Promise<void>;
}

function createBucket({ capacity, refillPerSecond }: BucketLimits, clock: Clock): Bucket {
  let tokens = capacity;
  let at = clock.monotonic();
  return {
    async take(signal) {
      const now = clock.monotonic();
      tokens = Math.min(capacity, tokens + ((now - at) / 1_000) * refillPerSecond);
      at = now;
      // Below zero is a queue: each taker waits until its own token will have been refilled.
      tokens -= 1;
      if (tokens >= 0) return;
      try {
        await clock.sleep((-tokens / refillPerSecond) * 1_000, signal);
      } catch (error) {
        tokens += 1;
        throw error;
      }
    },
  };
}

interface Slots {
  /** Waits for a free slot and gives the function that frees it. */
  take(signal: AbortSignal): Promise<() => void>;
}

function createSlots(count: number): Slots {
  let free = count;
  const waiting: (() => void)[] = [];
  const release = (): void => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };
  return {
    async take(signal) {
      signal.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return release;
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const abort = (): void => {
        const at = waiting.indexOf(resolve);
        if (at >= 0) waiting.splice(at, 1);
        reject(signal.reason);
      };
      waiting.push(resolve);
      signal.addEventListener('abort', abort, { once: true });
      try {
        await promise;
      } finally {
        signal.removeEventListener('abort', abort);
      }
      return release;
    },
  };
}
