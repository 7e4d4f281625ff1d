/** What operators and the controller do to leases and net-conf, in memory. */
import { netConfNotAsRead, nothingToReserve, reservedByOther, reserveOverlaps } from '../failures.ts';
import { kinship } from '../identity.ts';
import type { LeaseAdmin } from '../lease-admin.ts';
import { subnetsOverlap } from '../lease-key.ts';
import { enterWorld, type MemoryWorld } from './world.ts';

/** The administration of this world. */
export function createMemoryLeaseAdmin(world: MemoryWorld): LeaseAdmin {
  return {
    async end(lease, signal) {
      enterWorld(world, signal);
      return world.lease(lease.subnets)?.lease.revision === lease.revision && world.deleteLease(lease.subnets);
    },
    async reserve(subnets, attributes, signal) {
      enterWorld(world, signal);
      const standing = world.lease(subnets)?.lease;
      if (standing) {
        if (attributes && kinship(attributes, standing.attributes) !== 'ours') throw reservedByOther(subnets, standing);
        return standing.reserved ? standing : world.putLease(subnets, standing.attributes, undefined);
      }
      const other = world.leases().find(({ lease }) => subnetsOverlap(lease.subnets, subnets))?.lease;
      if (other) throw reserveOverlaps(subnets, { subnets: other.subnets, lease: other });
      if (!attributes) throw nothingToReserve(subnets);
      return world.putLease(subnets, attributes, undefined);
    },
    async writeNetConf(text, expectedRevision, signal) {
      enterWorld(world, signal);
      const standing = world.netConf();
      if (standing?.text === text) return standing.revision;
      if (standing?.revision !== expectedRevision) throw netConfNotAsRead();
      world.setNetConf(text);
      return world.revision;
    },
  };
}
