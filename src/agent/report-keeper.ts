/** Keeps this node's report as /readyz has it: what it says of itself to the controller, to other nodes and to people. */
import type { OwnedLease } from '../../lease/lease-store.ts';
import type { NodeReport, NodeReportStore } from '../../lease/node-reports.ts';
import { type Clock, jitter, type Random } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import { untilDone } from '../core/until.ts';
import type { Readiness } from '../health/status.ts';
import { createRepeatGate } from '../repeats.ts';

/** The part of readiness that says of the store that it is not heard of. */
export const storePart = 'store';

export interface ReportKeeperOptions {
  readonly reports: Pick<NodeReportStore, 'publish'>;
  readonly readiness: Readiness;
  readonly lease: () => OwnedLease;
  /** Does anybody keep pods away until this node is ready? Then the first such report does not wait. Default no. */
  readonly awaited?: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * How long a change must stand before it is told, milliseconds: a start that ends well is one report and not three, and a restart that
 * changes nothing is none.
 */
const settleMs = 3_000;
/** The same for a node that was not ready yet since its start, where pods are kept away meanwhile: what an earlier run said may still hold. */
const startMs = 15_000;
/** Least time between two reports that differ in their reason alone. */
const reasonMs = 60_000;
const retryMs = 30_000;
/** The same while pods are kept away until it is told. */
const awaitedRetryMs = 10_000;

/** Reports until the signal fires. */
export async function keepReport(options: ReportKeeperOptions, signal: AbortSignal): Promise<never> {
  const { reports, readiness, lease, awaited = false, clock, random } = options;
  const gate = createRepeatGate(options);
  let told: (Omit<NodeReport, 'since'> & { readonly lease: string; readonly at: number }) | undefined;
  let wasReady = false;
  for (;;) {
    signal.throwIfAborted();
    const changed = readiness.changes.next();
    const seen = reportOf(readiness);
    const { revision } = lease();
    if (told && told.ready === seen.ready && told.reason === seen.reason && told.lease === revision) {
      await untilDone(changed, signal);
      continue;
    }
    // The words change more often than the state; who reads them can wait.
    const wordsOnly = told !== undefined && told.ready === seen.ready && told.lease === revision;
    const wait = wordsOnly && told ? Math.max(settleMs, told.at + reasonMs - clock.monotonic()) : settleMs;
    if (!awaited || wasReady) await clock.sleep(wait, signal);
    else await sleepOrReady(options, told ? wait : startMs, signal);
    const report = reportOf(readiness);
    // It went back meanwhile, or to and fro: what is told must have stood for the whole time.
    if (report.ready !== seen.ready && !(awaited && !wasReady && report.ready)) continue;
    const held = lease();
    try {
      await reports.publish(held, { ...report, since: new Date(clock.now()).toISOString() }, signal);
      wasReady ||= report.ready;
      told = { ...report, lease: held.revision, at: clock.monotonic() };
      gate.recovered('what this node reports can be stored again');
    } catch (error) {
      signal.throwIfAborted();
      gate.failed('warn', 'cannot store what this node reports', error);
      await clock.sleep(jitter(awaited && !wasReady ? awaitedRetryMs : retryMs, 0.2, random), signal);
    }
  }
}

/** Waits out the time, or until the node is ready, whichever is first. */
async function sleepOrReady(
  { readiness, clock }: Pick<ReportKeeperOptions, 'readiness' | 'clock'>,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const ready = async (): Promise<void> => {
    while (!readiness.isReady()) await untilDone(readiness.changes.next(), both);
  };
  try {
    await Promise.race([clock.sleep(ms, both), ready()]);
  } finally {
    ending.abort();
  }
}

/** One sentence for all parts. */
export function reportOf(readiness: Pick<Readiness, 'isReady' | 'reasons' | 'notes'>): Omit<NodeReport, 'since'> {
  const ready = readiness.isReady();
  const reason = ready
    ? Object.entries(readiness.notes())
        // Told to the very store that is not heard of.
        .flatMap(([part, note]) => (part === storePart ? [] : note))
        .join('; ')
    : Object.entries(readiness.reasons())
        .map(([part, why]) => `${part}: ${why}`)
        .join('; ');
  return { ready, reason };
}
