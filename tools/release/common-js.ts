/**
 * The bundle's chunks as CommonJS: a single file's scripts can be nothing else. They are the files of dist/, so that what the
 * tests ran is what is released; each chunk stays a chunk, and is loaded when it is asked for.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { transform } from 'esbuild';
import { commonJsNames } from '../bundle.ts';
import { firstChunk } from './names.ts';

/** Sources by name. The names are those in dist/. */
export type Chunks = ReadonlyMap<string, string>;

/** @throws Error for a bundle that is not `tools/bundle.ts`'s. */
export async function readAsCommonJs(dist: string): Promise<Chunks> {
  const names = (await readdir(dist)).filter((name) => name === firstChunk || /^chunk-.*\.mjs$/.test(name)).sort();
  if (!names.includes(firstChunk)) throw new Error(`${dist} has no ${firstChunk}: run make build`);
  const chunks = await Promise.all(
    names.map(async (name) => [name, await toCommonJs(name, await readFile(join(dist, name), 'utf8'))] as const),
  );
  return new Map(chunks);
}

async function toCommonJs(name: string, source: string): Promise<string> {
  if (!source.startsWith(commonJsNames)) throw new Error(`${name} does not begin as tools/bundle.ts writes it`);
  const { code, warnings } = await transform(source.slice(commonJsNames.length), {
    // By its ending esbuild takes a file for Node's kind of module, and a chunk's default export for something in it.
    sourcefile: name.replace(/\.mjs$/, '.js'),
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    // A script that is compiled by hand has no import(): it becomes a require in a promise.
    supported: { 'dynamic-import': false },
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: 'silent',
  });
  const [warning] = warnings;
  if (warning) throw new Error(`${name}: ${warning.text}`);
  return code;
}
