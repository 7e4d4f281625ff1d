/**
 * Runs under the flags of the single file, from a folder of its chunks: starts the program as `version`, loads every chunk, and writes
 * beside each its compiled form, with the functions that ran.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chunkLoader } from './chunk-loader.ts';
import { compiledSuffix, firstChunk } from './names.ts';

const [, , folder = '.'] = process.argv;
process.argv.splice(2, Number.POSITIVE_INFINITY, 'version');

const loader = chunkLoader(
  {
    source: (name) => readFileSync(join(folder, name), 'utf8'),
    compiled: () => undefined,
    require: createRequire(join(folder, firstChunk)),
  },
  folder,
);

// The program ends its process.
process.once('exit', () => {
  for (const name of readdirSync(folder)) loader.load(name);
  for (const [name, script] of loader.scripts) {
    writeFileSync(join(folder, name + compiledSuffix), script.createCachedData());
  }
});
loader.load(firstChunk);
