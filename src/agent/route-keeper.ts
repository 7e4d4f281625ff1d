/** This node's routes: getting them in place, and looking after them from then on. */

import { backoffMs, type Clock, jitter, type Random } from '../core/clock.ts';
import { errorMessage, isFlannelVpcError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Readiness } from '../health/status.ts';
import type { AgentMetrics } from '../metrics.ts';
import { createRepeatGate, errorFields, type RepeatGate } from '../repeats.ts';
import type { PassResult } from '../routing/reconciler.ts';
import type { CloudNode, CloudView, RoutedLease } from './cloud-node.ts';
import { untilItWorks } from './until-it-works.ts';

export interface RouteKeeperOptions {
  readonly node: CloudNode;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly readiness: Readiness;
  readonly metrics: AgentMetrics | undefined;
  /** Pause between two checks of routes that stand, milliseconds before jitter. */
  readonly intervalMs: number;
}

/** Pauses between tries while a route is missing, milliseconds. A person may be needed, so the longest is a minute. */
const retryMs = { base: 2_000, max: 60_000 };
const readinessPart = 'route';

/** A first look at the cloud, before anything is leased or written: repeated until it succeeds, or `beforeRetry` throws. */
export async function lookUntilItWorks(
  options: RouteKeeperOptions & { readonly beforeRetry: (signal: AbortSignal) => Promise<void> },
  signal: AbortSignal,
): Promise<CloudView> {
  return await untilItWorks(
    {
      ...options,
      failing: 'cannot write routes yet; no lease is taken until this is mended',
      recovered: 'the cloud answers as it should now',
      onWaiting: (reason) => options.readiness.missing(readinessPart, reason),
      pauseMs: (error, attempt) => pauseAfter(error, attempt, options),
    },
    () => options.node.look(signal),
    signal,
  );
}

/** Brings the lease's routes in place, however long it takes. `view` saves the first reads. */
export async function establishRoutes(
  options: RouteKeeperOptions,
  lease: () => RoutedLease,
  view: CloudView | undefined,
  signal: AbortSignal,
): Promise<void> {
  const gate = createRepeatGate(options);
  for (let attempt = 0; ; attempt++) {
    const outcome = await attemptPass(
      options,
      lease(),
      { view: attempt === 0 ? view : undefined, resync: false },
      gate,
      signal,
    );
    if (outcome === undefined) return;
    await options.clock.sleep(pauseAfter(outcome, attempt, options), signal);
  }
}

/** Checks the routes every interval until the signal fires, and repairs them. */
export async function keepRoutes(
  options: RouteKeeperOptions,
  lease: () => RoutedLease,
  signal: AbortSignal,
): Promise<void> {
  const gate = createRepeatGate(options);
  for (let failures = 0; ; ) {
    await options.clock.sleep(jitter(options.intervalMs, 0.2, options.random), signal);
    for (;;) {
      const outcome = await attemptPass(options, lease(), { resync: failures === 0 }, gate, signal);
      if (outcome === undefined) break;
      const pause = Math.min(pauseAfter(outcome, failures, options), options.intervalMs);
      failures += 1;
      await options.clock.sleep(pause, signal);
    }
    failures = 0;
  }
}

/** One pass. Undefined when the routes stand; else the problem that decides when to try again. */
async function attemptPass(
  options: RouteKeeperOptions,
  lease: RoutedLease,
  request: { readonly view?: CloudView | undefined; readonly resync: boolean },
  gate: RepeatGate,
  signal: AbortSignal,
): Promise<unknown> {
  const { readiness, metrics, logger, clock } = options;
  let result: PassResult;
  try {
    result = await options.node.ensureRoutes(lease, request, signal);
  } catch (error) {
    signal.throwIfAborted();
    // Not seen is not gone: a route that stood keeps carrying packets while the cloud's API is away.
    metrics?.routePasses.inc({ state: 'unreadable' });
    gate.failed('error', 'cannot check routes; what stands is left as it is', error);
    return error;
  }
  for (const step of result.done) metrics?.routeWrites.inc({ action: step.action });
  for (const held of result.held) {
    if (held.action === 'delete')
      logger.debug('a stale route is left for now', { table: held.tableId, reason: held.reason });
  }
  metrics?.routePasses.inc({ state: result.inSync ? 'in-sync' : 'not-in-sync' });
  const [first, ...others] = result.problems;
  if (result.inSync) {
    metrics?.lastRoutePass.set(clock.now() / 1_000);
    readiness.reached(readinessPart);
    gate.recovered('routes are in place');
    for (const problem of result.problems) logger.warn('while tidying up routes', errorFields(problem));
    return undefined;
  }
  const reason = result.problems.map(errorMessage).join('; ');
  readiness.missing(readinessPart, reason);
  gate.failed('error', 'routes are not in place', first, others.length > 0 ? { more: others.map(errorMessage) } : {});
  return first;
}

function pauseAfter(error: unknown, attempt: number, { random }: RouteKeeperOptions): number {
  const pause = backoffMs(attempt, retryMs.base, retryMs.max, random);
  return isFlannelVpcError(error) ? Math.max(pause, Math.min(error.retryAfterMs ?? 0, retryMs.max)) : pause;
}
