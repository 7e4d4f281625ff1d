/**
 * The seam to wherever leases live (etcd today, Kubernetes next).
 *
 * Every method takes a signal, ends soon after it fires, and throws only `FlannelVpcError`s or an AbortError:
 * STORE_UNAVAILABLE (network, no leader, deadline), STORE_DENIED (user, certificate, rights), CONFIG_INVALID
 * (something stored does not parse), and what each method names. Transient trouble is retried inside, within the
 * method's own deadline; callers need no retry of their own around a single call but loop at their own pace.
 */
import type { Cidr, PerFamily } from '../src/core/ip.ts';
import type { Lease, LeaseAttributes, LeaseKey, LeaseList, SubnetRange } from './lease.ts';
import type { OnOutage } from './outage.ts';

export interface NetConfDocument {
  /** The text as stored; not parsed here. */
  readonly text: string;
  readonly revision: string;
}

export interface LeaseRequest {
  /** The ranges to lease from: one entry per enabled family. */
  readonly ranges: PerFamily<SubnetRange>;
  /** What to write. `attributes.publicIps` and `attributes.node.instanceId` also say who we are. */
  readonly attributes: LeaseAttributes;
  /** Subnets this node had before (from subnet.env). Only a preference: a cloned image carries someone else's. */
  readonly previous: PerFamily<Cidr>;
  /** Subnets that containers of this node live on: no others will do. */
  readonly inUse?: PerFamily<Cidr> | undefined;
  /** The lease that this process has kept until now under an address that has changed since: it is ours, and comes before any other. */
  readonly held?: Pick<Lease, 'subnets' | 'attributes'> | undefined;
  /**
   * True when the metadata server or the kernel confirms that the public address is this machine's now, so that a
   * lease with our address but another instance id belongs to a machine that is gone.
   */
  readonly publicIpConfirmed: boolean;
  /**
   * `NetConfDocument.revision` of the net-conf that the ranges come from, where it is in the store. A new subnet is claimed only
   * while it stands: nodes that act on net-confs with different subnet lengths could else claim overlapping subnets at one moment.
   */
  readonly netConfRevision?: string | undefined;
  /** How long an unrenewed lease lives, seconds. flannel: 86400. */
  readonly ttlSeconds: number;
}

/** A lease that this process holds. */
export interface OwnedLease extends Lease {
  /** Wall-clock milliseconds at which it ends unless renewed; undefined for a reservation. */
  readonly expiresAt: number | undefined;
  /** How it was come by, for the log: one of a few fixed words. */
  readonly how: 'kept' | 'rewritten' | 'previous' | 'allocated' | 'taken-over' | 'restored';
}

/** What the watch on our own lease saw. */
export type OwnLeaseEvent =
  /** It stands and is ours (also the first event). */
  | { readonly kind: 'held'; readonly lease: OwnedLease }
  /** The key is gone: deleted, expired, or its etcd lease revoked. */
  | { readonly kind: 'gone' }
  /** Somebody else's value stands there. */
  | { readonly kind: 'taken'; readonly by: Lease };

/** A change of the set of leases. A watch starts with a snapshot and sends another after any gap. */
export type LeaseWatchEvent =
  | { readonly kind: 'snapshot'; readonly list: LeaseList }
  | {
      readonly kind: 'changes';
      readonly revision: string;
      readonly put: readonly Lease[];
      readonly removed: readonly LeaseKey[];
      /** Those of `removed` that somebody ended on purpose, where the store can tell: in Kubernetes by deleting the Node object. */
      readonly deleted?: readonly Lease[];
    };

export interface LeaseStore {
  /**
   * True where subnets are handed out here, by net-conf's rules, and net-conf is waited for. False: Kubernetes hands them out, and
   * net-conf is a file that is there or not.
   */
  readonly allocates: boolean;

  /** Where this is, for messages: endpoints and prefix, no secrets. */
  readonly description: string;

  /** The stored net-conf, or undefined when there is none. */
  readNetConf(signal: AbortSignal): Promise<NetConfDocument | undefined>;

  /**
   * Gets this node a lease by flannel's rules (kept, previous, or a free one), claimed by compare-and-swap. Lost races
   * are retried inside with jitter. Safe when killed at any point: at worst an etcd lease without a key runs out.
   *
   * @throws NETWORK_FULL when no subnet is free (the caller waits, reads net-conf again, and tries again).
   * @throws SUBNET_IN_USE when what could be had is not what containers live on (the caller waits as well).
   * @throws CONFLICT when net-conf is no longer the one the ranges come from: read it again.
   */
  acquire(request: LeaseRequest, signal: AbortSignal): Promise<OwnedLease>;

  /**
   * Prolongs our lease without rewriting its value, so that peers see no event. Where it has vanished it is created
   * again, by compare-and-swap, on the same subnet (`how: 'restored'`).
   *
   * @throws LEASE_LOST when somebody else holds the subnet now.
   */
  renew(lease: OwnedLease, signal: AbortSignal): Promise<OwnedLease>;

  /**
   * Watches our own key only, until the signal fires. Survives reconnects and compaction; never busy-loops. `onOutage` is told why nothing
   * is seen meanwhile.
   */
  watchOwn(lease: OwnedLease, signal: AbortSignal, onOutage?: OnOutage): AsyncIterable<OwnLeaseEvent>;

  /** All leases, read at one revision. Keys and values that do not parse are skipped and logged once each. */
  list(signal: AbortSignal): Promise<LeaseList>;

  /**
   * Up to `limit` leases that follow this one in the store's own order of keys, beginning again after the last; never this one.
   * Costs two reads at most, bounded by the limit: how thousands of nodes find a few peers each.
   */
  neighbours(after: PerFamily<Cidr>, limit: number, signal: AbortSignal): Promise<readonly Lease[]>;

  /** All leases and their changes, until the signal fires. */
  watch(signal: AbortSignal): AsyncIterable<LeaseWatchEvent>;

  /** Ends a lease. True when it existed. An operator's verb; agents keep theirs on exit. */
  release(subnets: PerFamily<Cidr>, signal: AbortSignal): Promise<boolean>;

  /** Closes connections. Leases stay. */
  close(): Promise<void>;
}
