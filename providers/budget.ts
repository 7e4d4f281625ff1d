/**
 * The one layer of limits and retries around a provider: a token bucket for each kind of call, a cap on calls in flight, reads first,
 * and retries with jitter that honour what the cloud said. SDKs' own retries are off.
 */
import pRetry from 'p-retry';
import { backoffMs, type Clock, type Random } from '../src/core/clock.ts';
import { withDeadline } from '../src/core/deadline.ts';
import { FlannelVpcError, isFlannelVpcError } from '../src/core/errors.ts';
import type { Logger } from '../src/core/log.ts';
import { createNews, type News } from '../src/core/news.ts';
import { type BucketLimits, type BudgetLimits, defaultBudget } from './budget-limits.ts';
import type { ChangeResult, CloudProvider, RouteChange } from './provider.ts';

export interface BudgetOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits?: Partial<BudgetLimits>;
  /**
   * Called right before each try of a write, however long that waited for its turn or its next try; what it throws ends the call.
   * For a controller, which must not write once it leads no more.
   */
  readonly beforeWrite?: (() => void) | undefined;
}

/** First pause after a throttled or failed call, and the longest, milliseconds. */
const baseMs = 250;
const maxMs = 20_000;
/** From this failed try on, two seconds or so after the first, a person is told. */
const tellAtAttempt = 4;
/** Least time between two such lines about one kind of failure, milliseconds. */
const tellEveryMs = 5 * 60_000;

/** The provider, with every call inside the budget. `identify` asks the metadata server, which no bucket is for. */
export function withBudget(provider: CloudProvider, options: BudgetOptions): CloudProvider {
  const limits = { ...defaultBudget, ...provider.capabilities.budget, ...options.limits };
  const slots = createSlots(limits.inFlight);
  const buckets = new Map<Action, Bucket>();
  const news = createNews(options.clock, tellEveryMs);

  /** Clouds count each action by itself: deletions must not wait for creations, nor anything for a NIC's attribute. */
  function bucketOf(action: Action): Bucket {
    const ofKind = isRead(action) ? limits.reads : limits.writes;
    const bucket = buckets.get(action) ?? createBucket({ ...ofKind, longestMs: limits.deadlineMs }, options.clock);
    buckets.set(action, bucket);
    return bucket;
  }

  async function within<T>(action: Action, signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const bucket = bucketOf(action);
    // The first turn may be minutes away when thousands of routes are to be written; that is no fault of the call.
    await bucket.take(signal);
    let turns = 0;
    return await retrying(
      async (inner) => {
        if (turns++ > 0) await bucket.take(inner);
        const release = await slots.take(inner, isRead(action));
        try {
          const value = await call(inner);
          bucket.granted();
          return value;
        } catch (error) {
          if (isFlannelVpcError(error, 'THROTTLED')) bucket.refused(error);
          throw error;
        } finally {
          release();
        }
      },
      { ...options, limits, signal, news },
    );
  }

  async function write<T>(action: Action, signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await within(action, signal, async (inner) => {
      options.beforeWrite?.();
      return await call(inner);
    });
  }

  const { applyBatch } = provider;

  return {
    type: provider.type,
    capabilities: provider.capabilities,
    identify: (signal) =>
      retrying((inner) => provider.identify(inner), {
        ...options,
        limits: { ...limits, attempts: Math.min(3, limits.attempts) },
        ...{ signal, news },
      }),
    resolve: (claims, signal) => within('resolve', signal, (inner) => provider.resolve(claims, inner)),
    instances: (ids, signal) => within('instances', signal, (inner) => provider.instances(ids, inner)),
    tables: (selector, signal) => within('tables', signal, (inner) => provider.tables(selector, inner)),
    prepare: (nextHop, signal) => write('prepare', signal, (inner) => provider.prepare(nextHop, inner)),
    apply: (change, signal) => write(change.action, signal, (inner) => provider.apply(change, inner)),
    ...(applyBatch && {
      applyBatch: (tableId: string, changes: readonly RouteChange[], signal: AbortSignal) =>
        write<readonly ChangeResult[]>('batch', signal, (inner) => applyBatch.call(provider, tableId, changes, inner)),
    }),
    // Its dozen requests, one after the other, count as one: a person waits for them.
    diagnose: (subject, signal) => within('diagnose', signal, (inner) => provider.diagnose(subject, inner)),
    close: () => provider.close(),
  };
}

/** What a bucket is for: the seam's calls, changes apart by what they do. */
type Action = 'resolve' | 'instances' | 'tables' | 'diagnose' | 'prepare' | 'batch' | RouteChange['action'];

function isRead(action: Action): boolean {
  return action === 'resolve' || action === 'instances' || action === 'tables' || action === 'diagnose';
}

interface RetryOptions extends Pick<BudgetOptions, 'clock' | 'random' | 'logger'> {
  readonly limits: BudgetLimits;
  readonly signal: AbortSignal;
  /** By error code: a thousand calls that fail alike are one piece of it, and another failure is another. */
  readonly news: News;
}

async function retrying<T>(call: (signal: AbortSignal) => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, limits, signal } = options;
  let last: unknown;
  const overdue = () =>
    isFlannelVpcError(last)
      ? last
      : new FlannelVpcError('TRANSIENT', `the cloud did not answer within ${limits.deadlineMs / 1_000} s`);
  return await withDeadline({ clock, ms: limits.deadlineMs, signal, error: overdue }, (inner) =>
    retryWithin(
      async () => {
        try {
          return await call(inner);
        } catch (error) {
          last = error;
          throw error;
        }
      },
      { ...options, signal: inner },
    ),
  );
}

