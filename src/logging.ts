/** The log sink: pino, as JSON lines for machines or one readable line per event on a terminal. */
import pino from 'pino';
import type { LogFields, Logger } from './core/log.ts';
import { plainJson, plainText } from './core/plain-text.ts';

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
    { write: (line: string) => options.write(human ? humanLine(line) : plainJson(line)) },
  );
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      sink[level](shortened(fields), message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Characters of one value: an answer that is quoted whole fills no log. */
const longestValue = 8_000;

function shortened(fields: LogFields): LogFields {
  const isLong = (value: unknown): value is string => typeof value === 'string' && value.length > longestValue;
  if (!Object.values(fields).some(isLong)) return fields;
  const short = (value: unknown): unknown => (isLong(value) ? `${value.slice(0, longestValue)}…` : value);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, short(value)]));
}

const humanLevels: Readonly<Record<string, string>> = { debug: 'debug', info: '     ', warn: 'WARN ', error: 'ERROR' };

/** One line. What fields and messages quote of others makes no terminal do anything. */
function humanLine(json: string): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const rest = Object.entries(fields)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? quoteIfNeeded(value) : JSON.stringify(value)}`)
    .join('');
  const line = `${String(time).slice(11, 23)} ${humanLevels[String(level)] ?? level} ${msg}${rest}`;
  return `${plainText(line, longestLine)}\n`;
}

/** Characters of a line for people: a bug's stack is long, and what others wrote may be much longer. */
const longestLine = 20_000;

function quoteIfNeeded(text: string): string {
  return /[\s"=]/.test(text) || text === '' ? JSON.stringify(text) : text;
}
