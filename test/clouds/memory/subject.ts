/** A cloud made of memory for the conformance suite. */
import type { Subject } from '../conformance/subject.ts';
import { createMemoryCloudWorld, type MemoryCloudWorld } from './cloud-world.ts';
import type { MemoryVariant } from './variants.ts';

export function createMemorySubject(variant: MemoryVariant): Subject & { readonly world: MemoryCloudWorld } {
  const world = createMemoryCloudWorld(variant);
  return {
    ...{ world, tag: world.tag, ignoresExpected: !variant.compares },
    provider: async (as) => world.provider(as),
  };
}
