/** The operator's commands: finds the verb, runs it, and gives its exit code. */
import type { CommandName } from '../cli/command.ts';
import { commandUsage } from '../cli/command-usage.ts';
import { FlannelVpcError, isAbortError, isFlannelVpcError } from '../core/errors.ts';
import { applyCommand } from './apply.ts';
import { type Arguments, parseArguments } from './arguments.ts';
import { createConsole } from './console.ts';
import { releaseLease, reserveLease } from './leases.ts';
import { listLeases, listRoutes, showStatus } from './listings.ts';
import { checkNetConfCommand, getNetConf, setNetConf } from './netconf.ts';
import { planCommand } from './plan.ts';
import { purgeRoutes } from './purge.ts';
import { type Session, withSession, withStores } from './session.ts';

/** By command and verb. */
const handlers: Readonly<Record<string, (session: Session) => Promise<number>>> = {
  plan: withStores(planCommand),
  apply: withStores(applyCommand),
  status: withStores(showStatus),
  'leases list': withStores(listLeases),
  'routes list': withStores(listRoutes),
  'routes purge': withStores(purgeRoutes),
  'leases release': withStores(releaseLease),
  'leases reserve': withStores(reserveLease),
  'netconf check': checkNetConfCommand,
  'netconf get': withStores(getNetConf),
  'netconf set': withStores(setNetConf),
};

/** Those that change something: cut short while it was being done, nobody here knows whether it was. */
const changing: ReadonlySet<string> = new Set([
  ...['apply', 'routes purge', 'leases release', 'leases reserve', 'netconf set'],
]);

/** Runs `flannel-vpc NAME ARGV` and gives its exit code. @throws USAGE and whatever the command throws. */
export async function operatorCommand(
  name: CommandName,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const parsed = parse(name, argv, environment);
  const console = createConsole(environment);
  if (parsed.kind === 'help') {
    console.print(commandUsage(name, parsed.verb).trimEnd());
    return 0;
  }
  const full = `${name} ${parsed.verb.name}`.trim();
  const handler = handlers[full];
  if (!handler) throw new Error(`${full} has no handler`);
  for (const problem of parsed.environmentProblems) console.say(`flannel-vpc: ${problem}`);
  try {
    return await withSession({ get: parsed.get, operands: parsed.operands, console, environment }, handler);
  } catch (error) {
    if (!isAbortError(error)) throw error;
    console.say(`flannel-vpc: interrupted${changing.has(full) ? '; what it was just doing may be done' : ''}`);
    return 1;
  }
}

/** To who reads the exit code of `plan`, 2 means that changes are pending; there misuse is a failure like others. */
function parse(...input: Parameters<typeof parseArguments>): Arguments {
  try {
    return parseArguments(...input);
  } catch (error) {
    if (input[0] !== 'plan' || !isFlannelVpcError(error, 'USAGE')) throw error;
    throw new FlannelVpcError('CONFIG_INVALID', error.message, { hint: 'See "flannel-vpc help plan".', cause: error });
  }
}
