import { createMemoryLeaseStore } from '../../../lease/memory/lease-store.ts';
import { createMemoryWorld } from '../../../lease/memory/world.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { describeLeaseStore } from '../../integration/lease/conformance.ts';

describeLeaseStore('memory', async () => {
  const world = createMemoryWorld(systemClock);
  const stores: ReturnType<typeof createMemoryLeaseStore>[] = [];
  return {
    store() {
      const store = createMemoryLeaseStore(world);
      stores.push(store);
      return store;
    },
    setNetConf: async (text) => world.setNetConf(text),
    async putLease(of, value, ttlSeconds) {
      world.putLease(of, value, ttlSeconds);
    },
    async deleteLease(of) {
      world.deleteLease(of);
    },
    revision: async () => Number(world.revision),
    close: async () => void (await Promise.all(stores.map((store) => store.close()))),
  };
});
