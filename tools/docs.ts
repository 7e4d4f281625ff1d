/** Writes the documents that are made from tables in the code. `--check` only says whether they are up to date. */
import { readFile, writeFile } from 'node:fs/promises';
import { commandsDocument } from '../src/cli/command-usage.ts';
import { flagsDocument } from '../src/cli/usage.ts';
import { metricsDocument } from './metrics-document.ts';

const documents = [
  { path: new URL('../docs/flags.md', import.meta.url), text: flagsDocument() },
  { path: new URL('../docs/commands.md', import.meta.url), text: commandsDocument() },
  { path: new URL('../docs/metrics.md', import.meta.url), text: metricsDocument() },
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
