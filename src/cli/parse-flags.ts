/**
 * Go's flag syntax, which flannel's users type: one or two dashes, `--x=y` or `--x y`, booleans only `--x` or `--x=false`.
 * No command line library reads it.
 */
import { FlannelVpcError } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import { durationText, environmentName, type Flag, type FlagValue, parseFlagValue } from './flag.ts';

export interface ParsedFlags {
  /** Value of every flag, defaults included. */
  readonly values: ReadonlyMap<string, FlagValue>;
  /** Names of flags that were given, on the command line or in the environment. */
  readonly given: ReadonlySet<string>;
  /** Environment variables whose value can't be read, in words: left out, as flannel does. */
  readonly environmentProblems: readonly string[];
  /** What stands from the first argument on that is no flag; empty unless `asGo`. */
  readonly ignored: readonly string[];
  /** `-h` or `--help` was asked for, and nothing after it was read; only with `asGo`. */
  readonly help: boolean;
}

export interface ParseFlagsInput {
  readonly flags: readonly Flag[];
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /**
   * As Go's parser, which knows `--help`, and ends at the first argument that is no flag, or at `--`; flannel asks for no more, and so
   * runs on with `--ip-masq true`. Otherwise such an argument is refused.
   */
  readonly asGo?: boolean;
}

/**
 * Reads the command line, then the environment for what it left open, then defaults.
 *
 * @throws USAGE for an unknown flag, a missing or unreadable value, or an argument that is no flag.
 * @throws CONFIG_INVALID for a value outside the flag's range.
 */
export function parseFlags(input: ParseFlagsInput): ParsedFlags {
  const values = new Map<string, FlagValue>();
  const { ignored, help } = readCommandLine(input, values);
  const environmentProblems: string[] = [];
  const fromEnvironment = new Set<Flag>();
  for (const flag of input.flags) {
    if (flag.commandLineOnly) continue;
    const variable = environmentName(flag);
    const text = input.environment[variable];
    if (values.has(flag.name) || text === undefined || text === '') continue;
    const parsed = parseFlagValue(flag, text);
    if ('value' in parsed) {
      values.set(flag.name, parsed.value);
      fromEnvironment.add(flag);
    } else environmentProblems.push(`${variable} is not used: ${shown(flag, text)} is not ${parsed.wrong}`);
  }
  const given = new Set(values.keys());
  for (const flag of input.flags) {
    const value = values.get(flag.name);
    if (value !== undefined) checkRange(flag, value, fromEnvironment.has(flag) ? environmentName(flag) : undefined);
    else values.set(flag.name, defaultOf(flag));
  }
  return { values, given, environmentProblems, ignored, help };
}

function readCommandLine(
  { flags, argv, asGo = false }: ParseFlagsInput,
  values: Map<string, FlagValue>,
): Pick<ParsedFlags, 'ignored' | 'help'> {
  const byName = new Map(flags.flatMap((flag) => [flag.name, flag.short ?? flag.name].map((name) => [name, flag])));
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? '';
    if (asGo && (argument === '--' || !/^-./s.test(argument))) {
      return { ignored: argv.slice(argument === '--' ? at + 1 : at), help: false };
    }
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argument);
    if (!match) throw usage(`${JSON.stringify(argument)} is no flag; flags look like --name=value`);
    const [, given = '', inline] = match;
    const flag = byName.get(given);
    if (asGo && !flag && /^(help|h)$/.test(given)) return { ignored: [], help: true };
    if (!flag) throw unknownFlag(given, flags);
    const { name } = flag;
    let text = inline;
    if (text === undefined && flag.kind === 'boolean') text = 'true';
    if (text === undefined) text = argv[++at];
    if (text === undefined) throw usage(`flag needs an argument: --${name}`);
    const parsed = parseFlagValue(flag, text);
    if ('wrong' in parsed)
      throw usage(`invalid value ${shown(flag, text)} for flag --${name}: allowed is ${parsed.wrong}`);
    const before = values.get(name);
    const { value } = parsed;
    values.set(
      name,
      flag.kind === 'list' && Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value,
    );
  }
  return { ignored: [], help: false };
}

function defaultOf(flag: Flag): FlagValue {
  if (flag.kind === 'list') return [];
  const parsed = parseFlagValue(flag, flag.byDefault);
  if ('value' in parsed) return parsed.value;
  throw new FlannelVpcError('INTERNAL', `the default of --${flag.name} is not ${parsed.wrong}`);
}

/** `variable` is where the value comes from, if not from the command line. */
function checkRange(flag: Flag, value: FlagValue, variable: string | undefined): void {
  if (!flag.range || typeof value !== 'number') return;
  const [low, high] = flag.range;
  if (value >= low && value <= high) return;
  // As it is typed, so that the range can be copied.
  const typed = flag.kind === 'duration' ? durationText : String;
  const text = flag.rangeText ?? `--${flag.name} is out of range`;
  throw new FlannelVpcError(
    'CONFIG_INVALID',
    `${text}: ${typed(value)}${variable === undefined ? '' : ` in ${variable}`}`,
    {
      hint: `Give --${flag.name} a value from ${typed(low)} to ${typed(high)}.`,
    },
  );
}

function unknownFlag(name: string, flags: readonly Flag[]): FlannelVpcError {
  const meant = nearest(
    name,
    flags.map((flag) => flag.name),
  );
  return usage(
    `flag provided but not defined: -${name.slice(0, 64)}${meant === undefined ? '' : `; did you mean --${meant}?`}`,
  );
}

function usage(message: string): FlannelVpcError {
  return new FlannelVpcError('USAGE', message);
}

/** A value for a message: never a secret's. */
function shown(flag: Flag, text: string): string {
  return flag.kind === 'secret' ? '(not shown)' : JSON.stringify(text.slice(0, 64));
}
