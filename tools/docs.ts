/** Writes the documents that are made from tables in the code. `--check` only says whether they are up to date. */
import { readFile, writeFile } from 'node:fs/promises';
import { commandsDocument } from '../src/cli/command-usage.ts';
import { flagsDocument } from '../src/cli/usage.ts';
import { metricsDocument } from './metrics-document.ts';
import { withTables } from './terraform-tables.ts';

const modules = new URL('../terraform/modules/', import.meta.url);

/** A module's README, whose tables are made and whose other text is not. */
async function moduleDocument(name: string): Promise<{ readonly path: URL; readonly text: string }> {
  const read = async (file: string): Promise<string> => await readFile(new URL(`${name}/${file}`, modules), 'utf8');
  const files = { variables: await read('variables.tf'), outputs: await read('outputs.tf') };
  return { path: new URL(`${name}/README.md`, modules), text: withTables(await read('README.md'), files) };
}

const documents = [
  { path: new URL('../docs/flags.md', import.meta.url), text: flagsDocument() },
  { path: new URL('../docs/commands.md', import.meta.url), text: commandsDocument() },
  { path: new URL('../docs/metrics.md', import.meta.url), text: metricsDocument() },
  ...(await Promise.all(['node-setup', 'gce', 'alicloud', 'azure'].map(moduleDocument))),
];

for (const { path, text } of documents) {
  if (process.argv.includes('--check')) {
    if ((await readFile(path, 'utf8')) === text) continue;
    console.error(`${path.pathname} is out of date: run "node tools/docs.ts"`);
    process.exitCode = 1;
  } else {
    await writeFile(path, text);
  }
}
