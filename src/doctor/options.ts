/** The command line of `doctor`: the agent's, so that its own flags and environment fit, and how to show the findings. */
import { type AgentOptions, parseAgentOptions } from '../cli/agent-options.ts';
import { type FlagReader, readFlags } from '../cli/flag-reader.ts';
import { outputFlag } from '../cli/operator-flags.ts';
import { parseFlags } from '../cli/parse-flags.ts';

export type DoctorCommand =
  | { readonly kind: 'help' }
  /** `get` reads `output`. */
  | { readonly kind: 'run'; readonly options: AgentOptions; readonly get: FlagReader };

/** @throws USAGE (exit code 2) or CONFIG_INVALID (exit code 1), see `parseFlags`. */
export function parseDoctorOptions(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): DoctorCommand {
  const output: string[] = [];
  const agent: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? '';
    const [, inline] = /^--?(?:o|output)($|=)/.exec(argument) ?? [];
    (inline === undefined ? agent : output).push(argument);
    const value = argv[at + 1];
    if (inline !== '' || value === undefined) continue;
    output.push(value);
    at += 1;
  }
  const command = parseAgentOptions({ argv: agent, environment });
  if (command.kind !== 'run') return { kind: 'help' };
  return {
    kind: 'run',
    options: command.options,
    get: readFlags(parseFlags({ flags: [outputFlag], argv: output, environment })),
  };
}
