/**
 * The seam to the election of the one controller that writes: on etcd today, by Kubernetes' Lease object later.
 *
 * A leader that was frozen must not go on as if no time had passed. So it asks `assertHeld` right before each write, which looks at the
 * clocks and at nothing else; and its writes to the store carry the election's own condition (`OwnershipStore.fenced`).
 */
import type { OnOutage } from './outage.ts';

/** What a leader holds. */
export interface Leadership {
  readonly holder: string;
  /** Monotonic milliseconds (`Clock.monotonic`) at which it was won. */
  readonly since: number;
  /**
   * The store's proof of this very leadership, for the conditions of its writes: another leader's, or a later one of the same
   * holder, differs. Opaque outside the store that gave it.
   */
  readonly token: string;
  /** Fires, with a LEADERSHIP_LOST error as its reason, as soon as it is known to be lost. */
  readonly lost: AbortSignal;
  /**
   * Synchronous, asks nobody: throws LEADERSHIP_LOST once the term, less a margin, has passed since before the last successful
   * keepalive was sent; on the monotonic clock, or on the wall clock, which goes on while a machine is suspended.
   */
  assertHeld(): void;
  /** Gives it up, so that another one need not wait for the term. Ends within 2 s and never throws. */
  resign(): Promise<void>;
}

/** Who leads, as the store shows it. */
export interface LeaderInfo {
  readonly holder: string;
  /** Wall clock at which it was won, ISO 8601; as that leader wrote it. */
  readonly since: string;
}

export interface ElectionOptions {
  /** Unique to this process, for people too: host name, process id and a few random letters. */
  readonly holder: string;
  /** How long a leader that is not heard of stays the leader, milliseconds. */
  readonly termMs: number;
  /** Pause between two keepalives of a leader, and between two looks of who waits where no watch tells, milliseconds. */
  readonly retryMs: number;
  /** Told of what `campaign` waits out. */
  readonly onOutage?: OnOutage | undefined;
}

export interface LeaderElection {
  /** Waits for as long as it takes to become the leader; the signal ends the waiting, not the leadership. An unreachable store is waited for, and said once and then rarely. */
  campaign(signal: AbortSignal): Promise<Leadership>;
  /** Who leads now; undefined when nobody does. */
  leader(signal: AbortSignal): Promise<LeaderInfo | undefined>;
}
