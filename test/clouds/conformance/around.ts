/** A provider with some of its methods taken over: for what listens in, and for what is wrong on purpose. */
import type { CloudProvider } from '../../../providers/provider.ts';

/** The others are the provider's own. A provider may be a class, whose methods a spread would lose. */
export function around(provider: CloudProvider, taken: Partial<CloudProvider>): CloudProvider {
  return new Proxy(provider, {
    get(target, name) {
      if (name in taken) return taken[name as keyof CloudProvider];
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
