/** Says once that the store is away, then rarely, again when there is another thing to do about it, and once that it is back. */
import type { Clock } from '../src/core/clock.ts';
import { errorMessage, FlannelVpcError } from '../src/core/errors.ts';
import type { Logger } from '../src/core/log.ts';
import { createNews } from '../src/core/news.ts';

/** Told why the store is away, each time that it is found so, and undefined once it is back. */
export type OnOutage = (error: unknown) => void;

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
  readonly onOutage?: OnOutage | undefined;
}): OutageReport {
  const { logger, clock, what, onOutage } = options;
  let since: number | undefined;
  /** By what there is to do: the store that was away may now refuse us. */
  const news = createNews(clock, repeatMs);
  let firstTodo: string | undefined;
  return {
    failed(error) {
      const now = clock.monotonic();
      onOutage?.(error);
      since ??= now;
      const hint = error instanceof FlannelVpcError && error.hint !== undefined ? { hint: error.hint } : {};
      // Without a hint (no answer in time) it is more of the same.
      const todo = hint.hint ?? firstTodo ?? '';
      firstTodo ??= todo;
      if (!news.isNews(todo)) return;
      const seconds = Math.round((now - since) / 1_000);
      logger.warn(`${what} interrupted; trying on`, { error: errorMessage(error), ...hint, forSeconds: seconds });
    },
    recovered() {
      if (since === undefined) return;
      logger.info(`${what} goes on`, { afterSeconds: Math.round((clock.monotonic() - since) / 1_000) });
      since = undefined;
      firstTodo = undefined;
      news.forget();
      onOutage?.(undefined);
    },
  };
}
