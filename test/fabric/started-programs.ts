/** Which programs a program starts, with which arguments and variables: all that the PATH has are replaced by one that notes it down. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface StartedProgram {
  readonly name: string;
  readonly args: readonly string[];
  /** As `NAME=value`. */
  readonly variables: readonly string[];
}

export interface StartedPrograms {
  /** For the program's PATH. */
  readonly path: string;
  list(): Promise<readonly StartedProgram[]>;
  remove(): Promise<void>;
}

const folders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** A note is a file of its own, so that no two mix: arguments and variables with a NUL after each, and a line between. */
const recorder = (notes: string): string => `#!/bin/bash
name=\${0##*/}
note=$(/usr/bin/mktemp "${notes}/note-XXXXXXXX")
{ printf '%s\\0' "$name" "$@"; printf '\\n'; /usr/bin/cat /proc/$$/environ; } > "$note"
/usr/bin/mv "$note" "$note.done"
for folder in ${folders.join(' ')}; do [ -x "$folder/$name" ] && exec "$folder/$name" "$@"; done
exit 127
`;

/** Replaces all programs of the usual folders. */
export async function watchStartedPrograms(): Promise<StartedPrograms> {
  const folder = await mkdtemp(join(tmpdir(), 'started-'));
  const [path, notes] = [join(folder, 'bin'), join(folder, 'notes')];
  await Promise.all([mkdir(path), mkdir(notes)]);
  const script = join(folder, 'recorder');
  await writeFile(script, recorder(notes));
  await chmod(script, 0o755);
  const names = new Set((await Promise.all(folders.map(async (each) => await readdir(each)))).flat());
  for (const name of names) await symlink(script, join(path, name));
  return {
    path,
    async list() {
      const done = (await readdir(notes)).filter((name) => name.endsWith('.done'));
      return await Promise.all(
        done.map(async (file) => {
          const text = await readFile(join(notes, file), 'utf8');
          const end = text.indexOf('\0\n');
          const [name = '', ...args] = text.slice(0, end).split('\0');
          const variables = text.slice(end + 2).split('\0');
          return { name, args, variables: variables.filter((each) => each !== '') };
        }),
      );
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
