/** Which of the programs on this machine is an agent: ours, or flannel's own. Pure. */
import { execPath } from 'node:process';
import type { RunningProcess } from '../host/processes.ts';

type Started = Pick<RunningProcess, 'argv' | 'file'>;

/**
 * This program's agents. The bundle runs under node and is told by its own name. The single file is told by that of the executable,
 * whatever it was called as; where it was copied to a path of another name, only who runs from that path as well (`self`) knows it.
 */
export function isOurAgent(process: Started, self: string = execPath): boolean {
  const at = process.argv.findIndex((word) => /\/dist\/main\.mjs$/.test(word));
  if (at < 0 && !isSingleFile(process, self)) return false;
  const [command = ''] = process.argv.slice(Math.max(at, 0) + 1);
  return command === 'agent' || command.startsWith('-') || command === '';
}

function isSingleFile(process: Started, self: string): boolean {
  const file = process.file ?? process.argv[0] ?? '';
  return nameOf(file).startsWith('flannel-vpc') || (isFlanneldName(programOf(process)) && file === self);
}

/** flannel's own daemon. */
export function isFlannel(process: Started, self: string = execPath): boolean {
  return isFlanneldName(programOf(process)) && !isSingleFile(process, self);
}

/** What flannel's daemon is called; its releases have it as `flanneld-amd64` and the like, too. */
export function isFlanneldName(name: string): boolean {
  return /^flanneld(-[a-z0-9]+)?$/.test(name);
}

/** The program's name without its folder. */
export function programOf({ argv }: Pick<RunningProcess, 'argv'>): string {
  return nameOf(argv[0] ?? '');
}

function nameOf(path: string): string {
  return path.split('/').at(-1) ?? '';
}
