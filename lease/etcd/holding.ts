/** What this process knows about the leases it holds, and how one that is there already is secured. */
import type { Clock } from '../../src/core/clock.ts';
import type { LeaseAttributes, LeaseKey } from '../lease.ts';
import { leaseKey } from '../lease-key.ts';
import type { OwnedLease } from '../lease-store.ts';
import { attributesForRewrite } from '../selection.ts';
import type { EtcdClient } from './client.ts';
import type { LeaseEntry } from './entries.ts';
import { isLeaseGone } from './errors.ts';
import { ifUnchanged, putOp } from './operations.ts';
import type { EtcdParts } from './parts.ts';
import { encodeLeaseValue } from './value.ts';

/** A lease this process acquired. */
export interface Holding {
  readonly key: string;
  /** TTL it was asked for with, seconds. */
  readonly ttlSeconds: number;
  /** What we want to stand there. */
  readonly attributes: LeaseAttributes;
  /** Revision of the store at which the lease is known to stand as we know it: where a watch of it may begin. */
  readonly revision: string;
}

/** What getting and keeping leases needs. */
export interface HoldingParts extends EtcdParts {
  /** The leases this process acquired. */
  readonly holdings: Map<LeaseKey, Holding>;
  readonly grants: GrantPool;
}

/** An etcd lease for keys of ours. */
export interface Grant {
  readonly id: string;
  /** Wall clock, milliseconds: when it ends unless it is kept alive; counted from before it was asked for. */
  readonly expiresAt: number;
}

/**
 * An etcd lease granted and not used stays for the next try: a lost race, a failed transaction or a full network cost no
 * second grant.
 */
export interface GrantPool {
  take(ttlSeconds: number, signal: AbortSignal): Promise<Grant>;
  /** The etcd lease now carries a key. */
  used(id: string): void;
  /** etcd says that it does not exist. */
  forget(): void;
}

export function createGrantPool(client: Pick<EtcdClient, 'grant'>, clock: Clock): GrantPool {
  let spare: (Grant & { readonly ttlSeconds: number; readonly freshUntil: number }) | undefined;
  return {
    async take(ttlSeconds, signal) {
      // One that has run for a while would make the lease end early.
      if (spare?.ttlSeconds === ttlSeconds && clock.monotonic() < spare.freshUntil) return spare;
      const freshUntil = clock.monotonic() + ttlSeconds * 100;
      const expiresAt = clock.now() + ttlSeconds * 1_000;
      spare = { id: await client.grant(ttlSeconds, signal), expiresAt, ttlSeconds, freshUntil };
      return spare;
    },
    used(id) {
      if (spare?.id === id) spare = undefined;
    },
    forget() {
      spare = undefined;
    },
  };
}

export interface SecureRequest {
  readonly entry: LeaseEntry;
  /** What stands there, as read. */
  readonly stored: LeaseAttributes;
  readonly wanted: LeaseAttributes;
  readonly ttlSeconds: number;
  /** Revision of the store the entry was read at. */
  readonly revision: string;
  /** What to say of a lease whose value had to be written. */
  readonly howWhenWritten: OwnedLease['how'];
}

/**
 * Makes a lease that is there ours for another TTL. Where value and TTL are right already nothing is put, so that no peer sees
 * an event: its etcd lease is kept alive, that is all. A reservation stays without an etcd lease.
 *
 * @returns undefined when the lease changed meanwhile: read again.
 */
export async function secureLease(
  parts: HoldingParts,
  request: SecureRequest,
  signal: AbortSignal,
): Promise<OwnedLease | undefined> {
  const { client, clock, grants } = parts;
  const { entry, ttlSeconds } = request;
  const attributes = attributesForRewrite(request.wanted, request.stored);
  const value = encodeLeaseValue(attributes);
  const reserved = entry.etcdLease === '0';
  const askedAt = clock.now();
  const granted = reserved ? undefined : await client.keepAlive(entry.etcdLease, signal);
  if (!reserved && granted === undefined) return undefined;
  // Where the answer to our claim was lost, this is the one that it was made on.
  if (!reserved) grants.used(entry.etcdLease);
  // One granted for a shorter time by somebody else (an operator's put) would have to be renewed all the time.
  const lasting = reserved || (granted ?? 0) >= ttlSeconds;
  let { revision } = request;
  let { modRevision } = entry;
  let expiresAt = granted === undefined ? undefined : askedAt + granted * 1_000;
  const written = value !== entry.value || !lasting;
  if (written) {
    const fresh = lasting ? undefined : await grants.take(ttlSeconds, signal);
    const etcdLease = fresh?.id ?? entry.etcdLease;
    if (fresh) expiresAt = fresh.expiresAt;
    try {
      const answer = await client.txn(
        { compare: [ifUnchanged(entry.key, entry.modRevision)], success: [putOp(entry.key, value, etcdLease)] },
        'rewrite our lease',
        signal,
      );
      if (!answer.succeeded) return undefined;
      revision = answer.header.revision;
    } catch (error) {
      if (!isLeaseGone(error)) throw error;
      grants.forget();
      return undefined;
    }
    grants.used(etcdLease);
    modRevision = revision;
  }
  return remember(
    parts,
    { key: entry.key, ttlSeconds, attributes, revision },
    {
      subnets: entry.subnets,
      attributes,
      reserved,
      revision: modRevision,
      expiresAt,
      how: written ? request.howWhenWritten : 'kept',
    },
  );
}

/** Notes a lease as held by this process. */
export function remember(parts: Pick<HoldingParts, 'holdings'>, holding: Holding, lease: OwnedLease): OwnedLease {
  parts.holdings.set(leaseKey(lease.subnets), holding);
  return lease;
}
