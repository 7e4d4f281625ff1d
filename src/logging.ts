/** The log sink: pino, as JSON lines for machines or one readable line per event on a terminal. */
import pino from 'pino';
import type { LogFields, Logger } from './core/log.ts';

export type LogFormat = 'auto' | 'human' | 'json';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LoggingOptions {
  /** `auto`: human on a terminal, JSON lines elsewhere. */
  readonly format: LogFormat;
  readonly level: LogLevel;
  /** Where lines go; stderr, as flannel does. */
  readonly write: (line: string) => void;
  readonly isTerminal: boolean;
}

/** Makes the process's one logger. Lines are written at once, so that none is lost when the process is killed. */
export function createLogger(options: LoggingOptions): Logger {
  const human = options.format === 'human' || (options.format === 'auto' && options.isTerminal);
  const sink = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: human ? (line: string) => options.write(humanLine(line)) : options.write },
  );
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      sink[level](fields, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

const humanLevels: Readonly<Record<string, string>> = { debug: 'debug', info: '     ', warn: 'WARN ', error: 'ERROR' };

function humanLine(json: string): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const rest = Object.entries(fields)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? quoteIfNeeded(value) : JSON.stringify(value)}`)
    .join('');
  return `${String(time).slice(11, 23)} ${humanLevels[String(level)] ?? level} ${msg}${rest}\n`;
}

function quoteIfNeeded(text: string): string {
  return /[\s"=]/.test(text) || text === '' ? JSON.stringify(text) : text;
}
