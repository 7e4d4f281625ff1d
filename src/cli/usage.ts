/** Usage texts and docs/flags.md, made from the flag table. */
import { agentFlags } from './agent-flags.ts';
import { environmentName, type Flag } from './flag.ts';

export const commands: readonly { readonly name: string; readonly does: string }[] = [
  { name: 'agent', does: "run this node's daemon; takes flanneld's flags" },
  {
    name: 'netconf check FILE',
    does: 'check a net-conf.json and list everything wrong with it; "-" reads standard input',
  },
  { name: 'version', does: 'print the version' },
  { name: 'help [agent]', does: 'print this, or the agent’s flags' },
  { name: 'completion bash|zsh', does: 'print a completion script for a shell' },
];

/** What `flannel-vpc help` prints. */
export function generalUsage(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    'flannel-vpc turns flannel leases into VPC route-table entries.',
    '',
    'Usage: flannel-vpc COMMAND',
    '',
    ...commands.map(({ name, does }) => `  ${name.padEnd(width)}  ${does}`),
    '',
    'Called as flanneld, or with a flag as its first argument, it is "flannel-vpc agent".',
    '',
  ].join('\n');
}

/** What `flannel-vpc agent --help` prints. */
export function agentUsage(): string {
  const lines = agentFlags.flatMap((flag) => [
    `  --${flag.name}${flag.kind === 'boolean' ? '' : ` ${valueName(flag)}`}`,
    `    \t${flag.help}${shownDefault(flag)}`,
  ]);
  return [
    'Usage: flannel-vpc agent [flags]',
    '',
    ...lines,
    '',
    'Each flag can also be given as FLANNELD_ and its name in capitals; the command line wins.',
    '',
  ].join('\n');
}

/** docs/flags.md. */
export function flagsDocument(): string {
  const row = (flag: Flag): string => {
    const note = flag.unused === undefined ? '' : ` Accepted without effect: ${flag.unused}.`;
    return `| \`--${flag.name}\` | \`${environmentName(flag)}\` | ${flag.byDefault === '' ? '' : `\`${flag.byDefault}\``} | ${flag.help}.${note} |`;
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
    'out of range with 1. A variable that cannot be read is logged and left out, as flannel does.',
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

function valueName(flag: Flag): string {
  if (flag.choices) return flag.choices.join('|');
  return { 'comma-list': 'LIST', list: 'VALUE', secret: 'TEXT', text: 'TEXT', integer: 'NUMBER', duration: 'DURATION' }[
    flag.kind as 'text'
  ];
}

function shownDefault(flag: Flag): string {
  return flag.byDefault === '' ? '' : ` (default ${flag.byDefault})`;
}
