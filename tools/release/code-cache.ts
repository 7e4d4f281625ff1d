/** V8's compiled form of the chunks, as the Node here makes it under the flags of the single file. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { nodeFlags } from '../bundle.ts';
import type { Chunks } from './common-js.ts';
import { compiledSuffix } from './names.ts';
import { bundleScript } from './script.ts';

const run = promisify(execFile);

/**
 * Compiled chunks by the keys of their assets. They are of use only to this Node on this kind of processor: V8 throws away what another
 * version, other flags or another processor's features made.
 *
 * @throws Error when the program made of the chunks does not start.
 */
export async function compileChunks(chunks: Chunks, workFolder: string): Promise<ReadonlyMap<string, Buffer>> {
  const folder = join(workFolder, 'chunks');
  await mkdir(folder);
  for (const [name, source] of chunks) await writeFile(join(folder, name), source);
  const script = join(workFolder, 'record-code.cjs');
  await bundleScript('record-code.ts', script);
  const { stdout } = await run(process.execPath, [...nodeFlags, script, folder]);
  if (!/^flannel-vpc \d/.test(stdout)) throw new Error('the program made of CommonJS chunks prints no version');
  const compiled = new Map<string, Buffer>();
  for (const name of chunks.keys()) {
    compiled.set(name + compiledSuffix, await readFile(join(folder, name + compiledSuffix)));
  }
  return compiled;
}
