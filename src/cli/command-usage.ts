/** Usage texts of all commands and docs/commands.md, made from the command table. */
import { FlannelVpcError } from '../core/errors.ts';
import { nearest } from '../core/suggest.ts';
import { type CommandName, commandNames } from './command.ts';
import { commandTable, describeCommand, type Exit, type Verb } from './command-table.ts';
import type { Flag } from './flag.ts';
import { storeFlags } from './operator-flags.ts';
import { agentUsage, flagLines, valueName } from './usage.ts';
import { wrap } from './wrap.ts';

/** What `flannel-vpc help`, `help COMMAND` and `help COMMAND VERB` print. @throws USAGE for a command that there is not. */
export function helpText(argv: readonly string[]): string {
  const [word, verb] = argv;
  if (word === undefined) return generalUsage();
  const name = commandNames.find((each) => each === word);
  if (name) return commandUsage(name, verb);
  const meant = nearest(word, commandNames);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  throw new FlannelVpcError('USAGE', `help: unknown command ${JSON.stringify(word.slice(0, 64))}${hint}`);
}

/** What `flannel-vpc help` prints. */
export function generalUsage(): string {
  const rows = commandTable.flatMap(({ name, verbs }) =>
    verbs.map((verb) => ({ name: synopsis(name, verb), does: verb.does })),
  );
  const width = Math.max(...rows.map(({ name }) => name.length));
  return [
    'flannel-vpc turns flannel leases into VPC route-table entries.',
    '',
    'Usage: flannel-vpc COMMAND',
    '',
    ...rows.map(({ name, does }) => `  ${name.padEnd(width)}  ${does}`),
    '',
    '"flannel-vpc help COMMAND" says more of one.',
    'Called as flanneld, or with a flag as its first argument, it is "flannel-vpc agent".',
    '',
  ].join('\n');
}

/** What `flannel-vpc COMMAND [VERB] --help` prints; without a verb, or with one that there is not, all of them. */
export function commandUsage(name: CommandName, verbName?: string): string {
  if (name === 'agent') return agentUsage();
  const { verbs } = describeCommand(name);
  const chosen = verbs.filter((verb) => verb.name === verbName);
  return (chosen.length > 0 ? chosen : verbs).map((verb) => verbUsage(name, verb)).join('\n');
}

function verbUsage(name: CommandName, verb: Verb): string {
  return [
    `Usage: flannel-vpc ${synopsis(name, verb)}${verb.flags.length > 0 ? ' [flags]' : ''}`,
    '',
    `${verb.does.charAt(0).toUpperCase()}${verb.does.slice(1)}.`,
    ...verb.details.flatMap((paragraph) => ['', ...wrap(paragraph, 96)]),
    ...(verb.flags.length > 0 ? ['', ...flagLines(verb.flags)] : []),
    ...(verb.exits.length > 0 ? ['', 'Exit code:', ...verb.exits.flatMap(exitLines)] : []),
    '',
  ].join('\n');
}

function exitLines({ code, means }: Exit): readonly string[] {
  return wrap(means, 90).map((line, at) => `  ${at === 0 ? code : ' '}  ${line}`);
}

/** `leases release SUBNET`, `leases [list]`. */
function synopsis(name: CommandName, { name: verb, byDefault, operands }: Verb): string {
  return [name, byDefault ? `[${verb}]` : verb, operands].filter((word) => word !== '').join(' ');
}

/** docs/commands.md. */
export function commandsDocument(): string {
  const sections = commandTable.flatMap(({ name, verbs }) => verbs.flatMap((verb) => verbSection(name, verb)));
  return [
    '# Commands of `flannel-vpc`',
    '',
    '<!-- Made from src/cli/command-table.ts by tools/docs.ts; change it there. -->',
    '',
    'Flags may stand before, between and after the operands. How to reach the store is said as the agent is told, by `--etcd-…` or `FLANNELD_ETCD_…`, or by',
    '`--kube-subnet-mgr`, `--kubeconfig-file`, `--kube-api-url`, `--kube-annotation-prefix` and `--net-config-path` ([flags.md](flags.md)). No other flag is',
    'read from the environment but the controller’s, and those of the agent that `doctor` and `cleanup` take as well. What is asked for goes to standard output,',
    'everything else to standard error. Colours are used on a terminal where `NO_COLOR` is not set.',
    '',
    ...sections,
  ].join('\n');
}

function verbSection(name: CommandName, verb: Verb): readonly string[] {
  const flags = name === 'agent' ? [] : verb.flags;
  const own = flags.filter((flag) => !storeFlags.includes(flag));
  return [
    `## \`${synopsis(name, verb)}\``,
    '',
    `${verb.does.charAt(0).toUpperCase()}${verb.does.slice(1)}.`,
    ...verb.details.flatMap((paragraph) => ['', paragraph]),
    ...(own.length > 0 ? ['', '| flag | default | does |', '|---|---|---|', ...own.map(flagRow)] : []),
    ...(verb.exits.length > 0
      ? ['', '| exit code | means |', '|---|---|', ...verb.exits.map(({ code, means }) => `| ${code} | ${means} |`)]
      : []),
    '',
  ];
}

function flagRow(flag: Flag): string {
  const value = flag.kind === 'boolean' ? '' : ` ${valueName(flag).replaceAll('|', '\\|')}`;
  const names = [...(flag.short === undefined ? [] : [`-${flag.short}`]), `--${flag.name}${value}`];
  return `| ${names.map((each) => `\`${each}\``).join(', ')} | ${flag.byDefault === '' ? '' : `\`${flag.byDefault}\``} | ${flag.help} |`;
}
