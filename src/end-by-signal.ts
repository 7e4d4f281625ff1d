/** Being told to end, by SIGTERM or SIGINT: the first time is heeded, any further time changes nothing, and the end comes in time. */
import type { Clock } from './core/clock.ts';
import type { Logger } from './core/log.ts';

type EndSignal = 'SIGTERM' | 'SIGINT';

/** What of `process` this takes. */
export interface SignalledProcess {
  on(name: EndSignal, listener: () => void): unknown;
  off(name: EndSignal, listener: () => void): unknown;
  exit(code: number): void;
}

export interface EndBySignalOptions {
  readonly process: SignalledProcess;
  readonly clock: Clock;
  /** Told, as an error, when the end did not come within `endingMs`, right before this process exits with 1. */
  readonly logger: Pick<Logger, 'error'>;
  /** Called at the first signal. */
  readonly onFirst?: (name: EndSignal) => void;
}

export interface EndBySignal {
  /** Fires, with an AbortError, when this process is told to end. */
  readonly signal: AbortSignal;
  /** It has ended by itself: nothing is waited for any more. */
  ended(): void;
}

/**
 * Longest time from the signal to the end, milliseconds. What is done in it takes some 5 s at most: a lead is given up, a command of
 * net-conf is ended. Service managers kill after 10 s or more (deploy/).
 */
export const endingMs = 8_000;

/**
 * Without listeners of its own the second signal would end the process on the spot: whoever tells a group of processes to end, or is
 * impatient, would leave a lead taken for its whole term, and a command of net-conf running.
 */
export function endBySignal({ process, clock, logger, onFirst }: EndBySignalOptions): EndBySignal {
  const ending = new AbortController();
  const done = new AbortController();
  const names = ['SIGTERM', 'SIGINT'] as const;
  const listeners = names.map((name) => [name, () => end(name)] as const);

  function end(name: EndSignal): void {
    if (ending.signal.aborted) return;
    onFirst?.(name);
    clock.sleep(endingMs, done.signal).then(
      () => {
        logger.error('ended without waiting any longer', { afterSeconds: endingMs / 1_000 });
        process.exit(1);
      },
      () => {},
    );
    ending.abort(new DOMException(`${name} received`, 'AbortError'));
  }

  for (const [name, listener] of listeners) process.on(name, listener);
  return {
    signal: ending.signal,
    ended() {
      done.abort();
      for (const [name, listener] of listeners) process.off(name, listener);
    },
  };
}
