/** Which of the programs on this machine is an agent: ours, or flannel's own. Pure. */
import type { RunningProcess } from '../host/processes.ts';

/** This program's agents are told by the bundle's name: they run under node. */
export function isOurAgent({ argv }: Pick<RunningProcess, 'argv'>): boolean {
  const at = argv.findIndex((word) => /\/dist\/main\.mjs$/.test(word));
  if (at < 0) return false;
  const [command = ''] = argv.slice(at + 1);
  return command === 'agent' || command.startsWith('-') || command === '';
}

/** flannel's own daemon. */
export function isFlannel(process: Pick<RunningProcess, 'argv'>): boolean {
  return programOf(process) === 'flanneld';
}

/** The program's name without its folder. */
export function programOf({ argv }: Pick<RunningProcess, 'argv'>): string {
  return (argv[0] ?? '').split('/').at(-1) ?? '';
}
