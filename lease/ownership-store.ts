/**
 * Records of which routes are ours. Clouds such as AWS can't mark a route, so before a route is written a record of it is
 * stored by compare-and-swap; nothing without a record (or the cloud's own mark) is ever collected.
 */
import type { Cidr } from '../src/core/ip.ts';
import type { Leadership } from './election.ts';
import type { Lease } from './lease.ts';

export interface OwnershipRecord {
  readonly tableId: string;
  readonly destination: Cidr;
  /** The next hop we write: NIC or instance id. */
  readonly target: string;
  /** Who holds the lease the route serves: instance id, else public IP. */
  readonly holder: string;
  /** Wall clock of the writer, ISO 8601; for people. */
  readonly writtenAt: string;
  /** The next hop of ours that it is to take the place of: until that has worked, the route leads there and is ours too. */
  readonly replaces?: string | undefined;
}

export interface StoredOwnershipRecord extends OwnershipRecord {
  /**
   * Set while somebody takes the route out: ISO 8601 time after which the attempt is over. Until then nobody may write
   * this route, since the delete may still be on its way.
   */
  readonly removingUntil?: string | undefined;
  /** For compare-and-swap. */
  readonly revision: string;
}

/**
 * The longest that a mark of a removal is heeded, milliseconds: far more than any attempt takes, and less than what a wrong clock writes.
 * Without an end, a machine whose clock was years ahead would keep a route from being written for years.
 */
const longestRemovalMs = 10 * 60_000;

/** When the attempt to take the route out is over, if it is under way at `now` (both wall clock, milliseconds); else undefined. */
export function removalUnderWay(
  record: Pick<StoredOwnershipRecord, 'removingUntil'> | undefined,
  now: number,
): number | undefined {
  const until = Date.parse(record?.removingUntil ?? '');
  return until > now && until - now <= longestRemovalMs ? until : undefined;
}

/** The last of these attempts that is under way. */
export function lastRemovalUnderWay(
  records: readonly (Pick<StoredOwnershipRecord, 'removingUntil'> | undefined)[],
  now: number,
): number | undefined {
  const ends = records.flatMap((record) => removalUnderWay(record, now) ?? []);
  return ends.length > 0 ? Math.max(...ends) : undefined;
}

export type ClaimResult =
  /** All records stand as given. `previous` lists those that were replaced. */
  | { readonly kind: 'claimed'; readonly previous: readonly StoredOwnershipRecord[] }
  /** Somebody is just now removing one of these routes; ask again after `until` (wall clock, milliseconds). */
  | { readonly kind: 'removing'; readonly until: number };

/** Same promises and errors as `LeaseStore`. */
export interface OwnershipStore {
  /**
   * Stores the records in one transaction. Where equal ones stand already (time and `replaces` aside) nothing is put. A record of a former
   * holder of the same route is replaced.
   */
  claim(records: readonly OwnershipRecord[], signal: AbortSignal): Promise<ClaimResult>;

  /** All records of this network. */
  list(signal: AbortSignal): Promise<readonly StoredOwnershipRecord[]>;

  /**
   * Marks a record as being removed until `until` (wall clock, milliseconds), only if it is unchanged and no lease for its
   * destination exists at that moment; both are checked in the one transaction.
   *
   * `ended` is a lease whose machine is terminated: it alone is no obstacle, and only while it is exactly as given (`revision`).
   *
   * @returns the marked record, also where the answer to a first try was lost; or undefined when somebody was faster or a lease is there
   * again: leave the route alone.
   */
  beginRemoval(
    record: StoredOwnershipRecord,
    until: number,
    signal: AbortSignal,
    ended?: Lease,
  ): Promise<StoredOwnershipRecord | undefined>;

  /** Forgets a record after its route is gone, if it is still as `beginRemoval` left it. */
  finishRemoval(record: StoredOwnershipRecord, signal: AbortSignal): Promise<void>;

  /**
   * Takes the mark off a record whose route was not removed for certain, if it is still as `beginRemoval` left it: nobody need wait for
   * the mark to run out.
   */
  cancelRemoval(record: StoredOwnershipRecord, signal: AbortSignal): Promise<void>;

  /**
   * The same records, written only while this leadership stands in the store: each write then throws LEADERSHIP_LOST, and changes
   * nothing, once another one leads or nobody does.
   */
  fenced(leadership: Pick<Leadership, 'token'>): OwnershipStore;
}
