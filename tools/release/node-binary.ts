/** The Node that package-lock.json pins, for any of the architectures. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { root } from '../bundle.ts';
import type { Architecture } from './step.ts';

const run = promisify(execFile);

const pinned = z.object({ version: z.string(), integrity: z.string().startsWith('sha512-') });
const lockfile = z.object({ packages: z.record(z.string(), z.unknown()) });

/**
 * Path of the package's folder: `bin/node` and `LICENSE` are in it. npm installs that of this machine alone; another one is asked of npm's
 * registry once, held against the lockfile's hash, and kept in the cache folder.
 *
 * @throws Error when npm does not get it, or gets something else.
 */
export async function nodePackage({ node }: Architecture): Promise<string> {
  const name = `node-linux-${node}`;
  const installed = join(root, 'node_modules', name);
  if (existsSync(join(installed, 'bin/node'))) return installed;
  const { packages } = lockfile.parse(JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')));
  const { version, integrity } = pinned.parse(packages[`node_modules/${name}`]);
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'flannel-vpc');
  const kept = join(cache, `${name}-${version}`);
  if (!existsSync(join(kept, 'bin/node'))) await fetchPackage(`${name}@${version}`, integrity, kept);
  return kept;
}

/**
 * Unpacks what npm gets for `wanted` (anything that npm pack takes) into the folder `target`.
 *
 * @throws Error when its SHA-512 is not `integrity`, as the lockfile writes it; then nothing is kept.
 */
export async function fetchPackage(wanted: string, integrity: string, target: string): Promise<void> {
  const cache = join(target, '..');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'node-part-'));
  try {
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder, wanted], {
      timeout: 300_000,
    });
    const file = join(folder, stdout.trim());
    const hash = createHash('sha512')
      .update(await readFile(file))
      .digest('base64');
    if (`sha512-${hash}` !== integrity) {
      throw new Error(`${wanted} is not the package that package-lock.json pins: its hash is sha512-${hash}`);
    }
    // Packages of npm have all their files in one folder.
    await run('tar', ['-xzf', file, '-C', folder, 'package']);
    await rm(target, { recursive: true, force: true });
    await rename(join(folder, 'package'), target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
