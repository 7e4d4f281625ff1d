/** How many answers go out: a token bucket, so that nobody can keep this process busy by asking. */
import type { Clock } from '../core/clock.ts';

/** Gives a question: may one more go out now? */
export function createRate(clock: Clock, perSecond: number, burst: number): () => boolean {
  let tokens = burst;
  let at = clock.monotonic();
  return () => {
    const now = clock.monotonic();
    tokens = Math.min(burst, tokens + ((now - at) / 1_000) * perSecond);
    at = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}
