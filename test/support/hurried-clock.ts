/** A clock that runs faster than the machine's, so that a test of a deadline of seconds takes a fraction of one. */
import { type Clock, systemClock } from '../../src/core/clock.ts';

/** Monotonic time and sleeps go `times` as fast; the wall clock is the machine's. */
export function hurriedClock(times: number): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() * times,
    sleep: (ms, signal) => systemClock.sleep(ms / times, signal),
  };
}
