/** Chunks of the bundle as CommonJS, by the real compiler, and how the single file loads them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { commonJsNames } from '../../../tools/bundle.ts';
import { type ChunkLoader, chunkLoader } from '../../../tools/release/chunk-loader.ts';
import { readAsCommonJs } from '../../../tools/release/common-js.ts';

let dist: string;

beforeEach(async () => {
  dist = await mkdtemp(join(tmpdir(), 'release-chunks-'));
});
afterEach(async () => {
  await rm(dist, { recursive: true, force: true });
});

/** A loader of these chunks, which are written as the bundle's are. */
async function loaderOf(sources: Readonly<Record<string, string>>): Promise<ChunkLoader> {
  for (const [name, source] of Object.entries(sources))
    await writeFile(join(dist, name), `${commonJsNames}\n${source}`);
  const chunks = await readAsCommonJs(dist);
  return chunkLoader(
    {
      source(name) {
        const source = chunks.get(name);
        if (source === undefined) throw new Error(`no chunk ${name}`);
        return source;
      },
      compiled: () => undefined,
      require: createRequire(import.meta.url),
    },
    '/opt/bin',
  );
}

it('loads what is imported with the program, and the rest when it is asked for', async () => {
  const loader = await loaderOf({
    'program.mjs':
      'import{one}from"./chunk-one.mjs";export{one};export let later=async()=>(await import("./chunk-two.mjs")).two;',
    'chunk-one.mjs': 'export let one=1;',
    'chunk-two.mjs': 'export let two=2;',
    'chunk-never.mjs': 'throw new Error("loaded");',
  });
  const program = loader.load('program.mjs') as { one: number; later(): Promise<number> };
  expect(program.one).toBe(1);
  expect([...loader.scripts.keys()]).toEqual(['program.mjs', 'chunk-one.mjs']);
  expect(await program.later()).toBe(2);
  expect([...loader.scripts.keys()]).toEqual(['program.mjs', 'chunk-one.mjs', 'chunk-two.mjs']);
});

it('keeps a default export what it is, and a class the same for all', async () => {
  const loader = await loaderOf({
    'program.mjs':
      'import kind,{Kind}from"./chunk-kind.mjs";export let same=async()=>{let m=await import("./chunk-kind.mjs");return m.default===kind&&new m.Kind instanceof Kind&&kind()};',
    'chunk-kind.mjs': 'export class Kind{}export default function(){return"the default"}',
  });
  const program = loader.load('program.mjs') as { same(): Promise<unknown> };
  expect(await program.same()).toBe('the default');
});

it('lets chunks need each other, and sees what a variable is by now', async () => {
  const loader = await loaderOf({
    'program.mjs':
      'import{count,add}from"./chunk-other.mjs";export let zero=0;export let twice=()=>{add();add();return count};',
    'chunk-other.mjs': 'import{zero}from"./program.mjs";export let count=5;export let add=()=>{count+=1+zero};',
  });
  expect((loader.load('program.mjs') as { twice(): number }).twice()).toBe(7);
});

it('runs chunks strictly, with Node’s modules, a name in the stack and a folder', async () => {
  const loader = await loaderOf({
    'program.mjs':
      'export let join=require("node:path").join;export let folder=__dirname;export let strict=(function(){return this===undefined})();export let fail=()=>{throw new Error("here")};',
  });
  const program = loader.load('program.mjs') as Record<string, unknown> & { join: typeof join; fail(): void };
  expect(program).toMatchObject({ folder: '/opt/bin', strict: true });
  expect(program.join('a', 'b')).toBe('a/b');
  let stack = '';
  try {
    program.fail();
  } catch (error) {
    stack = String((error as { stack?: string }).stack);
  }
  expect(stack).toMatch(/at .*program\.mjs:1:\d+/);
});

it('refuses a chunk that a script can’t be, and a bundle of another form', async () => {
  await expect(loaderOf({ 'program.mjs': 'await 1;' })).rejects.toThrow(/[Tt]op-level await/);
  await writeFile(join(dist, 'program.mjs'), 'export let one=1;');
  await expect(readAsCommonJs(dist)).rejects.toThrow('program.mjs does not begin as tools/bundle.ts writes it');
  await rm(join(dist, 'program.mjs'));
  await expect(readAsCommonJs(dist)).rejects.toThrow('run make build');
});
