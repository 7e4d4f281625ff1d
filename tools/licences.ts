/** The licences that packages may have, and the packages that have another one. `make lint` asks. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { type Lock, nameOf, readLock } from './locked-packages.ts';
import { isAllowed, spdxOf } from './spdx.ts';

/** Of production packages: they ask for nothing but that their text is handed on. */
export const shippedLicences: ReadonlySet<string> = new Set([
  ...['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'ISC', 'MIT'],
]);

/** Of packages that only build and test, and are given to nobody: data under Creative Commons besides. */
export const developmentLicences: ReadonlySet<string> = new Set([...shippedLicences, 'CC-BY-4.0', 'CC0-1.0']);

/**
 * A line for each package that may not be here, with its name. `installedLicence` says what is in a package's own package.json, and
 * `undefined` for one that is not installed: npm's lockfile has no licence of packages for other platforms.
 */
export async function licenceProblems(
  lock: Lock,
  installedLicence: (path: string) => Promise<string | undefined>,
): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const [path, { version, dev = false, optional = false, license }] of Object.entries(lock.packages)) {
    if (path === '') continue;
    const name = `${nameOf(path)}@${version}`;
    const said = license ?? (await installedLicence(path));
    if (said === undefined) {
      if (!dev || !optional) problems.push(`${name}: says no licence`);
      continue;
    }
    if (!isFine(spdxOf(said), dev ? developmentLicences : shippedLicences))
      problems.push(`${name}: ${said} is not a licence that ${dev ? 'a tool' : 'what ships'} may have`);
  }
  return problems;
}

/** What is no expression is on no list. */
function isFine(expression: string, allowed: ReadonlySet<string>): boolean {
  try {
    return isAllowed(expression, allowed);
  } catch {
    return false;
  }
}

const manifestSchema = z.object({ license: z.string().optional() });

/** The same for the project as it is installed. */
export async function projectLicenceProblems(root: string): Promise<readonly string[]> {
  return await licenceProblems(await readLock(root), async (path) => {
    const text = await readFile(join(root, path, 'package.json'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : manifestSchema.parse(JSON.parse(text)).license;
  });
}
