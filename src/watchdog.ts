/**
 * systemd's watchdog (sd_watchdog_enabled(3)): the manager kills and restarts a service that says nothing for WatchdogSec. Something is
 * said only while all loops come round.
 */
import type { Clock } from './core/clock.ts';
import type { Logger } from './core/log.ts';

/** A loop says that it has come round, and that it will again within so many milliseconds. */
export type Alive = (loop: string, withinMs: number) => void;

export interface Loops {
  readonly alive: Alive;
  /** Names of those that are late, in order. */
  overdue(): readonly string[];
}

/**
 * The longest that one round of a loop may take beyond its pause, milliseconds: each call to a program or a server has a deadline of at most
 * half a minute, a round has less than ten of them, and one that is only slow must not be killed.
 */
export const longestRoundMs = 5 * 60_000;

/** Loops by the name that they give. */
export function createLoops(clock: Clock): Loops {
  const due = new Map<string, number>();
  return {
    alive(loop, withinMs) {
      due.set(loop, clock.monotonic() + withinMs);
    },
    overdue() {
      const now = clock.monotonic();
      return [...due].filter(([, at]) => at < now).map(([loop]) => loop);
    },
  };
}

export interface WatchdogOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** This process's: the variables may have been inherited from another service. */
  readonly pid: number;
  readonly loops: Pick<Loops, 'overdue'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells the manager; never fails. */
  readonly notify: (state: string) => Promise<void>;
}

/** Tells the manager three times in its interval that all is well, until the signal fires; returns at once where there is no watchdog. */
export async function keepWatchdog(options: WatchdogOptions, signal: AbortSignal): Promise<void> {
  const { env, pid, loops, clock, logger, notify } = options;
  const intervalMs = Number(env['WATCHDOG_USEC']) / 1_000;
  if (!(intervalMs > 0) || !env['NOTIFY_SOCKET']) return;
  if (env['WATCHDOG_PID'] && Number(env['WATCHDOG_PID']) !== pid) return;
  let told = '';
  for (;;) {
    const late = loops.overdue().join(', ');
    if (late === '') await notify('WATCHDOG=1');
    else if (late !== told) {
      const hint =
        'This is a bug. The service manager restarts this program; routes, rules and links stay as they are.';
      logger.error('a part of this program hangs; the watchdog is not told that all is well', { parts: late, hint });
    }
    told = late;
    await clock.sleep(intervalMs / 3, signal);
  }
}
