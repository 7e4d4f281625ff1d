/**
 * What several stores share when leases live in memory: the product's own double of etcd, for dry runs, benches and tests.
 *
 * It has revisions, expiry and watches like the real thing; and, for tests, the verbs of an operator and of real flannel, and outages.
 */
import type { Clock } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, compareCidrs, type PerFamily } from '../../src/core/ip.ts';
import type { LeaderInfo } from '../election.ts';
import type { Lease, LeaseAttributes, LeaseKey } from '../lease.ts';
import { leaseKey, subnetsOf } from '../lease-key.ts';
import type { NetConfDocument } from '../lease-store.ts';
import type { NodeReport } from '../node-reports.ts';
import type { StoredOwnershipRecord } from '../ownership-store.ts';

/** A lease and when it ends, wall-clock milliseconds; undefined for a reservation. */
export interface MemoryLease {
  readonly lease: Lease;
  readonly expiresAt: number | undefined;
}

/** The election's key: its token is the revision it was made at. */
export interface MemoryLeader extends LeaderInfo {
  readonly token: string;
  /** Monotonic milliseconds. */
  readonly expiresAt: number;
}

export interface MemoryWorld {
  readonly clock: Clock;
  readonly storeId: string;
  /** Goes up with every change: unchanged means that nothing was put. */
  readonly revision: string;
  netConf(): NetConfDocument | undefined;
  setNetConf(text: string | undefined): void;
  /** The leases that have not ended, by address. */
  leases(): readonly MemoryLease[];
  lease(subnets: PerFamily<Cidr>): MemoryLease | undefined;
  /** Puts without asking who is there, as real flannel does. Without a TTL it is a reservation. */
  putLease(subnets: PerFamily<Cidr>, attributes: LeaseAttributes, ttlSeconds: number | undefined): Lease;
  /** Moves the end of a lease; no change that anybody sees. */
  prolong(subnets: PerFamily<Cidr>, expiresAt: number): void;
  deleteLease(subnets: PerFamily<Cidr>): boolean;
  /** Route records by a key of the caller's. */
  records(): ReadonlyMap<string, StoredOwnershipRecord>;
  putRecord(key: string, record: Omit<StoredOwnershipRecord, 'revision'>): StoredOwnershipRecord;
  deleteRecord(key: string): void;
  /** What nodes say of themselves; a report goes with its lease. */
  reports(): ReadonlyMap<LeaseKey, NodeReport>;
  putReport(subnets: PerFamily<Cidr>, report: NodeReport): void;
  /** Who leads, unless the term has passed. */
  leader(): MemoryLeader | undefined;
  /** A new leader, in place of whoever was. */
  putLeader(leader: LeaderInfo, termMs: number): MemoryLeader;
  /** Moves the end of this leadership; no change that anybody sees. False when it is gone. */
  prolongLeader(token: string, termMs: number): boolean;
  /** Ends this leadership, or (without a token) whichever there is. */
  deleteLeader(token?: string): void;
  /** Makes every call of every store fail, until called without a reason. Watches stay silent meanwhile. */
  setOutage(reason: string | undefined): void;
  /** What every call is to throw just now. */
  outage(): FlannelVpcError | undefined;
  /** Resolves at the next change, a lease's end included; rejects as soon as the signal fires. */
  nextChange(signal: AbortSignal): Promise<void>;
}

