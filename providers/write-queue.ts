/**
 * The order of a provider's writes: as many at the same time as the cloud takes, and where one call can carry several changes of a
 * table, those that have gathered meanwhile go together. Around the budget, so that what waits here takes no token.
 */
import type { Clock } from '../src/core/clock.ts';
import { formatCidr } from '../src/core/ip.ts';
import type { CloudProvider, RouteChange } from './provider.ts';

export interface WriteQueueOptions {
  readonly clock: Clock;
  /** Whether to write in batches where the cloud has them: for who writes for all nodes. */
  readonly batches: boolean;
}

/** Milliseconds that the first change of a batch waits for others. */
const gatherMs = 100;

interface Waiting {
  readonly change: RouteChange;
  readonly signal: AbortSignal;
  resolve(): void;
  reject(reason: unknown): void;
}

/**
 * The provider, with its changes of routes in order. Gives it back as it is where nothing has to wait.
 * `provider` is an object of functions, as `withBudget` makes them, and no instance of a class.
 */
export function withWriteQueue(provider: CloudProvider, { clock, batches }: WriteQueueOptions): CloudProvider {
  const { capabilities, applyBatch } = provider;
  const batchSize = batches && applyBatch ? capabilities.batchSize : 1;
  if (capabilities.writesAtOnce === 'any' && batchSize === 1) return provider;
  const queues = new Map<string, Waiting[]>();

  /** Sends the changes of one queue until none is left. */
  async function drain(key: string, queue: Waiting[]): Promise<void> {
    // It goes when it is empty, in the same turn of the event loop that found it so: nobody joins a queue that nobody empties.
    while (queue.length > 0) {
      if (batchSize > 1) await clock.sleep(gatherMs, new AbortController().signal);
      const batch = takeBatch(queue, batchSize);
      if (batch.length > 0) queue.unshift(...(await send(batch)));
    }
    queues.delete(key);
  }

  /** Sends changes of one table; gives those back that another one's end kept from being sent to their end. */
  async function send(batch: readonly Waiting[]): Promise<readonly Waiting[]> {
    const [first, ...others] = batch;
    if (!first) return [];
    if (others.length === 0 || !applyBatch) {
      await provider.apply(first.change, first.signal).then(first.resolve, first.reject);
      return [];
    }
    // A change that is given up must not be sent again by a retry of the whole: what was planned for it holds no longer.
    const signal = AbortSignal.any(batch.map((each) => each.signal));
    try {
      const changes = batch.map(({ change }) => change);
      const results = await applyBatch.call(provider, first.change.tableId, changes, signal);
      for (const [at, each] of batch.entries()) {
        const result = results[at];
        if (result === undefined) each.resolve();
        else each.reject(result);
      }
      return [];
    } catch (error) {
      const given = batch.filter((each) => each.signal.aborted);
      for (const each of given) each.reject(each.signal.reason);
      const rest = batch.filter((each) => !given.includes(each));
      if (given.length > 0) return rest;
      for (const each of rest) each.reject(error);
      return [];
    }
  }

  return {
    ...provider,
    async apply(change, signal) {
      signal.throwIfAborted();
      const key = capabilities.writesAtOnce === 'one' ? '' : change.tableId;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const waiting: Waiting = { change, signal, resolve, reject };
      const give = (): void => {
        const queue = queues.get(key);
        const at = queue?.indexOf(waiting) ?? -1;
        // One under way ends by itself.
        if (at < 0) return;
        queue?.splice(at, 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', give, { once: true });
      const queue = queues.get(key);
      if (queue) queue.push(waiting);
      else {
        const made = [waiting];
        queues.set(key, made);
        void drain(key, made);
      }
      try {
        await promise;
      } finally {
        signal.removeEventListener('abort', give);
      }
    },
  };
}

/** Takes the changes that go together: of the first one's table, no two of one destination, in their order. */
function takeBatch(queue: Waiting[], most: number): readonly Waiting[] {
  const [first] = queue;
  if (!first) return [];
  const batch: Waiting[] = [];
  const seen = new Set<string>();
  for (const waiting of [...queue]) {
    const { tableId, destination } = waiting.change;
    const key = formatCidr(destination);
    if (tableId !== first.change.tableId || seen.has(key)) continue;
    seen.add(key);
    batch.push(waiting);
    if (batch.length === most) break;
  }
  queue.splice(0, queue.length, ...queue.filter((waiting) => !batch.includes(waiting)));
  return batch;
}
