/** A logger that remembers what it was told. */
import type { LogFields, Logger } from '../../../src/core/log.ts';

export interface RecordedLine {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

export function recordingLogger(): Logger & { readonly lines: readonly RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const note =
    (level: keyof Logger) =>
    (message: string, fields?: LogFields): void => {
      lines.push({ level, message, fields });
    };
  return { lines, debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
}
