/** What is news: the first word about a thing, and another only after a while. */
import type { Clock } from './clock.ts';

export interface News {
  /** True when nothing was said of it for long; it then counts as said. */
  isNews(thing: string): boolean;
  /** Everything is news again. */
  forget(): void;
}

/** `everyMs`: least time between two words about one thing, milliseconds. */
export function createNews(clock: Pick<Clock, 'monotonic'>, everyMs: number): News {
  const said = new Map<string, number>();
  return {
    isNews(thing) {
      const now = clock.monotonic();
      for (const [earlier, at] of said) if (now - at >= everyMs) said.delete(earlier);
      if (said.has(thing)) return false;
      said.set(thing, now);
      return true;
    },
    forget: () => said.clear(),
  };
}
