/** What the kernel counts about a process, from /proc (proc(5)). */
import { readdir, readFile } from 'node:fs/promises';

/** Ticks a second of `/proc/PID/stat`; Linux shows user space 100 everywhere. */
const ticksPerSecond = 100;

/** CPU seconds of a process, its descendants that live, and those it has waited for. */
export async function cpuSeconds(pid: number): Promise<number> {
  const parents = await readParents();
  const tree = [pid];
  for (const each of tree) tree.push(...(parents.get(each) ?? []));
  const ticks = await Promise.all(
    tree.map(async (each) => {
      const fields = await readStat(each);
      // utime, stime, cutime, cstime: fields 14 to 17, of which the first two are not in `fields`.
      return fields ? [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) : 0;
    }),
  );
  return ticks.reduce((sum, each) => sum + each, 0) / ticksPerSecond;
}

export interface Memory {
  readonly residentMiB: number;
  readonly privateDirtyMiB: number;
  readonly proportionalMiB: number;
}

/** Memory of one process. */
export async function memoryOf(pid: number): Promise<Memory> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1]) / 1024;
  return { residentMiB: kib('Rss'), privateDirtyMiB: kib('Private_Dirty'), proportionalMiB: kib('Pss') };
}

/** The process that does the work, where `pid` is a wrapper that waits for its one child. */
export async function innermost(pid: number): Promise<number> {
  const [child] = (await readParents()).get(pid) ?? [];
  const name = await readFile(`/proc/${pid}/comm`, 'utf8');
  return child !== undefined && /^(?:unshare|nsenter|sh|bash)\s*$/.test(name) ? await innermost(child) : pid;
}

async function readParents(): Promise<ReadonlyMap<number, readonly number[]>> {
  const children = new Map<number, number[]>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number((await readStat(Number(name)))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  return children;
}

/** Fields after the program's name, which may hold blanks: state is the first, the parent the second. */
async function readStat(pid: number): Promise<readonly string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}
