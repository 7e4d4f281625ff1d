/** The agent's usage and docs/flags.md, made from the flag table, and how any command shows its flags. */
import { agentFlags } from './agent-flags.ts';
import { environmentName, type Flag } from './flag.ts';
import { wrap } from './wrap.ts';

/** What `flannel-vpc agent --help` prints. */
export function agentUsage(): string {
  return [
    'Usage: flannel-vpc agent [flags]',
    '',
    ...flagLines(agentFlags),
    '',
    'Each flag can also be given as FLANNELD_ and its name in capitals; the command line wins.',
    '',
  ].join('\n');
}

/** Two lines for each flag. */
export function flagLines(flags: readonly Flag[]): readonly string[] {
  return flags.flatMap((flag) => [
    `  ${flag.short === undefined ? '' : `-${flag.short}, `}--${flag.name}${flag.kind === 'boolean' ? '' : ` ${valueName(flag)}`}`,
    ...wrap(`${flag.help}${shownDefault(flag)}`, 88).map((line) => `    \t${line}`),
  ]);
}

/** docs/flags.md. */
export function flagsDocument(): string {
  const row = (flag: Flag): string => {
    const note = flag.unused === undefined ? '' : ` Accepted without effect: ${flag.unused}.`;
    const variable = flag.commandLineOnly ? '' : `\`${environmentName(flag)}\``;
    return `| \`--${flag.name}\` | ${variable} | ${flag.byDefault === '' ? '' : `\`${flag.byDefault}\``} | ${flag.help}.${note} |`;
  };
  const table = (flags: readonly Flag[]): readonly string[] => [
    '| flag | environment | default | does |',
    '|---|---|---|---|',
    ...flags.map(row),
  ];
  return [
    '# Flags of `flannel-vpc agent`',
    '',
    '<!-- Made from src/cli/agent-flags.ts by tools/docs.ts; change it there. -->',
    '',
    'One or two dashes, `--flag=value` or `--flag value`; booleans are `--flag` or `--flag=false`. A flag on the command line wins over its',
    'environment variable; an empty variable counts as not set. An unknown flag or an unreadable value ends the program with exit code 2, a value',
    'out of range with 1. A variable that cannot be read is logged and left out, as flannel does; and as in flannel flags end at the first',
    'argument that is none (`--ip-masq true` is `--ip-masq`, and nothing after it is read), which the log says.',
    '',
    "## flanneld's flags",
    '',
    ...table(agentFlags.filter((flag) => !flag.ours)),
    '',
    '## Flags that flanneld does not have',
    '',
    ...table(agentFlags.filter((flag) => flag.ours)),
    '',
  ].join('\n');
}

/** What stands for the value in usage. */
export function valueName(flag: Flag): string {
  if (flag.choices) return flag.choices.join('|');
  return { 'comma-list': 'LIST', list: 'VALUE', secret: 'TEXT', text: 'TEXT', integer: 'NUMBER', duration: 'DURATION' }[
    flag.kind as 'text'
  ];
}

function shownDefault(flag: Flag): string {
  return flag.byDefault === '' ? '' : ` (default ${flag.byDefault})`;
}
