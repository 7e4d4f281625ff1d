/** Time and chance are passed in, so that tests decide them. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Wall clock, milliseconds since 1970. Jumps when the machine's clock is set: for records, never for waiting. */
  now(): number;
  /** Monotonic milliseconds from an arbitrary start: for deadlines. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds; rejects with an AbortError as soon as the signal fires. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    await delay(ms, undefined, { signal });
  },
};

/** A uniform random number in [0, 1). */
export type Random = () => number;

/** `ms` moved by up to `share` of itself either way, so that many nodes started together spread out. */
export function jitter(ms: number, share: number, random: Random): number {
  return Math.max(0, ms * (1 + share * (2 * random() - 1)));
}

/** Jittered exponential back-off: `baseMs` doubling per attempt (from 0) up to `maxMs`, then spread over its upper half. */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: Random): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return ceiling / 2 + (ceiling / 2) * random();
}
