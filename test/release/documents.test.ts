/** The documents of the release: what each file is made of, and the licences of all of it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { readLock } from '../../tools/locked-packages.ts';
import { nodeParts } from '../../tools/node-parts.ts';
import { architectures, singleFileName } from '../../tools/release/step.ts';
import { sbomFile, thirdPartyFile, writeReleaseDocuments } from '../../tools/release-documents.ts';
import { type Bill, namedInBundle, nodeOf, purlOf, readBill, unlisted } from '../support/bill.ts';
import { cyclonedxErrors } from '../support/cyclonedx.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const release = join(root, 'dist-release');

it.each(architectures)('has a bill of materials for $name, by the schema of CycloneDX 1.6', async (architecture) => {
  const text = await readFile(join(release, sbomFile(architecture)), 'utf8');

  expect(sbomFile(architecture).startsWith(singleFileName(architecture))).toBe(true);
  expect(await cyclonedxErrors(JSON.parse(text))).toEqual([]);
});

it.each(architectures)(
  'lists for $name the packages that the chunks show, and Node.js with its parts',
  async (each) => {
    const bill = await readBill(join(release, sbomFile(each)));
    const lock = await readLock(root);
    const named = await namedInBundle(join(root, 'dist'));

    expect(named.length).toBeGreaterThan(50);
    expect(unlisted(bill, named, lock)).toEqual([]);
    const wrong: Bill = { components: bill.components.filter(({ name }) => name !== 'protobufjs') };
    expect(unlisted(wrong, named, lock)).toEqual([purlOf(lock, 'node_modules/protobufjs')]);
    expect(nodeOf(bill).purl).toBe(purlOf(lock, `node_modules/node-linux-${each.node}`));
    expect(nodeOf(bill).components?.map(({ purl }) => purl)).toEqual(
      nodeParts(process.versions).map(({ purl }) => purl),
    );
  },
);

it('has the licence of every package that is listed, and of Node.js', async () => {
  const licences = await readFile(join(release, thirdPartyFile), 'utf8');
  const [first] = architectures;
  const { components } = await readBill(join(release, sbomFile(first)));

  const packages = components.filter(({ name }) => !name.startsWith('node-linux-'));
  expect(packages.length).toBeGreaterThan(100);
  for (const { purl } of packages) {
    const [name = '', version] = decodeURIComponent(purl.slice('pkg:npm/'.length)).split(/(?<=.)@/);
    expect(licences).toContain(`\n${name} ${version} (`);
  }
  expect(licences).toContain(`Node.js ${process.versions.node}`);
});

it('is the same when it is made again', async () => {
  const folder = join(root, 'test-artifacts/documents');
  const names = await writeReleaseDocuments(folder, architectures);

  expect((await readdir(release)).filter((name) => names.includes(name)).length).toBe(3);
  for (const name of names)
    expect(await readFile(join(folder, name), 'utf8')).toBe(await readFile(join(release, name), 'utf8'));
});
