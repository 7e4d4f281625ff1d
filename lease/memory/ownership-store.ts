/** Records of our routes in memory. */
import { type Cidr, formatCidr, sameCidr } from '../../src/core/ip.ts';
import { leadershipLost } from '../failures.ts';
import type { Lease } from '../lease.ts';
import { leaseKey, subnetsOf } from '../lease-key.ts';
import { lastRemovalUnderWay, type OwnershipRecord, type OwnershipStore } from '../ownership-store.ts';
import { enterWorld, type MemoryWorld } from './world.ts';

/** A store of this world; several share its records. With a token it writes only while that leadership stands. */
export function createMemoryOwnershipStore(world: MemoryWorld, token?: string): OwnershipStore {
  const keyOf = ({ destination, tableId }: OwnershipRecord): string => `${formatCidr(destination)} ${tableId}`;

  function enterToWrite(signal: AbortSignal): void {
    enterWorld(world, signal);
    if (token === undefined) return;
    const leader = world.leader();
    if (leader?.token !== token) throw leadershipLost(leader ? `${leader.holder} leads now` : 'nobody leads now');
  }

  /** True when a lease of the destination exists, the ended one aside; or when that one is not as it was. */
  function isLeased(destination: Cidr, ended: Lease | undefined): boolean {
    if (ended && world.lease(ended.subnets)?.lease.revision !== ended.revision) return true;
    return world
      .leases()
      .filter(({ lease }) => !ended || leaseKey(lease.subnets) !== leaseKey(ended.subnets))
      .some(({ lease }) => subnetsOf(lease.subnets).some((subnet) => sameCidr(subnet, destination)));
  }

  return {
    async claim(records, signal) {
      enterToWrite(signal);
      const standing = records.map((record) => world.records().get(keyOf(record)));
      const until = lastRemovalUnderWay(standing, world.clock.now());
      if (until !== undefined) return { kind: 'removing', until };
      const previous = records.map((record, index) => {
        const former = standing[index];
        if (former?.target === record.target && former.holder === record.holder && !former.removingUntil)
          return undefined;
        const { tableId, destination, target, holder, writtenAt, replaces } = record;
        const more = replaces === undefined ? {} : { replaces };
        world.putRecord(keyOf(record), { tableId, destination, target, holder, writtenAt, ...more });
        return former;
      });
      return { kind: 'claimed', previous: previous.filter((record) => record !== undefined) };
    },
    async list(signal) {
      enterWorld(world, signal);
      return [...world.records().values()];
    },
    async beginRemoval(record, until, signal, ended) {
      enterToWrite(signal);
      const unchanged = world.records().get(keyOf(record))?.revision === record.revision;
      if (!unchanged || isLeased(record.destination, ended)) return undefined;
      return world.putRecord(keyOf(record), { ...record, removingUntil: new Date(until).toISOString() });
    },
    async finishRemoval(record, signal) {
      enterToWrite(signal);
      if (world.records().get(keyOf(record))?.revision === record.revision) world.deleteRecord(keyOf(record));
    },
    async cancelRemoval({ removingUntil: _, ...record }, signal) {
      enterToWrite(signal);
      if (world.records().get(keyOf(record))?.revision === record.revision) world.putRecord(keyOf(record), record);
    },
    fenced: (leadership) => createMemoryOwnershipStore(world, leadership.token),
  };
}
