/** Saying the same thing once, then rarely: for loops that fail the same way for hours. */
import type { Clock } from './core/clock.ts';
import { errorMessage, isFlannelVpcError } from './core/errors.ts';
import type { LogFields, Logger } from './core/log.ts';
import { createNews } from './core/news.ts';

export interface RepeatGate {
  /** Logs the failure unless the same text was logged less than the interval ago. */
  failed(level: 'warn' | 'error', message: string, error: unknown, fields?: LogFields): void;
  /** Logs that it works again, if a failure was logged since the last success. */
  recovered(message: string, fields?: LogFields): void;
}

/** Default pause between two lines that say the same. */
export const repeatIntervalMs = 5 * 60_000;

export function createRepeatGate(options: {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly intervalMs?: number;
}): RepeatGate {
  // Failures that take turns, with each other or with success, are news only once in a while.
  const news = createNews(options.clock, options.intervalMs ?? repeatIntervalMs);
  let failing = false;
  return {
    failed(level, message, error, fields = {}) {
      const text = `${message}: ${errorMessage(error)}`;
      if (!news.isNews(text)) return;
      failing = true;
      options.logger[level](message, { ...errorFields(error), ...fields });
    },
    recovered(message, fields) {
      if (!failing) return;
      failing = false;
      options.logger.info(message, fields);
    },
  };
}

/** An error as log fields: what went wrong, its code, what to do, and its safe details. */
export function errorFields(error: unknown): LogFields {
  if (!isFlannelVpcError(error)) {
    // What the system refuses (a full disk, a folder that is a file) says all in its message; the rest is a bug of ours.
    const stack = error instanceof Error && !('syscall' in error) ? { stack: error.stack } : {};
    return { error: errorMessage(error), ...stack };
  }
  return {
    error: error.message,
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...error.details,
  };
}
