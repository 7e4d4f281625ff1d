/** Completion scripts: the command names, and the agent's flags. */
import { FlannelVpcError } from '../core/errors.ts';
import { agentFlags } from './agent-flags.ts';
import { commandNames } from './command.ts';

/** The script for a shell. @throws USAGE for a shell that has none. */
export function completionScript(shell: string | undefined): string {
  const words = { commands: commandNames.join(' '), flags: agentFlags.map((flag) => `--${flag.name}`).join(' ') };
  if (shell === 'bash') return bash(words);
  if (shell === 'zsh') return `autoload -Uz bashcompinit && bashcompinit\n${bash(words)}`;
  throw new FlannelVpcError('USAGE', `completion: ${JSON.stringify(shell ?? '')} has no script; give bash or zsh`);
}

function bash({ commands, flags }: { readonly commands: string; readonly flags: string }): string {
  return `_flannel_vpc() {
  local word="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
    agent) COMPREPLY=($(compgen -W "${flags}" -- "$word")) ;;
    netconf) if [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W "check" -- "$word")); else COMPREPLY=($(compgen -f -- "$word")); fi ;;
    completion) COMPREPLY=($(compgen -W "bash zsh" -- "$word")) ;;
    help) COMPREPLY=($(compgen -W "agent" -- "$word")) ;;
  esac
}
complete -F _flannel_vpc flannel-vpc
`;
}
