/** Waiting until the cloud has done what it took on: every write of an entry goes on after its answer. */
import type { Clock } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { formatCidr } from '../../src/core/ip.ts';
import type { RouteChange } from '../provider.ts';
import type { Entry } from './answers.ts';
import type { AlibabaApi } from './api.ts';
import { isFor, readEntries, readEntry } from './entries.ts';
import type { Intent } from './intents.ts';
import { actionNames, conflict, standingOf, unsettled } from './judge.ts';

/** One change that the cloud took on. */
export interface UnderWay {
  readonly change: RouteChange;
  readonly intent: Intent;
}

export interface SettleOptions {
  readonly signal: AbortSignal;
  /** Told of each as soon as it is done. */
  onDone(item: UnderWay): void;
  /** Told of each that the cloud has dropped or undone, with the error for it. */
  onLost(item: UnderWay, error: FlannelVpcError): void;
}

/** Pauses between looks, milliseconds: from the first to the longest. A change takes a second or a few. */
const firstPauseMs = 200;
const longestPauseMs = 1_000;
/** A change that no read shows for so long, milliseconds, was dropped; until then reads may only be late. */
const patienceMs = 8_000;

/** Resolves when each is done or lost. The signal's reason ends it. */
export async function settle(
  api: AlibabaApi,
  tableId: string,
  items: readonly UnderWay[],
  { signal, onDone, onLost }: SettleOptions,
): Promise<void> {
  const { clock } = api;
  const seen = new Set<UnderWay>();
  let open = items;
  for (let pause = firstPauseMs; open.length > 0; pause = Math.min(longestPauseMs, pause * 1.5)) {
    const entryOf = await look(api, tableId, open, signal);
    const left: UnderWay[] = [];
    for (const item of open) {
      const entry = entryOf(item.change);
      const standing = standingOf(item.change, entry);
      if (standing === 'unsettled') seen.add(item);
      if (standing === 'done') onDone(item);
      // Late reads show what was expected. Anything else is somebody's work.
      else if (standing === 'other' && item.change.action !== 'create') onLost(item, conflict(item.change, entry));
      else if (standing !== 'unsettled' && (seen.has(item) || clock.monotonic() - item.intent.at > patienceMs)) {
        onLost(item, undone(item.change, entry));
      } else left.push(item);
    }
    open = left;
    if (open.length > 0) await rest(clock, pause, signal);
  }
}

/** A pause that the signal's own reason ends, which may be an error of ours for a deadline. */
async function rest(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** The entries at the destinations: one by one where it is one, else by reading the table. */
async function look(
  api: AlibabaApi,
  tableId: string,
  items: readonly UnderWay[],
  signal: AbortSignal,
): Promise<(change: RouteChange) => Entry | undefined> {
  const [first, ...more] = items;
  if (first !== undefined && more.length === 0) {
    const entry = await readEntry(api, tableId, first.change.destination, signal);
    return () => entry;
  }
  const entries = await readEntries(api, tableId, signal);
  return ({ destination }) => entries.find((entry) => isFor(entry, destination));
}

function undone(change: RouteChange, entry: Entry | undefined): FlannelVpcError {
  const { message, details } = unsettled(change, entry);
  const text = `Alibaba Cloud took on a change of ${formatCidr(change.destination)} in ${change.tableId} and did not make it: ${message}`;
  return new FlannelVpcError('TRANSIENT', text, {
    details: { ...details, action: actionNames[change.action] },
    retryAfterMs: 1_000,
    hint: 'it is sent again by itself; if it goes on, see what ActionTrail says of the change',
  });
}
