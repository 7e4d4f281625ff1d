/** What nodes say of themselves, in memory. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { leaseLost } from '../failures.ts';
import { kinship } from '../identity.ts';
import { leaseKey } from '../lease-key.ts';
import type { NodeReportStore } from '../node-reports.ts';
import { enterWorld, type MemoryWorld } from './world.ts';

/** A store of this world; several share its reports. */
export function createMemoryNodeReports(world: MemoryWorld): NodeReportStore {
  return {
    async publish(lease, report, signal) {
      enterWorld(world, signal);
      const name = leaseKey(lease.subnets);
      const standing = world.lease(lease.subnets)?.lease;
      if (!standing) throw new FlannelVpcError('CONFLICT', `nothing is reported of ${name}: no lease stands there`);
      if (kinship(lease.attributes, standing.attributes) !== 'ours')
        throw leaseLost(lease.subnets, { subnets: standing.subnets, lease: standing });
      const former = world.reports().get(name);
      if (former?.ready === report.ready && former.reason === report.reason) return;
      world.putReport(lease.subnets, report);
    },
    async list(signal) {
      enterWorld(world, signal);
      return new Map(world.reports());
    },
  };
}
