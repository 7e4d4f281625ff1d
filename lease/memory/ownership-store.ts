/** Records of our routes in memory. */
import { type Cidr, formatCidr, sameCidr } from '../../src/core/ip.ts';
import { subnetsOf } from '../lease-key.ts';
import type { OwnershipRecord, OwnershipStore } from '../ownership-store.ts';
import type { MemoryWorld } from './world.ts';

/** A store of this world; several share its records. */
export function createMemoryOwnershipStore(world: MemoryWorld): OwnershipStore {
  const keyOf = ({ destination, tableId }: OwnershipRecord): string => `${formatCidr(destination)} ${tableId}`;

  function enter(signal: AbortSignal): void {
    signal.throwIfAborted();
    const outage = world.outage();
    if (outage) throw outage;
  }

  function isLeased(destination: Cidr): boolean {
    return world.leases().some(({ lease }) => subnetsOf(lease.subnets).some((subnet) => sameCidr(subnet, destination)));
  }

  return {
    async claim(records, signal) {
      enter(signal);
      const standing = records.map((record) => world.records().get(keyOf(record)));
      const until = Math.max(...standing.map((record) => Date.parse(record?.removingUntil ?? '') || 0));
      if (until > world.clock.now()) return { kind: 'removing', until };
      const previous = records.map((record, index) => {
        const former = standing[index];
        if (former?.target === record.target && former.holder === record.holder && !former.removingUntil)
          return undefined;
        const { tableId, destination, target, holder, writtenAt } = record;
        world.putRecord(keyOf(record), { tableId, destination, target, holder, writtenAt });
        return former;
      });
      return { kind: 'claimed', previous: previous.filter((record) => record !== undefined) };
    },
    async list(signal) {
      enter(signal);
      return [...world.records().values()];
    },
    async beginRemoval(record, until, signal) {
      enter(signal);
      const unchanged = world.records().get(keyOf(record))?.revision === record.revision;
      if (!unchanged || isLeased(record.destination)) return undefined;
      return world.putRecord(keyOf(record), { ...record, removingUntil: new Date(until).toISOString() });
    },
    async finishRemoval(record, signal) {
      enter(signal);
      if (world.records().get(keyOf(record))?.revision === record.revision) world.deleteRecord(keyOf(record));
    },
  };
}