export function createMemoryWorld(clock: Clock): MemoryWorld {
  let revision = 1;
  let netConf: NetConfDocument | undefined;
  let outage: string | undefined;
  const leases = new Map<LeaseKey, MemoryLease>();
  const records = new Map<string, StoredOwnershipRecord>();
  const reports = new Map<LeaseKey, NodeReport>();
  let leader: MemoryLeader | undefined;
  const waiting = new Set<() => void>();

  /** Counts a change and wakes who waits for one. Gives its revision. */
  function changed(): string {
    revision += 1;
    wake();
    return String(revision);
  }

  function wake(): void {
    for (const resume of waiting) resume();
    waiting.clear();
  }

  function remove(key: LeaseKey): boolean {
    const existed = leases.delete(key);
    reports.delete(key);
    if (existed) changed();
    return existed;
  }

  function expire(): void {
    const now = clock.now();
    for (const [key, { expiresAt }] of leases) {
      if (expiresAt !== undefined && expiresAt <= now) remove(key);
    }
    if (leader && leader.expiresAt <= clock.monotonic()) {
      leader = undefined;
      changed();
    }
  }

  return {
    clock,
    storeId: 'memory',
    get revision() {
      expire();
      return String(revision);
    },
    netConf: () => netConf,
    setNetConf(text) {
      const at = changed();
      netConf = text === undefined ? undefined : { text, revision: at };
    },
    leases() {
      expire();
      return [...leases.values()].sort((a, b) => compareLeases(a.lease, b.lease));
    },
    lease(subnets) {
      expire();
      return leases.get(leaseKey(subnets));
    },
    putLease(subnets, attributes, ttlSeconds) {
      const lease: Lease = { subnets, attributes, reserved: ttlSeconds === undefined, revision: String(revision + 1) };
      const expiresAt = ttlSeconds === undefined ? undefined : clock.now() + ttlSeconds * 1_000;
      leases.set(leaseKey(subnets), { lease, expiresAt });
      changed();
      return lease;
    },
    prolong(subnets, expiresAt) {
      const held = leases.get(leaseKey(subnets));
      if (held) leases.set(leaseKey(subnets), { ...held, expiresAt });
    },
    deleteLease(subnets) {
      expire();
      return remove(leaseKey(subnets));
    },
    records: () => records,
    putRecord(key, record) {
      const stored = { ...record, revision: changed() };
      records.set(key, stored);
      return stored;
    },
    deleteRecord(key) {
      if (records.delete(key)) changed();
    },
    reports() {
      expire();
      return reports;
    },
    putReport(subnets, report) {
      reports.set(leaseKey(subnets), report);
      changed();
    },
    leader() {
      expire();
      return leader;
    },
    putLeader({ holder, since }, termMs) {
      leader = { holder, since, token: changed(), expiresAt: clock.monotonic() + termMs };
      return leader;
    },
    prolongLeader(token, termMs) {
      expire();
      if (leader?.token !== token) return false;
      leader = { ...leader, expiresAt: clock.monotonic() + termMs };
      return true;
    },
    deleteLeader(token) {
      expire();
      if (!leader || (token !== undefined && leader.token !== token)) return;
      leader = undefined;
      changed();
    },
    setOutage(reason) {
      outage = reason;
      wake();
    },
    outage: () =>
      outage === undefined
        ? undefined
        : new FlannelVpcError('STORE_UNAVAILABLE', `the store in memory is away: ${outage}`),
    async nextChange(signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add(resolve);
      const ends = [...leases.values()].map(({ expiresAt }) => expiresAt ?? Infinity);
      const leaderEnd = leader ? clock.now() + leader.expiresAt - clock.monotonic() : Infinity;
      const firstEnd = Math.min(leaderEnd, ...ends);
      const done = new AbortController();
      const stop = AbortSignal.any([signal, done.signal]);
      try {
        // setTimeout's longest is 24.8 days.
        const nap = Math.min(Math.max(0, firstEnd - clock.now()), 2 ** 31 - 1);
        await Promise.race([promise, clock.sleep(nap, stop)]);
      } finally {
        waiting.delete(resolve);
        done.abort();
      }
    },
  };
}

/** What every call begins with: throws for a signal that has fired, and during an outage. */
export function enterWorld(world: MemoryWorld, signal: AbortSignal): void {
  signal.throwIfAborted();
  const outage = world.outage();
  if (outage) throw outage;
}

/** The order of leases here: by their first subnet. */
export function compareLeases(a: Pick<Lease, 'subnets'>, b: Pick<Lease, 'subnets'>): number {
  const [left] = subnetsOf(a.subnets);
  const [right] = subnetsOf(b.subnets);
  return left && right ? compareCidrs(left, right) : 0;
}
