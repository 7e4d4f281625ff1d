/** A clock that a test turns by hand. */
import type { Clock } from '../../src/core/clock.ts';

interface Sleeper {
  readonly wakeAt: number;
  readonly wake: () => void;
}

export interface TestClock extends Clock {
  /** Lets time pass: sleepers wake in order, and what they set off happens before the next one wakes. */
  advance(ms: number): Promise<void>;
  /** How long the sleepers of now still have, shortest first. */
  pauses(): readonly number[];
  /** Lets everything that is ready to happen happen, without time passing. */
  settle(): Promise<void>;
}

export function createTestClock(startMs = Date.UTC(2026, 0, 1)): TestClock {
  let elapsed = 0;
  const sleepers = new Set<Sleeper>();

  async function settle(): Promise<void> {
    // Promise chains of some length, and what they start by timers of zero length.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const sleeper: Sleeper = {
          wakeAt: elapsed + Math.max(0, ms),
          wake() {
            sleepers.delete(sleeper);
            signal.removeEventListener('abort', abort);
            resolve();
          },
        };
        const abort = (): void => {
          sleepers.delete(sleeper);
          reject(signal.reason);
        };
        signal.addEventListener('abort', abort, { once: true });
        sleepers.add(sleeper);
      });
    },
    async advance(ms) {
      const until = elapsed + ms;
      await settle();
      for (;;) {
        const [next] = [...sleepers].sort((a, b) => a.wakeAt - b.wakeAt);
        if (!next || next.wakeAt > until) break;
        elapsed = Math.max(elapsed, next.wakeAt);
        next.wake();
        await settle();
      }
      elapsed = until;
      await settle();
    },
    pauses: () => [...sleepers].map(({ wakeAt }) => wakeAt - elapsed).sort((a, b) => a - b),
    settle,
  };
}
