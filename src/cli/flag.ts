/** What a flag is: the one description that parsing, the environment, usage, completion and docs/flags.md are made from. */

/** How a flag's text is read. */
export type FlagKind =
  | 'text'
  /** Repeatable on the command line; one value from the environment. */
  | 'list'
  /** One value with commas. */
  | 'comma-list'
  | 'secret'
  | 'boolean'
  | 'integer'
  /** Go's form, such as `90s` or `1h30m`; kept in milliseconds. */
  | 'duration'
  /** One of `choices`. */
  | 'choice';

export interface Flag {
  readonly name: string;
  /** One letter that may stand for the name. */
  readonly short?: string;
  readonly kind: FlagKind;
  /** As typed, before parsing. */
  readonly byDefault: string;
  readonly help: string;
  readonly choices?: readonly string[];
  /** Smallest and largest value of an integer or a duration (milliseconds). A value outside is refused with exit code 1. */
  readonly range?: readonly [number, number];
  /** flannel's own text for a value outside the range. */
  readonly rangeText?: string;
  /** flannel's flag that means nothing here (yet): accepted, and said so where it was set. */
  readonly unused?: string;
  /** True for flags that flannel does not have. */
  readonly ours?: boolean;
  /** True where the environment must not set it: a `--yes` that stands in a unit's environment would answer every question. */
  readonly commandLineOnly?: boolean;
}

/** A flag's parsed value. */
export type FlagValue = string | readonly string[] | boolean | number;

export type ParsedValue = { readonly value: FlagValue } | { readonly wrong: string };

/** Reads a flag's text; `wrong` says what is allowed. */
export function parseFlagValue(flag: Flag, text: string): ParsedValue {
  switch (flag.kind) {
    case 'text':
    case 'secret':
      return { value: text };
    case 'list':
      return { value: [text] };
    case 'comma-list':
      return { value: text.split(',') };
    case 'boolean':
      return parseBoolean(text);
    case 'integer': {
      const value = parseInteger(text);
      return value === undefined ? { wrong: 'a whole number' } : { value };
    }
    case 'duration': {
      const ms = parseDuration(text);
      return ms === undefined ? { wrong: 'a duration such as 90s, 5m or 1h30m' } : { value: ms };
    }
    case 'choice':
      return flag.choices?.includes(text) ? { value: text } : { wrong: `one of ${flag.choices?.join(', ')}` };
  }
}

/** Go's `strconv.ParseBool`. */
function parseBoolean(text: string): ParsedValue {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return { value: true };
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return { value: false };
  return { wrong: 'true or false' };
}

const goInteger = /^[+-]?(?:0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/;

/** Go's `strconv.ParseInt` with base 0, as its flags read whole numbers: `8081`, `0x1f91`, `0o17` and `017`, `0b11`, `8_081`. */
function parseInteger(text: string): number | undefined {
  if (!goInteger.test(text)) return undefined;
  const digits = text.replace(/^[+-]/, '').replaceAll('_', '');
  const value = Number(/^0\d/.test(digits) ? `0o${digits}` : digits);
  // Beyond that they are no longer told apart.
  if (!Number.isSafeInteger(value)) return undefined;
  return text.startsWith('-') && value !== 0 ? -value : value;
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a Go duration, or undefined. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return text === '0' ? 0 : undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  return total;
}

/** Milliseconds as a Go duration that `parseDuration` reads back: in the largest unit that divides them. */
export function durationText(ms: number): string {
  const [unit, size] = Object.entries(unitMs).findLast(([, each]) => ms % each === 0) ?? ['ms', 1];
  return ms === 0 ? '0s' : `${ms / size}${unit}`;
}

/** The environment variable that sets the flag where the command line doesn't, as flannel names it. */
export function environmentName(flag: Pick<Flag, 'name'>): string {
  return `FLANNELD_${flag.name.toUpperCase().replaceAll('-', '_')}`;
}
