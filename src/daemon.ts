/** What a program that runs until a signal does around its work: a log, an orderly end by SIGTERM or SIGINT, one line for what ended it. */
import { systemClock } from './core/clock.ts';
import { isAbortError } from './core/errors.ts';
import type { Logger } from './core/log.ts';
import { endBySignal } from './end-by-signal.ts';
import { createLogger, type LoggingOptions } from './logging.ts';
import { errorFields } from './repeats.ts';
import { version } from './version.ts';

export interface DaemonOptions {
  /** Such as `agent`. */
  readonly name: string;
  readonly log: Pick<LoggingOptions, 'format' | 'level'>;
  /** Environment values that can't be read. */
  readonly environmentProblems: readonly string[];
  readonly warnings: readonly { readonly text: string; readonly hint?: string }[];
  /** Said at a signal: what is left as it is. */
  readonly ending: string;
}

/** Runs the work and gives the exit code: 0 when a signal ended it, or it ended well; 1 when it threw. */
export async function runDaemon(
  { name, log, environmentProblems, warnings, ending: text }: DaemonOptions,
  work: (logger: Logger, signal: AbortSignal) => Promise<void>,
): Promise<number> {
  // Who reads the log may end before this program: without a listener the first line after that would end it too.
  process.stderr.on('error', () => {});
  const logger = createLogger({
    ...log,
    write: (line) => void process.stderr.write(line),
    isTerminal: process.stderr.isTTY ?? false,
  });
  const ending = endBySignal({
    process,
    clock: systemClock,
    logger,
    onFirst: (signal) => logger.info(text, { signal }),
  });
  logger.info(`flannel-vpc ${name}`, { version });
  for (const problem of environmentProblems) logger.error(problem);
  for (const { text: warning, ...fields } of warnings) logger.warn(warning, fields);
  try {
    await work(logger, ending.signal);
  } catch (error) {
    if (isAbortError(error) && ending.signal.aborted) return 0;
    const { error: message, ...fields } = errorFields(error);
    logger.error(String(message), fields);
    return 1;
  } finally {
    ending.ended();
  }
  return 0;
}

/** Longest time spent on closing connections at the end, milliseconds: nothing depends on it. */
const closeMs = 1_000;

/** Closes at the end of the work, and waits no longer than a moment. */
export async function closeSoon(closing: Promise<void> | undefined): Promise<void> {
  await Promise.race([closing, systemClock.sleep(closeMs, new AbortController().signal)]);
}
