/** Leases in memory, with every promise of the seam: one process is one transaction. */
import { isDeepStrictEqual } from 'node:util';
import type { Cidr, PerFamily } from '../../src/core/ip.ts';
import { leaseLost, netConfChanged, networkFull, subnetInUse } from '../failures.ts';
import { kinship } from '../identity.ts';
import type { Lease, LeaseAttributes, LeaseKey, LeaseList } from '../lease.ts';
import { leaseKey, subnetsOverlap } from '../lease-key.ts';
import type { LeaseRequest, LeaseStore, LeaseWatchEvent, OwnedLease, OwnLeaseEvent } from '../lease-store.ts';
import { attributesForRewrite, selectLease } from '../selection.ts';
import { compareLeases, enterWorld, type MemoryWorld } from './world.ts';

/** A store of this world; several share its leases. */
export function createMemoryLeaseStore(world: MemoryWorld): LeaseStore {
  const closing = new AbortController();
  /** What was asked for when a lease was acquired here. */
  const asked = new Map<LeaseKey, Pick<LeaseRequest, 'attributes' | 'ttlSeconds'>>();

  function enter(signal: AbortSignal): void {
    closing.signal.throwIfAborted();
    enterWorld(world, signal);
  }

  /** Writes the value only if it differs, and moves the end. */
  function secure(
    lease: Lease,
    wanted: LeaseAttributes,
    ttlSeconds: number,
    howWhenWritten: OwnedLease['how'],
  ): OwnedLease {
    const attributes = attributesForRewrite(wanted, lease.attributes);
    const expiresAt = lease.reserved ? undefined : world.clock.now() + ttlSeconds * 1_000;
    asked.set(leaseKey(lease.subnets), { attributes, ttlSeconds });
    if (isDeepStrictEqual(attributes, lease.attributes)) {
      if (expiresAt !== undefined) world.prolong(lease.subnets, expiresAt);
      return { ...lease, expiresAt, how: 'kept' };
    }
    const put = world.putLease(lease.subnets, attributes, lease.reserved ? undefined : ttlSeconds);
    return { ...put, expiresAt, how: howWhenWritten };
  }

  function create(
    subnets: PerFamily<Cidr>,
    wanted: Pick<LeaseRequest, 'attributes' | 'ttlSeconds'>,
    how: OwnedLease['how'],
  ): OwnedLease {
    asked.set(leaseKey(subnets), wanted);
    const lease = world.putLease(subnets, wanted.attributes, wanted.ttlSeconds);
    return { ...lease, expiresAt: world.clock.now() + wanted.ttlSeconds * 1_000, how };
  }

  function readList(): LeaseList {
    return { leases: world.leases().map(({ lease }) => lease), revision: world.revision, storeId: world.storeId };
  }

  return {
    allocates: true,
    description: 'memory',
    async readNetConf(signal) {
      enter(signal);
      return world.netConf();
    },
    async acquire(request, signal) {
      enter(signal);
      const occupants = world.leases().map(({ lease }) => ({ subnets: lease.subnets, lease }));
      const selection = selectLease({ request, occupants });
      if (selection.kind === 'full') throw networkFull(request.ranges, selection.family);
      if (selection.kind === 'in-use') throw subnetInUse(selection.inUse);
      if (selection.kind === 'keep') {
        return secure(
          selection.lease,
          request.attributes,
          request.ttlSeconds,
          selection.takenOver ? 'taken-over' : 'rewritten',
        );
      }
      const { netConfRevision } = request;
      if (netConfRevision !== undefined && netConfRevision !== world.netConf()?.revision) throw netConfChanged();
      const [best] = selection.candidates;
      if (!best) throw new Error('a claim without a candidate');
      for (const { subnets } of selection.removes) world.deleteLease(subnets);
      return create(best.subnets, request, best.how);
    },
    async renew(lease, signal) {
      enter(signal);
      const wanted = asked.get(leaseKey(lease.subnets)) ?? { attributes: lease.attributes, ttlSeconds: 86_400 };
      const standing = world.lease(lease.subnets)?.lease;
      if (!standing) {
        const inTheWay = world.leases().find((other) => subnetsOverlap(other.lease.subnets, lease.subnets));
        if (inTheWay) throw leaseLost(lease.subnets, { subnets: inTheWay.lease.subnets, lease: inTheWay.lease });
        return create(lease.subnets, wanted, 'restored');
      }
      if (kinship(lease.attributes, standing.attributes) !== 'ours') {
        throw leaseLost(lease.subnets, { subnets: standing.subnets, lease: standing });
      }
      return secure(standing, wanted.attributes, wanted.ttlSeconds, 'rewritten');
    },
    async *watchOwn(lease, signal) {
      let last: OwnLeaseEvent | undefined;
      for await (const _ of changes(world, signal, closing.signal)) {
        const held = world.lease(lease.subnets);
        const event = ownEvent(lease, held?.lease, held?.expiresAt);
        const same = last?.kind === event.kind && revisionOf(last) === revisionOf(event);
        last = event;
        if (!same) yield event;
      }
    },
    async list(signal) {
      enter(signal);
      return readList();
    },
    async neighbours(after, limit, signal) {
      enter(signal);
      const leases = readList().leases.filter((lease) => leaseKey(lease.subnets) !== leaseKey(after));
      const next = leases.findIndex((lease) => compareLeases(lease, { subnets: after }) > 0);
      const from = next < 0 ? 0 : next;
      return [...leases.slice(from), ...leases.slice(0, from)].slice(0, Math.max(0, Math.floor(limit)));
    },
    async *watch(signal) {
      let shown: ReadonlyMap<LeaseKey, Lease> | undefined;
      for await (const _ of changes(world, signal, closing.signal)) {
        const list = readList();
        const now = new Map(list.leases.map((lease) => [leaseKey(lease.subnets), lease]));
        const event = shown ? difference(shown, now, list.revision) : ({ kind: 'snapshot', list } as const);
        shown = now;
        if (event) yield event;
      }
    },
    async release(subnets, signal) {
      enter(signal);
      return world.deleteLease(subnets);
    },
    async close() {
      closing.abort();
    },
  };
}

/** Yields at once and after every change, but never during an outage; ends by an abort error. */
async function* changes(world: MemoryWorld, ...signals: AbortSignal[]): AsyncGenerator<undefined> {
  const signal = AbortSignal.any(signals);
  for (;;) {
    signal.throwIfAborted();
    const seen = world.revision;
    if (!world.outage()) yield undefined;
    if (world.revision === seen) await world.nextChange(signal);
  }
}

function ownEvent(mine: OwnedLease, standing: Lease | undefined, expiresAt: number | undefined): OwnLeaseEvent {
  if (!standing) return { kind: 'gone' };
  if (kinship(mine.attributes, standing.attributes) !== 'ours') return { kind: 'taken', by: standing };
  return { kind: 'held', lease: { ...standing, expiresAt, how: mine.how } };
}

function revisionOf(event: OwnLeaseEvent): string | undefined {
  if (event.kind === 'gone') return undefined;
  return event.kind === 'taken' ? event.by.revision : event.lease.revision;
}

function difference(
  before: ReadonlyMap<LeaseKey, Lease>,
  now: ReadonlyMap<LeaseKey, Lease>,
  revision: string,
): LeaseWatchEvent | undefined {
  const put = [...now].filter(([key, lease]) => before.get(key)?.revision !== lease.revision).map(([, lease]) => lease);
  const removed = [...before.keys()].filter((key) => !now.has(key));
  return put.length + removed.length > 0 ? { kind: 'changes', revision, put, removed } : undefined;
}
