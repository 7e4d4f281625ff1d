/** Files that other programs read while they are replaced. */
import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** The file's text; undefined where there is none, or none that can be read. */
export async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

/**
 * Writes the file, mode 0644, and makes its folder: temporary file beside it, fsync, rename, fsync of the folder, so that a reader
 * and a power cut see the old text or the new. `temporaryName` is a fixed one, so that what a killed process left is overwritten.
 * What is no file, such as /dev/null or /dev/stdout, is written to and stays what it is. Throws the file system's own errors.
 */
export async function writeAtomically(path: string, text: string, temporaryName: string): Promise<void> {
  const folder = dirname(path);
  if (folder === '/dev' || (await isDevice(path))) {
    // A rename would put a file in its place: written by root, /dev/null were gone for the whole machine.
    await writeThrough(path, text);
    return;
  }
  await makeFolder(folder);
  const temporary = join(folder, temporaryName);
  const handle = await open(temporary, 'w', 0o644);
  try {
    await handle.writeFile(text);
    // Whatever the umask took away.
    await handle.chmod(0o644);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  const opened = await open(folder, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/** Without waiting: a pipe that nobody reads is an error (ENXIO), where opening it would take until somebody does. */
async function writeThrough(path: string, text: string): Promise<void> {
  const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NONBLOCK, 0o644);
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
}

/** True for a device, a pipe or a socket, also behind a link. */
async function isDevice(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    return !found.isFile() && !found.isDirectory();
  } catch {
    // Not there; or not to be looked at, which writing will tell.
    return false;
  }
}

/** Level by level: below some folders (/proc) Node's own `recursive` tries for ever. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o755 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error;
    await makeFolder(dirname(folder));
    await mkdir(folder, { mode: 0o755 }).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== 'EEXIST') throw again;
    });
  }
}