async function retryWithin<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, random, logger, limits, signal } = options;
  const started = clock.monotonic();
  let outOfTime = false;
  let told = false;
  return await pRetry(call, {
    retries: limits.attempts - 1,
    // The pauses are ours (below), so that a clock passed in decides them and the server's word counts.
    minTimeout: 0,
    maxTimeout: 0,
    signal,
    shouldRetry: ({ error }) => isFlannelVpcError(error) && error.retry === 'backoff' && !outOfTime,
    async onFailedAttempt({ error, attemptNumber, retriesLeft }) {
      if (!isFlannelVpcError(error) || error.retry !== 'backoff' || retriesLeft === 0) return;
      // What the cloud asked for and then some: all who were told the same would come back at once.
      const pause = (error.retryAfterMs ?? 0) + backoffMs(attemptNumber - 1, baseMs, maxMs, random);
      outOfTime = clock.monotonic() - started + pause >= limits.deadlineMs;
      if (outOfTime) return;
      // Once is everyday life; for as long as this takes, nothing else is said of it.
      const isNews = !told && attemptNumber >= tellAtAttempt && options.news.isNews(error.code);
      told ||= isNews;
      logger[isNews ? 'warn' : 'debug']('cloud call failed; trying again', {
        error: error.message,
        code: error.code,
        ...(isNews && error.hint !== undefined ? { hint: error.hint } : {}),
        attempt: attemptNumber,
        pauseMs: Math.round(pause),
      });
      await clock.sleep(pause, signal);
    },
  });
}

interface Bucket {
  /**
   * Waits for a token; first come, first served. @throws THROTTLED where the cloud said not to come back for longer than a call may be
   * tried: nobody waits for that, and nothing is sent.
   */
  take(signal: AbortSignal): Promise<void>;
  /** The cloud let a call through: the pace may go up again. */
  granted(): void;
  /**
   * The cloud had too many calls, ours or those of others in the account: what was saved up is not there, and the pace goes down. Where it
   * said when to come back, that goes for all: who asks before is counted again, and kept out for longer (Azure).
   */
  refused(error: FlannelVpcError): void;
}

/** Share of its pace that a bucket keeps at the least, and gets back with each call that is let through. */
const leastPace = 1 / 16;
const paceBack = 1 / 50;
/** Refusals within this time, milliseconds, are one: they answer calls that were under way side by side. */
const refusalsMs = 1_000;

function createBucket(
  { capacity, refillPerSecond, longestMs }: BucketLimits & { readonly longestMs: number },
  clock: Clock,
): Bucket {
  let tokens = capacity;
  let at = clock.monotonic();
  let pace = refillPerSecond;
  let refusedAt = Number.NEGATIVE_INFINITY;
  let closed: { readonly until: number; readonly error: FlannelVpcError } | undefined;
  const closedMs = (): number => Math.max(0, (closed?.until ?? 0) - clock.monotonic());
  function refill(): void {
    const now = clock.monotonic();
    const open = Math.max(0, now - Math.max(at, closed?.until ?? 0));
    tokens = Math.min(capacity, tokens + (open / 1_000) * pace);
    at = now;
  }
  function throwIfLong(): void {
    const ms = closedMs();
    if (closed && ms >= longestMs) throw keptOut(closed.error, ms);
  }
  return {
    granted() {
      refill();
      pace = Math.min(refillPerSecond, pace + refillPerSecond * paceBack);
    },
    refused(error) {
      refill();
      tokens = Math.min(tokens, 0);
      const until = at + (error.retryAfterMs ?? 0);
      if (until > (closed?.until ?? at)) closed = { until, error };
      if (at - refusedAt < refusalsMs) return;
      refusedAt = at;
      pace = Math.max(pace / 2, refillPerSecond * leastPace);
    },
    async take(signal) {
      signal.throwIfAborted();
      throwIfLong();
      refill();
      // Below zero is a queue: each taker waits until its own token will have been refilled.
      tokens -= 1;
      try {
        const turnMs = (Math.max(0, -tokens) / pace) * 1_000;
        let known = closed;
        let wait = closedMs() + turnMs;
        while (wait > 0) {
          await clock.sleep(wait, signal);
          throwIfLong();
          // Refused meanwhile, with another word when to come back.
          wait = closed === known ? 0 : closedMs();
          known = closed;
        }
      } catch (error) {
        tokens += 1;
        throw error;
      }
    },
  };
}

/** The error for a call that is not sent, since one of its kind was refused for so long. */
function keptOut({ message, hint }: FlannelVpcError, ms: number): FlannelVpcError {
  const text = `not sent, since the cloud said to come back in ${Math.ceil(ms / 1_000)} s (${message})`;
  return new FlannelVpcError('THROTTLED', text, { hint, retryAfterMs: ms });
}

interface Slots {
  /** Waits for a free slot and gives the function that frees it. `first`: before all that wait and are not. */
  take(signal: AbortSignal, first: boolean): Promise<() => void>;
}

function createSlots(count: number): Slots {
  let free = count;
  const ahead: (() => void)[] = [];
  const behind: (() => void)[] = [];
  const release = (): void => {
    const next = ahead.shift() ?? behind.shift();
    if (next) next();
    else free += 1;
  };
  return {
    async take(signal, first) {
      signal.throwIfAborted();
      const waiting = first ? ahead : behind;
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
