/** Waits that end early when something happens: changes that come together are taken together. */
import type { Clock } from '../core/clock.ts';

export class Waker {
  readonly #clock: Clock;
  #woken = Promise.withResolvers<void>();
  #pending = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the wait that is under way, or the next one. */
  wake(): void {
    this.#pending = true;
    this.#woken.resolve();
  }

  /** Waits for a wake-up, at most `ms` milliseconds; then `gatherMs` more for what comes with it. True when woken. */
  async wait(ms: number, gatherMs: number, signal: AbortSignal): Promise<boolean> {
    const done = new AbortController();
    const time = this.#clock.sleep(ms, AbortSignal.any([signal, done.signal]));
    try {
      await Promise.race([this.#woken.promise, time]);
    } finally {
      done.abort();
      time.catch(() => {});
    }
    signal.throwIfAborted();
    const woken = this.#pending;
    if (woken) await this.#clock.sleep(gatherMs, signal);
    this.#pending = false;
    this.#woken = Promise.withResolvers<void>();
    return woken;
  }
}
