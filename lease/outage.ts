/** Says once that the store is away, then rarely, and once that it is back. */
import type { Clock } from '../src/core/clock.ts';
import { errorMessage, FlannelVpcError } from '../src/core/errors.ts';
import type { Logger } from '../src/core/log.ts';

export interface OutageReport {
  failed(error: unknown): void;
  recovered(): void;
}

/** Pause between two lines about one outage. */
const repeatMs = 5 * 60_000;

export function createOutageReport(options: {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly what: string;
}): OutageReport {
  const { logger, clock, what } = options;
  let since: number | undefined;
  let saidAt = 0;
  return {
    failed(error) {
      const now = clock.monotonic();
      since ??= now;
      if (since !== now && now - saidAt < repeatMs) return;
      saidAt = now;
      const hint = error instanceof FlannelVpcError && error.hint !== undefined ? { hint: error.hint } : {};
      const seconds = Math.round((now - since) / 1_000);
      logger.warn(`${what} interrupted; trying on`, { error: errorMessage(error), ...hint, forSeconds: seconds });
    },
    recovered() {
      if (since === undefined) return;
      logger.info(`${what} goes on`, { afterSeconds: Math.round((clock.monotonic() - since) / 1_000) });
      since = undefined;
    },
  };
}
