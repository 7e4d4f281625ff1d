/** Trying again until it works, and saying meanwhile what is waited for. */
import type { Clock } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { createRepeatGate } from '../repeats.ts';

export interface UntilItWorksOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** The log's line for a failure. */
  readonly failing: string;
  /** The log's line once it works after a failure; none when absent. */
  readonly recovered?: string;
  /** Told why it takes long, for /readyz. */
  readonly onWaiting: (reason: string) => void;
  /** Milliseconds before the next try; `attempt` counts from 0. */
  readonly pauseMs: (error: unknown, attempt: number) => number;
  /** True for what waiting can't mend: that is thrown. */
  readonly isFinal?: (error: unknown) => boolean;
  /** Runs after each pause and may end the tries by throwing. */
  readonly beforeRetry?: (signal: AbortSignal) => Promise<void>;
}

/** The effect's result, however many tries it takes. */
export async function untilItWorks<T>(
  options: UntilItWorksOptions,
  effect: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const gate = createRepeatGate(options);
  for (let attempt = 0; ; attempt++) {
    try {
      const result = await effect();
      if (options.recovered !== undefined) gate.recovered(options.recovered);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      if (options.isFinal?.(error)) throw error;
      gate.failed('error', options.failing, error);
      options.onWaiting(errorMessage(error));
      await options.clock.sleep(options.pauseMs(error, attempt), signal);
      await options.beforeRetry?.(signal);
    }
  }
}
