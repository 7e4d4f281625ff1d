/**
 * Writes docs/reliability.md from the rows that tests have kept (test/support/figures.ts).
 *
 *   node tools/reliability.ts [--run]
 *
 * `--run` first runs every test file that keeps rows, tier by tier (FAULTS=long for the long sizes), from an empty folder. A section
 * without a row, or a test that fails, is an error, and the document stays as it is.
 */
import { spawnSync } from 'node:child_process';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figure, figureSchema, figuresFolder, sections } from '../test/support/figures.ts';
import { reliabilityDocument } from './reliability-document.ts';
import { filesOf, type Tier, tiers } from './tiers.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** By which a test file keeps rows, itself or by what it calls. */
const keepsRows = /\b(?:recordFigure|recordFault|describeCloudFaults|answersEndWell)\(/;

/** Files that keep rows, by their tier. */
async function filesByTier(): Promise<ReadonlyMap<Tier, readonly string[]>> {
  const found = new Map<Tier, readonly string[]>();
  for (const tier of tiers) {
    const texts = filesOf(root, tier).map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') }));
    const files = (await Promise.all(texts)).filter(({ text }) => keepsRows.test(text)).map(({ path }) => path);
    if (files.length > 0) found.set(tier, files.sort());
  }
  return found;
}

async function runAll(): Promise<boolean> {
  await rm(figuresFolder, { recursive: true, force: true });
  let fine = true;
  for (const [tier, files] of await filesByTier()) {
    const argv = [join(root, 'tools/test.ts'), tier, '--', ...files];
    if (spawnSync(process.execPath, argv, { cwd: root, stdio: 'inherit' }).status !== 0) fine = false;
  }
  return fine;
}

async function readFigures(): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const section of sections) {
    const folder = join(figuresFolder, section);
    const names = await readdir(folder).catch(() => []);
    for (const name of names.filter((each) => each.endsWith('.json')).sort()) {
      figures.push(figureSchema.parse(JSON.parse(await readFile(join(folder, name), 'utf8'))));
    }
  }
  return figures;
}

async function main(): Promise<number> {
  if (process.argv.includes('--run') && !(await runAll())) {
    console.error('reliability: a test failed, see above; docs/reliability.md stays as it is');
    return 1;
  }
  const figures = await readFigures();
  const empty = sections.filter((section) => !figures.some((figure) => figure.section === section));
  if (empty.length > 0) {
    console.error(
      `reliability: no rows for ${empty.join(', ')}: run "make reliability", which runs the tests that keep them`,
    );
    return 1;
  }
  const path = join(root, 'docs/reliability.md');
  await writeFile(`${path}.part`, reliabilityDocument(figures));
  await rename(`${path}.part`, path);
  console.log(`wrote docs/reliability.md: ${figures.length} rows`);
  return 0;
}

process.exitCode = await main();
