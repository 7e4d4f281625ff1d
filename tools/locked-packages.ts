/** package-lock.json as the tools read it: what is installed where, from which archive, under which licence. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';

const names = z.record(z.string(), z.string());

/** An entry, or the project itself under the path ''. Other members are npm's business. */
const lockedPackageSchema = z.object({
  name: z.string().optional(),
  version: z.string().optional(),
  /** Where it came from; absent for a registry, since the lockfile is to name none. */
  resolved: z.string().optional(),
  /** Of the archive: `sha512-` and base64. */
  integrity: z.string().optional(),
  /** As the package says it, which is not always SPDX. */
  license: z.string().optional(),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
  link: z.boolean().optional(),
  hasInstallScript: z.boolean().optional(),
  dependencies: names.optional(),
  devDependencies: names.optional(),
  optionalDependencies: names.optional(),
  peerDependencies: names.optional(),
});
export type LockedPackage = z.infer<typeof lockedPackageSchema>;

const lockfileSchema = z.object({
  lockfileVersion: z.literal(3),
  packages: z.record(z.string(), lockedPackageSchema),
});
export type Lock = z.infer<typeof lockfileSchema>;

/** @throws Error when the lockfile can't be read or is not of version 3. */
export async function readLock(root: string): Promise<Lock> {
  return lockfileSchema.parse(JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')));
}

/** `@scope/name` of `node_modules/a/node_modules/@scope/name`. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/** Path of what Node finds under a name from a package's folder: in it, or in one above. Undefined when it is not installed. */
export function resolvePackage({ packages }: Lock, from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (packages[path] !== undefined) return path;
    if (folder === '') return undefined;
  }
}
