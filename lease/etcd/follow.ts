/**
 * Following a range of keys for as long as the caller wants: a read, then a watch from the revision after it, across broken
 * connections, elections and compaction.
 */
import type { IEvent, IKeyValue, IWatchResponse } from 'etcd3';
import { backoffMs, type Clock, jitter, type Random } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/log.ts';
import { createOutageReport, type OnOutage } from '../outage.ts';
import type { EtcdClient } from './client.ts';
import { hintForDenied } from './errors.ts';
import { needsOfRange } from './needs.ts';
import type { KeyRange } from './operations.ts';

export interface RangeState {
  readonly kvs: readonly IKeyValue[];
  /** The state is complete up to this revision of the store. */
  readonly revision: string;
  readonly storeId: string;
}

export type FollowEvent =
  /** All that is there, after a read: whatever was known and is missing here is gone. */
  | { readonly kind: 'state'; readonly state: RangeState }
  /** Changes in order, up to and including the revision. */
  | { readonly kind: 'events'; readonly events: readonly IEvent[]; readonly revision: string };

export interface FollowOptions {
  readonly client: EtcdClient;
  readonly range: KeyRange;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What is followed, for messages: `watch of all leases`. */
  readonly what: string;
  /** Start here instead of with a read: everything up to this revision is known already. */
  readonly afterRevision?: string | undefined;
  /** Read everything again after this time (jittered), however healthy the watch looks. */
  readonly relistMs?: number | undefined;
  /** As for `OutageReport`. */
  readonly onOutage?: OnOutage | undefined;
  /**
   * Read everything again after the watch broke. A store restored from an old copy may have passed our place by the time it is reached
   * again, and nothing of what it answers then tells it from the one before.
   */
  readonly readsAfterBreak?: boolean | undefined;
}

/** Back-off between two tries to watch or read, milliseconds before jitter. */
const retryBaseMs = 100;
const retryMaxMs = 5_000;
/** A watch that stood this long was no failure at its start: the back-off begins anew. */
const steadyMs = 5_000;

/** Yields until the signal fires or the client is closed, which ends it by an abort error. Never throws anything else. */
export async function* followRange(options: FollowOptions, callerSignal: AbortSignal): AsyncGenerator<FollowEvent> {
  const { client, clock, random } = options;
  const signal = AbortSignal.any([callerSignal, client.closed]);
  const report = createOutageReport(options);
  let known = options.afterRevision;
  let failures = 0;
  let broke = false;
  for (;;) {
    const startedAt = clock.monotonic();
    try {
      if (known === undefined) {
        const state = await readRange(options, signal);
        report.recovered();
        yield { kind: 'state', state };
        known = state.revision;
      }
      for await (const event of watchOnce(options, known, signal)) {
        if (event.kind === 'alive') report.recovered();
        if (event.kind === 'events') yield event;
        if (event.kind === 'place-lost') known = undefined;
        else if (event.revision !== undefined) known = event.revision;
        if (event.kind === 'alive' && broke && options.readsAfterBreak) {
          known = undefined;
          broke = false;
          break;
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      if (clock.monotonic() - startedAt > steadyMs) failures = 0;
      failures += 1;
      broke = true;
      // A watch that breaks once is everyday life (an election, a restart); what counts is whether it comes back.
      if (failures > 1) report.failed(error);
      await clock.sleep(backoffMs(failures - 1, retryBaseMs, retryMaxMs, random), signal);
    }
  }
}

async function readRange(options: FollowOptions, signal: AbortSignal): Promise<RangeState> {
  const response = await options.client.range(options.range, `read for the ${options.what}`, signal);
  return { kvs: response.kvs, revision: response.header.revision, storeId: response.header.cluster_id };
}

type WatchStep =
  | { readonly kind: 'events'; readonly events: readonly IEvent[]; readonly revision: string }
  | { readonly kind: 'alive'; readonly revision: string | undefined }
  | { readonly kind: 'place-lost' };

/** One watch stream. Ends after `place-lost`; throws when it breaks. */
async function* watchOnce(options: FollowOptions, known: string, signal: AbortSignal): AsyncGenerator<WatchStep> {
  const relist = new AbortController();
  const stop = AbortSignal.any([signal, relist.signal]);
  const wait = options.relistMs === undefined ? undefined : jitter(options.relistMs, 0.2, options.random);
  if (wait !== undefined)
    options.clock.sleep(wait, stop).then(
      () => relist.abort(),
      () => {},
    );
  try {
    const answers = options.client.watch(
      {
        ...options.range,
        // From the last revision seen and not from the one after it: a compaction at the very revision of a deletion drops the
        // deletion, and a watch from there would be served without it (seen with etcd 3.4). From here it is refused.
        start_revision: known,
        progress_notify: true,
      },
      stop,
    );
    for await (const answer of answers) {
      if (answer.canceled) {
        if (answer.compact_revision !== '0') {
          options.logger.info(`${options.what}: etcd compacted past our place; reading everything again`, { known });
          yield { kind: 'place-lost' };
          return;
        }
        const ended = `etcd ended the ${options.what}: ${answer.cancel_reason || 'no reason given'}`;
        if (!/permission ?denied/i.test(answer.cancel_reason)) throw new FlannelVpcError('STORE_UNAVAILABLE', ended);
        // A login that has run out is refused in the same words. The next try begins with a read, which logs in again.
        yield { kind: 'place-lost' };
        throw new FlannelVpcError('STORE_DENIED', ended, { hint: hintForDenied(needsOfRange(options.range)) });
      }
      if (BigInt(answer.header.revision) < BigInt(known)) {
        // A store restored from an old copy would stay silent until it has passed our place again. A member that merely lags
        // looks the same, and reading again does no harm.
        yield { kind: 'place-lost' };
        throw new FlannelVpcError(
          'STORE_UNAVAILABLE',
          `etcd is at revision ${answer.header.revision}, behind ${known} seen before`,
        );
      }
      yield stepOf(answer, known);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!relist.signal.aborted) throw error;
    yield { kind: 'place-lost' };
  } finally {
    relist.abort();
  }
}

/**
 * Where a watch stands after an answer is the revision of its last event, not that of the header: a watch that catches up gets
 * its events in batches whose headers are all at the present already. Without events (a progress report) the header counts;
 * the answer that says "created" reports nothing yet.
 */
function stepOf(answer: IWatchResponse, known: string): WatchStep {
  const events = answer.events.filter((event) => BigInt(event.kv.mod_revision) > BigInt(known));
  const last = events.at(-1);
  if (last) return { kind: 'events', events, revision: last.kv.mod_revision };
  return { kind: 'alive', revision: answer.created ? undefined : answer.header.revision };
}
