/**
 * Writes what goes with the program to whom it is given: the SBOM for each architecture, and the licences of what is inside.
 *
 *   node tools/release-documents.ts FOLDER [x64|arm64 ...]    this machine's architecture by default
 *
 * From the bundle in dist/, which `make build` makes. SOURCE_DATE_EPOCH, in seconds, is the SBOM's time; without it there is none.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { type Lock, readLock } from './locked-packages.ts';
import { type Architecture, architectures, singleFileName } from './release/step.ts';
import { type Sbom, sbomOf } from './sbom.ts';
import { thirdPartyText } from './third-party.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

export const thirdPartyFile = 'THIRD-PARTY-LICENSES.txt';

/** Name of the SBOM's file. */
export function sbomFile(architecture: Architecture): string {
  return `${singleFileName(architecture)}.cdx.json`;
}

const manifestSchema = z.object({ name: z.string(), version: z.string(), description: z.string() });

/** The SBOM of what the bundle folder holds. `lock` is the project's. @throws Error when `make build` has not made it. */
async function bundleSbom(bundle: string, lock: Lock, { node }: Architecture): Promise<Sbom> {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  return sbomOf({
    program: manifestSchema.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))),
    inside: await packagesOf(bundle),
    ...{ lock, architecture: node, versions: process.versions },
    sourceDateEpoch: epoch === undefined || epoch === '' ? undefined : z.coerce.number().int().parse(epoch),
  });
}

async function packagesOf(bundle: string): Promise<readonly string[]> {
  return z.array(z.string()).parse(JSON.parse(await readFile(join(bundle, 'packages.json'), 'utf8')));
}

/** Writes all documents. @returns their names. */
export async function writeReleaseDocuments(
  folder: string,
  wanted: readonly Architecture[],
): Promise<readonly string[]> {
  const bundle = join(root, 'dist');
  const lock = await readLock(root);
  const documents = new Map<string, string>();
  for (const each of wanted) {
    documents.set(sbomFile(each), `${JSON.stringify(await bundleSbom(bundle, lock, each), undefined, 2)}\n`);
  }
  documents.set(thirdPartyFile, await thirdPartyText({ root, inside: await packagesOf(bundle), lock, bundle }));
  await mkdir(folder, { recursive: true });
  for (const [name, content] of documents) await writeFile(join(folder, name), content);
  return [...documents.keys()];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, ...asked] = process.argv.slice(2);
  const names = asked.length > 0 ? asked : [process.arch];
  const wanted = architectures.filter(({ node }) => names.includes(node));
  if (folder === undefined || wanted.length < names.length) {
    console.error('usage: node tools/release-documents.ts FOLDER [x64|arm64 ...]');
    process.exitCode = 2;
  } else {
    for (const name of await writeReleaseDocuments(folder, wanted)) console.log(join(folder, name));
  }
}
