/** Leases and all that belongs to them in one world of memory. */
import type { Stores } from '../stores.ts';
import { createMemoryElection } from './election.ts';
import { createMemoryLeaseAdmin } from './lease-admin.ts';
import { createMemoryLeaseStore } from './lease-store.ts';
import { createMemoryNodeReports } from './node-reports.ts';
import { createMemoryOwnershipStore } from './ownership-store.ts';
import type { MemoryWorld } from './world.ts';

/** The stores as one process has them; several share the world. */
export function createMemoryStores(world: MemoryWorld): Stores {
  const leases = createMemoryLeaseStore(world);
  return {
    leases,
    ownership: createMemoryOwnershipStore(world),
    reports: createMemoryNodeReports(world),
    admin: createMemoryLeaseAdmin(world),
    election: (options) => createMemoryElection(world, options),
    close: () => leases.close(),
  };
}
