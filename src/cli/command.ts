/** Which command was meant. */
import { FlannelVpcError } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';

export const commandNames = ['agent', 'netconf', 'version', 'help', 'completion'] as const;
export type CommandName = (typeof commandNames)[number];

export interface Command {
  readonly name: CommandName;
  /** What follows the command's name. */
  readonly argv: readonly string[];
}

/**
 * The command for these arguments. `calledAs` is the last part of the path the program was started by: existing units and
 * DaemonSets start `flanneld` with flags alone.
 *
 * @throws USAGE for no command, or an unknown one.
 */
export function resolveCommand(argv: readonly string[], calledAs: string): Command {
  if (calledAs === 'flanneld') return { name: 'agent', argv };
  const [first, ...rest] = argv;
  if (first === undefined) throw new FlannelVpcError('USAGE', 'no command given');
  if (argv.length === 1 && /^--?(help|h)$/.test(first)) return { name: 'help', argv: [] };
  if (first.startsWith('-')) return { name: 'agent', argv };
  const name = commandNames.find((command) => command === first);
  if (name) return { name, argv: rest };
  const meant = nearest(first, commandNames);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  throw new FlannelVpcError('USAGE', `unknown command ${JSON.stringify(first.slice(0, 64))}${hint}`);
}
