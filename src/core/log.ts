/** What the rooms of this program log through. A fixed message plus fields; the sink is chosen in `src/logging.ts`. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  /** Somebody should look soon, but the program goes on doing its job. */
  warn(message: string, fields?: LogFields): void;
  /** The program can't do its job until this is mended. */
  error(message: string, fields?: LogFields): void;
}

/** Values must print as JSON; secrets never go in. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A logger that drops everything, for callers that report by their result. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
