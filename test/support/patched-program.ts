/** A deliberately wrong copy of the built program: one text of the bundle is another. The tests' own proof that they would see it. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface PatchedProgram {
  /** Path to start it by. */
  readonly path: string;
  remove(): Promise<void>;
}

/** Makes it. @throws Error unless the text stands in the bundle just once: a patch that misses would prove nothing. */
export async function patchedProgram(text: string, replacement: string): Promise<PatchedProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-wrong-'));
  const path = join(folder, 'bin', 'flannel-vpc');
  await mkdir(dirname(path));
  await cp(join(root, 'bin', 'flannel-vpc'), path);
  await cp(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  let found = 0;
  for (const name of await readdir(join(folder, 'dist'))) {
    if (!name.endsWith('.mjs')) continue;
    const file = join(folder, 'dist', name);
    const before = await readFile(file, 'utf8');
    found += before.split(text).length - 1;
    if (before.includes(text)) await writeFile(file, before.replace(text, replacement));
  }
  if (found !== 1) throw new Error(`${JSON.stringify(text)} stands in the bundle ${found} times, and not once`);
  return { path, remove: async () => await rm(folder, { recursive: true, force: true }) };
}
