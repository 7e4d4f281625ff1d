/** A controller's process as far as routes go: looks until all stands, and is mostly killed before. Started by `writer-process.ts`. */
import type { OwnershipStore } from '../../../lease/ownership-store.ts';
import { withBudget } from '../../../providers/budget.ts';
import type { CloudProvider, ProviderOptions } from '../../../providers/provider.ts';
import { withWriteQueue } from '../../../providers/write-queue.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { networks } from './limits.ts';
import { reconciling } from './look.ts';
import { type Answer, type Done, type Orders, providerMethods, storeMethods, unpackError } from './process-message.ts';

const waiting = new Map<number, (answer: Answer) => void>();
let calls = 0;

async function remote(method: string, given: readonly unknown[]): Promise<unknown> {
  const id = ++calls;
  const { promise, resolve } = Promise.withResolvers<Answer>();
  waiting.set(id, resolve);
  const values = given.filter((value) => !(value instanceof AbortSignal));
  process.send?.({ id, method, values });
  const answer = await promise;
  if ('error' in answer) throw unpackError(answer.error);
  return answer.value;
}

/** An object whose methods are those of the same name over there. */
function remoteObject(methods: readonly string[]): object {
  return Object.fromEntries(methods.map((method) => [method, (...given: unknown[]) => remote(method, given)]));
}

async function providerOf({ provider }: Orders): Promise<CloudProvider> {
  if (!('module' in provider)) {
    const { type, capabilities } = provider;
    const methods = providerMethods.filter((method) => method !== 'applyBatch' || capabilities.batchSize > 1);
    return { type, capabilities, close: async () => {}, ...remoteObject(methods) } as CloudProvider;
  }
  const { createProvider } = (await import(provider.module)) as {
    createProvider: (options: ProviderOptions<unknown>) => CloudProvider;
  };
  const { config, environment } = provider;
  const pods = [networks[4].network, networks[6].network];
  const parts = { logger: silentLogger, clock: systemClock, random: Math.random, networks: pods };
  return createProvider({ config, environment: { ...process.env, ...environment }, ...parts });
}

async function run(orders: Orders): Promise<void> {
  const parts = { clock: systemClock, random: Math.random, logger: silentLogger };
  const provider = withWriteQueue(withBudget(await providerOf(orders), parts), { clock: systemClock, batches: true });
  const ownership = {
    ...remoteObject(storeMethods),
    fenced: () => {
      throw new FlannelVpcError('INTERNAL', 'no leader here');
    },
  } as unknown as OwnershipStore;
  const leases = { list: async () => (await remote('leases', [])) as never };
  const look = reconciling({ provider, ownership, leases }, orders);
  for (let round = 1; ; round++) {
    const { inSync, problems, done } = await look(orders.desired);
    const quiet = inSync && done.length === 0;
    if (!quiet && round < 10) continue;
    const texts = problems.map(({ code, message }) => `${code} ${message}`);
    process.send?.({ inSync, problems: texts } satisfies Done);
    process.disconnect();
    await provider.close();
    return;
  }
}

process.on('message', (message: Answer | Orders) => {
  if ('id' in message) waiting.get(message.id)?.(message);
  else void run(message);
});
