/** The two watches: our own lease, and all of them. */
import type { IEvent } from 'etcd3';
import { kinship } from '../identity.ts';
import type { Lease, LeaseKey } from '../lease.ts';
import { leaseKey } from '../lease-key.ts';
import type { LeaseWatchEvent, OwnedLease, OwnLeaseEvent } from '../lease-store.ts';
import type { OnOutage } from '../outage.ts';
import type { EntryList, LeaseEntry } from './entries.ts';
import { followRange } from './follow.ts';
import type { HoldingParts } from './holding.ts';
import { oneKey, prefixRange } from './operations.ts';
import { holdingOf } from './renew.ts';

/**
 * Watches exactly our key. No slow re-list here: five thousand nodes that look after their own leases every few minutes would be
 * load for nothing, since renewing reads the key anyway and etcd's progress reports and gRPC's pings show that the watch lives.
 */
export async function* watchOwnLease(
  parts: HoldingParts,
  lease: OwnedLease,
  signal: AbortSignal,
  onOutage?: OnOutage,
): AsyncGenerator<OwnLeaseEvent> {
  const holding = holdingOf(parts, lease);
  let last: OwnLeaseEvent | undefined;
  if (holding.known) {
    last = { kind: 'held', lease };
    yield last;
  }
  const follow = followRange(
    {
      ...parts,
      ...{ what: 'watch of our own lease', onOutage },
      range: oneKey(holding.key),
      afterRevision: holding.known ? holding.revision : undefined,
      // One key; without it a lease that a restored store lacks would be missed until it is renewed, a day later.
      readsAfterBreak: true,
    },
    signal,
  );
  for await (const step of follow) {
    const seen =
      step.kind === 'events'
        ? step.events.map((event) =>
            event.type === 'Delete' ? gone : eventOf(parts, lease, parts.reader.read(event.kv)),
          )
        : [step.state.kvs[0] ? eventOf(parts, lease, parts.reader.read(step.state.kvs[0])) : gone];
    for (const event of seen) {
      if (step.kind === 'state' && sameEvent(last, event)) continue;
      last = event;
      yield event;
    }
  }
}

const gone: OwnLeaseEvent = { kind: 'gone' };

function eventOf(parts: HoldingParts, mine: OwnedLease, entry: LeaseEntry | undefined): OwnLeaseEvent {
  const theirs = entry?.lease;
  if (!theirs) return { kind: 'taken', by: unreadable(mine, entry) };
  if (kinship(mine.attributes, theirs.attributes) !== 'ours') return { kind: 'taken', by: theirs };
  const ttlSeconds = holdingOf(parts, mine).ttlSeconds;
  const expiresAt = theirs.reserved ? undefined : parts.clock.now() + ttlSeconds * 1_000;
  return { kind: 'held', lease: { ...theirs, expiresAt, how: mine.how } };
}

/** Somebody wrote what is no lease over ours: taken, by nobody knows whom. */
function unreadable(mine: Lease, entry: LeaseEntry | undefined): Lease {
  const nobody = { publicIps: {}, backendType: '', backendData: {} };
  return {
    subnets: mine.subnets,
    attributes: nobody,
    reserved: entry?.etcdLease === '0',
    revision: entry?.modRevision ?? '0',
  };
}

function sameEvent(a: OwnLeaseEvent | undefined, b: OwnLeaseEvent): boolean {
  if (a?.kind === 'held' && b.kind === 'held') return a.lease.revision === b.lease.revision;
  if (a?.kind === 'taken' && b.kind === 'taken') return a.by.revision === b.by.revision;
  return a?.kind === b.kind;
}

export interface WatchAllOptions {
  /** Time between two full reads of a healthy watch, milliseconds before jitter. */
  readonly relistMs: number;
}

/** Watches all leases. After any read a snapshot follows only if it differs from what the watch had shown. */
export async function* watchAllLeases(
  parts: HoldingParts,
  options: WatchAllOptions,
  signal: AbortSignal,
): AsyncGenerator<LeaseWatchEvent> {
  // What was shown: mod revision by etcd key. Several keys may in theory name one lease.
  let shown: Map<string, string> | undefined;
  const range = prefixRange(parts.keys.subnets);
  for await (const step of followRange(
    { ...parts, what: 'watch of all leases', range, relistMs: options.relistMs },
    signal,
  )) {
    if (step.kind === 'state') {
      const list: EntryList = {
        entries: step.state.kvs.map(parts.reader.read).filter((entry) => entry !== undefined),
        revision: step.state.revision,
        storeId: step.state.storeId,
      };
      const now = new Map(list.entries.filter((entry) => entry.lease).map((entry) => [entry.key, entry.modRevision]));
      if (shown && sameMap(shown, now)) continue;
      shown = now;
      yield { kind: 'snapshot', list: toLeaseList(list) };
      continue;
    }
    const changes = changesOf(parts, step.events, (shown ??= new Map()));
    if (changes.put.length + changes.removed.length > 0) yield { kind: 'changes', revision: step.revision, ...changes };
  }
}

/** Leases only; keys whose value can't be read are left out. */
export function toLeaseList(list: EntryList): {
  readonly leases: readonly Lease[];
  readonly revision: string;
  readonly storeId: string;
} {
  const leases = list.entries.map((entry) => entry.lease).filter((lease) => lease !== undefined);
  return { leases, revision: list.revision, storeId: list.storeId };
}

/** The events' net effect: of several changes of one key only the last counts. */
function changesOf(
  parts: HoldingParts,
  events: readonly IEvent[],
  shown: Map<string, string>,
): { readonly put: readonly Lease[]; readonly removed: readonly LeaseKey[] } {
  const put = new Map<string, Lease>();
  const removed = new Map<string, LeaseKey>();
  for (const event of events) {
    const key = event.kv.key.toString();
    const entry = parts.reader.read(event.type === 'Delete' ? { ...event.kv, value: emptyObject } : event.kv);
    if (!entry) continue;
    put.delete(key);
    removed.delete(key);
    if (event.type === 'Put' && entry.lease) {
      put.set(key, entry.lease);
      shown.set(key, entry.modRevision);
    } else if (shown.delete(key)) {
      // Deleted, or overwritten by what is no lease.
      removed.set(key, leaseKey(entry.subnets));
    }
  }
  return { put: [...put.values()], removed: [...removed.values()] };
}

/** A deleted key has no value; only its name matters. */
const emptyObject = Buffer.from('{}');

function sameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
