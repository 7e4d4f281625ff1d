/** Which files a program writes, wherever it has a mind to: it runs on a copy of this machine's file system that keeps what is written apart. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

export interface WrittenFiles {
  /** To be put in front of a program, as `test/fabric/agent.ts` says; `command` is what starts the program within, such as `setpriv …`. */
  prelude(command?: string): string;
  /** Files that were made, changed or deleted so far, by their usual paths; not below /run, /proc, /sys and /dev, which are the real ones. */
  list(): Promise<readonly string[]>;
  remove(): Promise<void>;
}

/** Makes an empty place for what is written. `folders` are there already, as an operator would have made them. */
export async function watchWrittenFiles(folders: readonly string[] = []): Promise<WrittenFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'written-'));
  const at = (...parts: readonly string[]): string => join(folder, ...parts);
  for (const name of ['whole', 'whole-work', 'project', 'project-work', 'root']) await mkdir(at(name));
  const overlay = (lower: string, upper: string, place: string): string =>
    `mount -t overlay overlay -o "lowerdir=${lower},upperdir=${at(upper)},workdir=${at(`${upper}-work`)}" "${place}"`;
  return {
    prelude(command = '') {
      const mounts = [
        overlay('/', 'whole', at('root')),
        `for path in /run /proc /sys /dev; do mount --rbind "$path" "${at('root')}$path"; done`,
        ...folders.map((path) => `mkdir -p "${at('root')}${path}"`),
        // It may be on a file system of its own.
        `mkdir -p "${at('root')}${root}"`,
        overlay(root, 'project', `${at('root')}${root}`),
        `exec chroot "${at('root')}" ${command} "$@"`,
      ];
      return `exec unshare --mount --propagation private -- sh -ec '${mounts.join('\n')}' sh "$@"`;
    },
    async list() {
      const files = async (upper: string, below: string): Promise<readonly string[]> =>
        (await readdir(at(upper), { recursive: true, withFileTypes: true }))
          // A character device stands for what was deleted.
          .filter((entry) => !entry.isDirectory())
          .map((entry) => `${below}${join(entry.parentPath, entry.name).slice(at(upper).length)}`);
      return [...(await files('whole', '')), ...(await files('project', root))].sort();
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
