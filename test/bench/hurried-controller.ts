/**
 * The product's controller without its pace: thousands of routes at half of what EC2 allows would take hours, and counts are the same.
 * Run by `scale.ts` as a process of its own: `hurried-controller.ts ETCD`.
 */
import { createEtcdStores } from '../../lease/etcd/stores.ts';
import { withBudget } from '../../providers/budget.ts';
import { backendTypeNamed } from '../../providers/catalog.ts';
import { initialControllerReadiness, runController } from '../../src/controller/controller.ts';
import { noEvents, type PassEvent } from '../../src/controller/events.ts';
import { systemClock } from '../../src/core/clock.ts';
import { isAbortError } from '../../src/core/errors.ts';
import { createReadiness } from '../../src/health/status.ts';
import { createLogger } from '../../src/logging.ts';
import { defaultDeletionPolicy } from '../../src/routing/route-plan.ts';
import { routeLimit, scalePrefix } from './scale-cluster.ts';

/** What it tells its parent after each pass. */
export type HurriedPass = Pick<PassEvent, 'inSync' | 'tookMs'> & { readonly done: number };

const unlimited = { capacity: 1_000_000, refillPerSecond: 1_000_000 };
const [endpoint = ''] = process.argv.slice(2);
const logger = createLogger({
  ...{ format: 'json', level: 'warn', isTerminal: false },
  write: (line) => void process.stderr.write(line),
});
const base = { logger, clock: systemClock, random: Math.random };
const ending = new AbortController();
process.once('SIGTERM', () => ending.abort(new DOMException('ending', 'AbortError')));
const stores = createEtcdStores({ ...base, endpoints: [endpoint], prefix: scalePrefix });
try {
  await runController(
    {
      ...{ resyncMs: 600_000, dryRun: false, reapTerminated: false, backendTypes: 'own', routeLimit },
      ...{ policy: defaultDeletionPolicy, leaderElect: true, backendType: undefined },
      election: { holder: `bench-${process.pid}`, termMs: 15_000, retryMs: 2_000 },
    },
    {
      ...{ ...base, ...stores, readiness: createReadiness(initialControllerReadiness), onState() {} },
      events: {
        ...noEvents,
        passed: ({ inSync, tookMs, done }) =>
          void process.send?.({ inSync, tookMs, done: done.length } satisfies HurriedPass),
      },
      async openCloud({ backend }, beforeWrite) {
        const { config, type } = backend;
        const loaded = await backendTypeNamed(type)?.load?.({ ...base, config, environment: process.env });
        if (!loaded) throw new Error(`${type} is no cloud`);
        const provider = withBudget(loaded, { ...base, beforeWrite, limits: { reads: unlimited, writes: unlimited } });
        return { provider, tableIds: [] };
      },
    },
    ending.signal,
  );
} catch (error) {
  if (!isAbortError(error)) throw error;
} finally {
  await stores.close();
}
process.exit(0);
