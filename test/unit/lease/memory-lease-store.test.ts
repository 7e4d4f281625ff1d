import { createMemoryStores } from '../../../lease/memory/stores.ts';
import { createMemoryWorld } from '../../../lease/memory/world.ts';
import type { Stores } from '../../../lease/stores.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { describeAdministration } from '../../integration/lease/administration-conformance.ts';
import { describeLeaseStore, type LeaseWorld } from '../../integration/lease/conformance.ts';

async function makeWorld(): Promise<LeaseWorld> {
  const world = createMemoryWorld(systemClock);
  const opened: Stores[] = [];
  const stores = (): Stores => {
    const each = createMemoryStores(world);
    opened.push(each);
    return each;
  };
  return {
    stores,
    store: () => stores().leases,
    setNetConf: async (text) => world.setNetConf(text),
    async putLease(of, value, ttlSeconds) {
      world.putLease(of, value, ttlSeconds);
    },
    async deleteLease(of) {
      world.deleteLease(of);
    },
    revision: async () => Number(world.revision),
    close: async () => void (await Promise.all(opened.map((each) => each.close()))),
  };
}

describeLeaseStore('memory', makeWorld);
describeAdministration('memory', makeWorld);
