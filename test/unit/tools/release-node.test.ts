/** The Node of another processor is npm's package with the lockfile's hash, or none. npm is real; the package is one made here. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { fetchPackage } from '../../../tools/release/node-binary.ts';

const run = promisify(execFile);
let folder: string;
let made: string;
let cache: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'release-node-'));
  [made, cache] = [join(folder, 'made'), join(folder, 'cache')];
  await mkdir(join(made, 'bin'), { recursive: true });
  const manifest = { name: 'node-linux-none', version: '1.2.3', bin: { node: 'bin/node' } };
  await writeFile(join(made, 'package.json'), JSON.stringify(manifest));
  await writeFile(join(made, 'bin/node'), 'a program');
  await chmod(join(made, 'bin/node'), 0o755);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** As the lockfile would have it. */
async function integrityOf(name: string): Promise<string> {
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder, name]);
  const hash = createHash('sha512').update(await readFile(join(folder, stdout.trim())));
  return `sha512-${hash.digest('base64')}`;
}

describe('fetchPackage', () => {
  it('keeps the package whose hash is the one that is pinned', async () => {
    await fetchPackage(made, await integrityOf(made), join(cache, 'node-linux-none-1.2.3'));
    expect(await readdir(cache)).toEqual(['node-linux-none-1.2.3']);
    const program = join(cache, 'node-linux-none-1.2.3/bin/node');
    expect(await readFile(program, 'utf8')).toBe('a program');
    expect((await stat(program)).mode & 0o111).toBe(0o111);
  });

  it('refuses the same package with a byte changed, and keeps nothing of it', async () => {
    const pinned = await integrityOf(made);
    await writeFile(join(made, 'bin/node'), 'a Program');
    await expect(fetchPackage(made, pinned, join(cache, 'node-linux-none-1.2.3'))).rejects.toThrow(
      'is not the package that package-lock.json pins',
    );
    expect(await readdir(cache)).toEqual([]);
  });
});
