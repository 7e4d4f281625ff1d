/**
 * A root file system for a rendered machine's own scripts: its files, this machine's programs, and a `systemctl` that writes down what it is
 * asked, since no systemd runs in the rig.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Machine } from './user-data.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));

export interface MachineRoot extends AsyncDisposable {
  readonly folder: string;
  /** The command line that runs `argv` with this folder as its root; the project is where it always is. */
  command(argv: readonly string[]): readonly string[];
  /** A file's content; undefined where there is none. */
  read(path: string): Promise<string | undefined>;
  write(path: string, content: string, mode?: string): Promise<void>;
  /** What systemctl was asked, in order. */
  asked(): Promise<readonly string[]>;
}

/** Writes the machine's files. */
export async function createMachineRoot({ files }: Pick<Machine, 'files'>): Promise<MachineRoot> {
  const folder = await mkdtemp(join(tmpdir(), 'machine-'));
  const root: MachineRoot = {
    folder,
    command(argv) {
      // /usr/local is the machine's own: all else of /usr is this machine's.
      const script = `
        root=$1; shift
        for path in usr bin sbin lib lib64 proc dev sys ${quoted(project.slice(1))} ${quoted(process.execPath.slice(1))}; do
          [ -e "/$path" ] || continue
          if [ -d "/$path" ]; then mkdir -p "$root/$path"; else mkdir -p "$(dirname "$root/$path")"; touch "$root/$path"; fi
          mount --rbind "/$path" "$root/$path"
        done
        mount --bind "$root/local" "$root/usr/local"
        exec chroot "$root" "$@"`;
      return ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', script, 'sh', folder, ...argv];
    },
    async read(path) {
      return await readFile(join(folder, own(path)), 'utf8').catch(() => undefined);
    },
    async write(path, content, mode = '0644') {
      const file = join(folder, own(path));
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
      await chmod(file, Number.parseInt(mode, 8));
    },
    async asked() {
      return ((await root.read('/asked')) ?? '').split('\n').filter((line) => line !== '');
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true });
    },
  };
  await mkdir(join(folder, 'tmp'));
  for (const [path, { content, mode }] of files) await root.write(path, content, mode);
  await root.write('/usr/local/bin/systemctl', '#!/bin/sh\necho "$*" >> /asked\n', '0755');
  return root;
}

/** /usr/local lies beside, to be mounted over this machine's. */
function own(path: string): string {
  return path.replace(/^\/usr\/local\//, '/local/');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
