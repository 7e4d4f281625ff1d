/** Which command was meant. */
import { isFlanneldName } from '../agent-processes.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';

export const commandNames = [
  ...(['agent', 'controller', 'plan', 'apply', 'status', 'leases', 'routes', 'netconf', 'doctor'] as const),
  ...(['cleanup', 'docker-opts'] as const),
  ...(['version', 'help', 'completion'] as const),
] as const;
export type CommandName = (typeof commandNames)[number];

export interface Command {
  readonly name: CommandName;
  /** What follows the command's name. */
  readonly argv: readonly string[];
}

/** How the program was started, besides its arguments. */
export interface CalledBy {
  /** Last part of the path: existing units and DaemonSets start `flanneld` with flags alone. */
  readonly name: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The command for these arguments. With none, flanneld's own environment says that its successor is meant: all its settings
 * can come from there.
 *
 * @throws USAGE for no command, or an unknown one.
 */
export function resolveCommand(argv: readonly string[], by: CalledBy): Command {
  if (isFlanneldName(by.name)) return { name: 'agent', argv };
  // Docker's unit files call flannel's script by its path.
  if (by.name === 'mk-docker-opts.sh') return { name: 'docker-opts', argv };
  const [first, ...rest] = argv;
  if (first === undefined) {
    if (Object.entries(by.env).some(([name, value]) => name.startsWith('FLANNELD_') && value))
      return { name: 'agent', argv };
    throw new FlannelVpcError('USAGE', 'no command given');
  }
  if (argv.length === 1 && /^--?(help|h)$/.test(first)) return { name: 'help', argv: [] };
  if (first.startsWith('-')) return { name: 'agent', argv };
  const name = commandNames.find((command) => command === first);
  if (name) return { name, argv: rest };
  const meant = nearest(first, commandNames);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  throw new FlannelVpcError('USAGE', `unknown command ${JSON.stringify(first.slice(0, 64))}${hint}`);
}
