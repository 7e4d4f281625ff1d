/** The programs that run on this machine, as /proc shows them. */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface RunningProcess {
  readonly pid: number;
  /** As given at its start; the first is the program. */
  readonly argv: readonly string[];
  /** Path of its executable file, links followed; undefined where that can't be seen. */
  readonly file: string | undefined;
  /** It has this process's network (namespace); also true where that can't be seen. */
  readonly sameNetwork: boolean;
}

/** Every process with a command line; the kernel's own have none. Those that end meanwhile, or hide, are left out. */
export async function listProcesses(): Promise<readonly RunningProcess[]> {
  const link = (path: string): Promise<string | undefined> => readlink(`/proc/${path}`).catch(() => undefined);
  const own = await link('self/ns/net');
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    names.map(async (name): Promise<readonly RunningProcess[]> => {
      const text = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
      const argv = text.split('\0').filter((part) => part !== '');
      if (argv.length === 0) return [];
      const [its, file] = await Promise.all([link(`${name}/ns/net`), link(`${name}/exe`)]);
      return [
        {
          ...{ pid: Number(name), argv, sameNetwork: its === undefined || its === own },
          // An upgrade removes the file that a process runs from.
          file: file?.replace(/ \(deleted\)$/, ''),
        },
      ];
    }),
  );
  return found.flat();
}
