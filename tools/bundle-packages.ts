/** Which npm packages have code in the bundle: what the SBOM lists and whose licences are handed on. */
import type { Metafile } from 'esbuild';

/** The last package folder in a path; a package may have packages of its own below it. */
const packageFolder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;

/**
 * Folders of the packages of which at least a byte is in an output, as package-lock.json names them, sorted. One that was read and whose
 * code fell away is not inside.
 */
export function packagesIn({ outputs }: Pick<Metafile, 'outputs'>): readonly string[] {
  const found = new Set<string>();
  for (const { inputs } of Object.values(outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = packageFolder.exec(path)?.[0];
      if (bytesInOutput > 0 && folder !== undefined) found.add(folder);
    }
  }
  return [...found].sort();
}

/** What is known of a package in package-lock.json. */
interface LockedPackage {
  readonly dev?: boolean | undefined;
}

/** Packages of the bundle that the lockfile has for the development alone: nobody chose to ship them. */
export function developmentPackages(
  inside: readonly string[],
  locked: Readonly<Record<string, LockedPackage>>,
): readonly string[] {
  return inside.filter((path) => locked[path] === undefined || locked[path].dev === true);
}
