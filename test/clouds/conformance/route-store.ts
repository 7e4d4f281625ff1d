/** A store made of memory for the routes of a few leases. */
import { createMemoryLeaseStore } from '../../../lease/memory/lease-store.ts';
import { createMemoryOwnershipStore } from '../../../lease/memory/ownership-store.ts';
import { createMemoryWorld, type MemoryWorld } from '../../../lease/memory/world.ts';
import type { OwnershipStore } from '../../../lease/ownership-store.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { Cidr } from '../../../src/core/ip.ts';
import type { DesiredRoute } from '../../../src/routing/desired.ts';
import { ip } from '../../support/addresses.ts';
import type { CloudInstance } from '../cloud-world.ts';
import type { Lab } from './lab.ts';

export interface RouteStore {
  readonly world: MemoryWorld;
  readonly ownership: OwnershipStore;
  readonly leases: ReturnType<typeof createMemoryLeaseStore>;
  putLease(destination: Cidr, holder: CloudInstance): void;
  /** As if the time had passed for which a process that began a removal keeps others away. */
  endRemovals(): void;
}

export function createRouteStore(): RouteStore {
  const world = createMemoryWorld(systemClock);
  return {
    world,
    ownership: createMemoryOwnershipStore(world),
    leases: createMemoryLeaseStore(world),
    endRemovals() {
      for (const [key, record] of world.records()) {
        if (record.removingUntil === undefined) continue;
        world.putRecord(key, { ...record, removingUntil: new Date(Date.now() - 1_000).toISOString() });
      }
    },
    putLease(destination, { id, address }) {
      const attributes = {
        ...{ publicIps: { 4: ip(address) }, backendType: '', backendData: {} },
        node: { instanceId: id },
      };
      world.putLease({ [destination.family]: destination }, attributes, 86_400);
    },
  };
}

/** The route of a lease, as the core asks for it once the cloud has confirmed its holder. */
export async function wanted(lab: Lab, destination: Cidr, instance: CloudInstance): Promise<DesiredRoute> {
  return { destination, nextHop: await lab.hop(instance), holder: instance.id };
}
