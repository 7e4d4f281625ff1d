/** An operator's command line: which verb, its operands, its flags. */
import type { CommandName } from '../cli/command.ts';
import { describeCommand, type Verb } from '../cli/command-table.ts';
import type { Flag } from '../cli/flag.ts';
import { type FlagReader, readFlags } from '../cli/flag-reader.ts';
import { storeFlags } from '../cli/operator-flags.ts';
import { parseFlags } from '../cli/parse-flags.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';

export type Arguments =
  | {
      readonly kind: 'run';
      readonly verb: Verb;
      readonly operands: readonly string[];
      readonly get: FlagReader;
      readonly environmentProblems: readonly string[];
    }
  /** Undefined: all verbs of the command. */
  | { readonly kind: 'help'; readonly verb: string | undefined };

/**
 * Reads what follows the command's name. Flags may stand before, between and after the operands; `--` ends them.
 *
 * @throws USAGE and CONFIG_INVALID, see `parseFlags`; USAGE for a verb that there is not, and a wrong number of operands.
 */
export function parseArguments(
  name: CommandName,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Arguments {
  const { verbs } = describeCommand(name);
  const { flagArguments, operands } = separate(
    argv,
    verbs.flatMap(({ flags }) => flags),
  );
  const [word] = operands;
  if (flagArguments.some((argument) => /^--?(help|h)$/.test(argument))) return { kind: 'help', verb: word };
  const named = verbs.find((verb) => verb.name !== '' && verb.name === word);
  const verb = named ?? verbs.find((each) => each.name === '' || (each.byDefault && word === undefined));
  if (!verb) throw unknownVerb(name, verbs, word);
  const rest = named ? operands.slice(1) : operands;
  checkOperands(name, verb, rest);
  const parsed = parseFlags({ flags: verb.flags, argv: flagArguments, environment });
  const { environmentProblems } = parsed;
  return { kind: 'run', verb, operands: rest, get: readFlags(parsed), environmentProblems };
}

function unknownVerb(name: CommandName, verbs: readonly Verb[], word: string | undefined): FlannelVpcError {
  const names = verbs.map((verb) => verb.name);
  const all = names.length > 1 ? `one of ${names.join(', ')}` : names.join();
  if (word === undefined) return usage(`${name}: give ${all}`);
  const meant = nearest(word, names);
  const hint = meant === undefined ? `; give ${all}` : `; did you mean ${meant}?`;
  return usage(`${name}: unknown verb ${shown(word)}${hint}`);
}

function checkOperands(name: CommandName, verb: Verb, operands: readonly string[]): void {
  const wanted = verb.operands === '' ? [] : verb.operands.split(' ');
  const called = verb.name === '' ? name : `${name} ${verb.name}`;
  const missing = wanted[operands.length];
  if (missing !== undefined) throw usage(`${called}: ${missing} is missing`);
  const extra = operands[wanted.length];
  if (extra !== undefined) throw usage(`${called}: ${shown(extra)} is one argument too many`);
}

/** `parseFlags` knows no operands: Go's syntax ends at the first one, and people write `leases release SUBNET --yes`. */
function separate(
  argv: readonly string[],
  flags: readonly Flag[],
): { readonly flagArguments: readonly string[]; readonly operands: readonly string[] } {
  const takesValue = new Set(
    [...flags, ...storeFlags]
      .filter(({ kind }) => kind !== 'boolean')
      .flatMap(({ name, short }) => (short === undefined ? [name] : [name, short])),
  );
  const flagArguments: string[] = [];
  const operands: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? '';
    if (argument === '--') return { flagArguments, operands: [...operands, ...argv.slice(at + 1)] };
    // A lone dash is standard input.
    if (!argument.startsWith('-') || argument === '-') {
      operands.push(argument);
      continue;
    }
    flagArguments.push(argument);
    const value = argv[at + 1];
    if (takesValue.has(argument.replace(/^--?/, '')) && value !== undefined) {
      flagArguments.push(value);
      at += 1;
    }
  }
  return { flagArguments, operands };
}

function shown(word: string): string {
  return JSON.stringify(word.slice(0, 64));
}

function usage(message: string): FlannelVpcError {
  return new FlannelVpcError('USAGE', message);
}
