/** The conformance suite on clouds made of memory: those that are like the real ones, and those that can do less. */
import { describeProvider } from '../../clouds/conformance/describe-provider.ts';
import { createMemorySubject } from '../../clouds/memory/subject.ts';
import { memoryVariants } from '../../clouds/memory/variants.ts';

for (const [name, variant] of Object.entries(memoryVariants)) {
  describeProvider(`a memory cloud ${name}`, async () => createMemorySubject(variant));
}
