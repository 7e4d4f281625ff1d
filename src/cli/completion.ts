/** Completion scripts, made from the command table: commands, their verbs, their flags, and the values of flags that have few. */
import { FlannelVpcError } from '../core/errors.ts';
import { commandNames } from './command.ts';
import { type CommandDescription, commandTable } from './command-table.ts';
import type { Flag } from './flag.ts';

/** The script for a shell. @throws USAGE for a shell that has none. */
export function completionScript(shell: string | undefined): string {
  if (shell === 'bash') return bash();
  if (shell === 'zsh') return `autoload -Uz bashcompinit && bashcompinit\n${bash()}`;
  throw new FlannelVpcError('USAGE', `completion: ${JSON.stringify(shell ?? '')} has no script; give bash or zsh`);
}

function bash(): string {
  return `_flannel_vpc() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commandNames.join(' ')}" -- "$word"))
    return
  fi
  case "$before" in
${choices()}
  esac
  local words=""
  case "\${COMP_WORDS[1]}" in
${commandTable.map(commandCase).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _flannel_vpc flannel-vpc
`;
}

function commandCase({ name, verbs }: CommandDescription): string {
  if (name === 'help') return `    help) [ "$COMP_CWORD" -ne 2 ] || words="${commandNames.join(' ')}" ;;`;
  const named = verbs.filter((verb) => verb.name !== '');
  const alone = verbs.filter((verb) => verb.name === '' || verb.byDefault).flatMap(({ flags }) => flags);
  const ofVerbs = named.map(
    (verb) =>
      `        ${verb.name}) ${verb.operands === 'FILE' ? files(verb.flags) : `words="${names(verb.flags)}"`} ;;`,
  );
  return [
    `    ${name})`,
    ...(named.length > 0
      ? [`      case "\${COMP_WORDS[2]}" in`, ...ofVerbs, `        *) words="${names(alone)}" ;;`, '      esac']
      : []),
    ...(named.length > 0
      ? [`      [ "$COMP_CWORD" -ne 2 ] || words="${named.map((verb) => verb.name).join(' ')} ${names(alone)}" ;;`]
      : [`      words="${names(alone)}" ;;`]),
  ].join('\n');
}

function files(flags: readonly Flag[]): string {
  return `case "$word" in -*) words="${names(flags)}" ;; *) COMPREPLY=($(compgen -f -- "$word")); return ;; esac`;
}

function names(flags: readonly Flag[]): string {
  return flags.map((flag) => `--${flag.name}`).join(' ');
}

/** One case for each flag with few values: the same name has the same values in every command. */
function choices(): string {
  const byName = new Map(
    commandTable.flatMap(({ verbs }) => verbs.flatMap(({ flags }) => flags.map((flag) => [flag.name, flag] as const))),
  );
  return [...byName.values()]
    .filter((flag) => flag.choices !== undefined)
    .map((flag) => {
      const spelt = [`--${flag.name}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])].join('|');
      return `    ${spelt}) COMPREPLY=($(compgen -W "${flag.choices?.join(' ')}" -- "$word")); return ;;`;
    })
    .join('\n');
}
