/** All that is kept in one store, over one connection. */
import type { ElectionOptions, LeaderElection } from './election.ts';
import type { LeaseAdmin } from './lease-admin.ts';
import type { LeaseStore } from './lease-store.ts';
import type { NodeNotices } from './node-notices.ts';
import type { NodeReportStore } from './node-reports.ts';
import type { OwnershipStore } from './ownership-store.ts';

export interface Stores {
  readonly leases: LeaseStore;
  readonly ownership: OwnershipStore;
  readonly reports: NodeReportStore;
  readonly admin: LeaseAdmin;
  /** Where the store has a place to tell of single nodes. */
  readonly notices?: NodeNotices;
  /** Nothing of it is loaded or sent before its first call. */
  election(options: ElectionOptions): LeaderElection;
  /** Closes the connection of all (as `leases.close` does). What is stored stays. */
  close(): Promise<void>;
}
