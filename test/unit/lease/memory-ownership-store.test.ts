import { createMemoryLeaseStore } from '../../../lease/memory/lease-store.ts';
import { createMemoryOwnershipStore } from '../../../lease/memory/ownership-store.ts';
import { createMemoryWorld } from '../../../lease/memory/world.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { describeOwnershipStore } from '../../integration/lease/ownership-conformance.ts';

describeOwnershipStore('memory', async () => {
  const world = createMemoryWorld(systemClock);
  return {
    leases: createMemoryLeaseStore(world),
    clock: world.clock,
    ownership: () => createMemoryOwnershipStore(world),
    async lead() {
      return world.putLeader({ holder: 'somebody', since: '' }, 3_600_000);
    },
    async leadNobody() {
      world.deleteLeader();
    },
    revision: async () => Number(world.revision),
    close: async () => {},
  };
});
