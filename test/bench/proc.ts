/** What the kernel knows of a process: CPU time and memory, read from /proc. */
import { readdir, readFile } from 'node:fs/promises';

/** Linux reports CPU time in hundredths of a second to programs, whatever its own tick. */
const ticksPerSecond = 100;

export interface CpuSeconds {
  /** User and system time of the process itself. */
  readonly own: number;
  /** Of its children that have ended and were waited for. */
  readonly children: number;
}

/** CPU time so far; zero for a process that is gone. */
export async function cpuOf(pid: number): Promise<CpuSeconds> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return { own: 0, children: 0 };
  // The second field, the program's name in parentheses, may hold spaces. utime is field 14, counted from 1.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const seconds = (field: number): number => (fields[field - 3] ?? 0) / ticksPerSecond;
  return { own: seconds(14) + seconds(15), children: seconds(16) + seconds(17) };
}

export function total({ own, children }: CpuSeconds): number {
  return own + children;
}

/**
 * CPU seconds of a process and all that it started, ended or still running. Who looks at its own children alone misses what a child
 * that runs on (the shell that repeats a check) has waited for.
 */
export async function cpuOfTree(pid: number): Promise<number> {
  const children = new Map<number, number[]>();
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const text = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
    const parent = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  let sum = 0;
  for (const queue = [pid]; queue.length > 0; ) {
    const next = queue.pop() ?? 0;
    sum += total(await cpuOf(next));
    queue.push(...(children.get(next) ?? []));
  }
  return sum;
}

/** Megabytes (2^20). */
export interface Memory {
  readonly rss: number;
  /** Each shared page counted by the share of those who map it. */
  readonly pss: number;
  readonly privateDirty: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const megabytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024;
  return { rss: megabytes('Rss'), pss: megabytes('Pss'), privateDirty: megabytes('Private_Dirty') };
}

/** Most resident memory so far, megabytes. */
export async function peakMemory(pid: number): Promise<number> {
  return Number(/^VmHWM:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** The number given last to a process or thread of this process namespace. They are given one after the other. */
export async function lastPid(): Promise<number> {
  return Number((await readFile('/proc/loadavg', 'utf8')).trim().split(' ').at(-1));
}

/** Average number of runnable processes of the machine in the last minute. */
export async function load(): Promise<number> {
  return Number((await readFile('/proc/loadavg', 'utf8')).split(' ')[0]);
}

/** Memory that programs can still have, megabytes. */
export async function availableMemory(): Promise<number> {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]) / 1024;
}
