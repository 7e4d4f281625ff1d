/**
 * What each node says of itself: whether its pods can be reached, and why not. Written by its agent when that changes, read by the
 * controller, its status page and `status`. A report ends with its lease.
 */
import type { LeaseKey } from './lease.ts';
import type { OwnedLease } from './lease-store.ts';

export interface NodeReport {
  /** As /readyz says it. */
  readonly ready: boolean;
  /** Why not, or what could not be shown ("no peer", "unproven: …"); empty when all is proven. One sentence. */
  readonly reason: string;
  /** Wall clock of the change, ISO 8601. */
  readonly since: string;
}

/** Same promises and errors as `LeaseStore`. */
export interface NodeReportStore {
  /**
   * Stores the report beside the lease, on the lease's own TTL. Puts nothing where an equal one stands, `since` aside. To be called
   * again after the lease was made again: the report has ended with the former one.
   *
   * @throws LEASE_LOST when somebody else holds the lease, CONFLICT while nobody does.
   */
  publish(lease: OwnedLease, report: NodeReport, signal: AbortSignal): Promise<void>;
  /** All reports; what does not parse is left out. */
  list(signal: AbortSignal): Promise<ReadonlyMap<LeaseKey, NodeReport>>;
}
