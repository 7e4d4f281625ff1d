/** The operator's commands: finds the verb, runs it, and gives its exit code. */
import type { CommandName } from '../cli/command.ts';
import { commandUsage } from '../cli/command-usage.ts';
import { isAbortError } from '../core/errors.ts';
import { parseArguments } from './arguments.ts';
import { createConsole } from './console.ts';
import { releaseLease, reserveLease } from './leases.ts';
import { checkNetConfCommand, getNetConf, setNetConf } from './netconf.ts';
import { type Session, withSession, withStores } from './session.ts';

/** By command and verb. */
const handlers: Readonly<Record<string, (session: Session) => Promise<number>>> = {
  'leases release': withStores(releaseLease),
  'leases reserve': withStores(reserveLease),
  'netconf check': checkNetConfCommand,
  'netconf get': withStores(getNetConf),
  'netconf set': withStores(setNetConf),
};

/** Runs `flannel-vpc NAME ARGV` and gives its exit code. @throws USAGE and whatever the command throws. */
export async function operatorCommand(
  name: CommandName,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const parsed = parseArguments(name, argv, environment);
  const console = createConsole(environment);
  if (parsed.kind === 'help') {
    console.print(commandUsage(name, parsed.verb).trimEnd());
    return 0;
  }
  const handler = handlers[`${name} ${parsed.verb.name}`.trim()];
  if (!handler) throw new Error(`${name} ${parsed.verb.name} has no handler`);
  for (const problem of parsed.environmentProblems) console.say(`flannel-vpc: ${problem}`);
  try {
    return await withSession({ get: parsed.get, operands: parsed.operands, console, environment }, handler);
  } catch (error) {
    if (!isAbortError(error)) throw error;
    console.say('flannel-vpc: interrupted');
    return 1;
  }
}
