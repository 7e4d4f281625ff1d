/** Deadlines by a clock that was passed in. */
import type { Clock } from './clock.ts';

/**
 * Runs the effect with a signal that fires when `signal` does, or after `ms` milliseconds with the error given. An effect that
 * ignores its signal is not cut off.
 */
export async function withDeadline<T>(
  options: { readonly clock: Clock; readonly ms: number; readonly signal: AbortSignal; readonly error: () => Error },
  effect: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, ms, signal, error } = options;
  const done = new AbortController();
  const overdue = new AbortController();
  clock.sleep(ms, done.signal).then(
    () => overdue.abort(error()),
    () => {},
  );
  try {
    return await effect(AbortSignal.any([signal, overdue.signal]));
  } finally {
    done.abort();
  }
}
