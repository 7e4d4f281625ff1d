import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { checkTree, findings } from '../../../tools/hygiene.ts';
import { run } from '../../fabric/process.ts';

/** Put together here, so that this file does not break the rules itself. */
const join = (...parts: string[]): string => parts.join('');

describe('hygiene', () => {
  it.each([
    ['a test that runs alone', 'test/unit/a.test.ts', join('it', ".only('x')")],
    ['a skipped table', 'test/unit/a.test.ts', join('test.each([1])', "('x')\ndescribe", ".skip('x')")],
    ['a crossed-out test', 'test/unit/a.test.ts', join('x', "it('x')")],
    ['a folder beside the project', 'README.md', join('see ..', '/shared/x')],
    ['a path of one machine', 'src/a.ts', join("'/wo", "rk/main'")],
    ['work left to do', 'src/a.ts', join('// TO', 'DO later')],
    ['a merge left half done', 'src/a.ts', join('<<<<', '<<< HEAD')],
    ['an address in a lockfile', 'package-lock.json', join('"resolved": "ht', 'tps://registry/x.tgz"')],
  ])('finds %s', (_what, path, content) => {
    expect(findings(path, content)).toHaveLength(1);
  });

  it('names the place', () => {
    expect(findings('src/a.ts', join('fine\n// TO', 'DO'))).toEqual(['src/a.ts:2: work left to do']);
  });

  it.each([
    ['src/a.ts', 'const tmp = "/tmp/workshop"; // mktemp /x-XXXXXX'],
    ['docs/a.md', 'the kernel works; framework/root cause'],
    ['src/todo-list.ts', 'await queue.only(skip)'],
  ])('finds nothing in %s: %s', (path, content) => {
    expect(findings(path, content)).toEqual([]);
  });
});

describe('a tree', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(pathOf(tmpdir(), 'hygiene-'));
    await run(['git', '-C', folder, 'init', '--quiet']);
    await writeFile(pathOf(folder, '.gitignore'), '/built\n');
    await writeFile(pathOf(folder, 'built'), 'by make');
    await writeFile(pathOf(folder, 'written'), 'by hand');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('may have built files beside it', async () => {
    await run(['git', '-C', folder, 'add', '--all']);
    expect(await checkTree(folder)).toEqual([]);
  });

  it('holds none of them', async () => {
    await run(['git', '-C', folder, 'add', '--force', '--all']);
    expect(await checkTree(folder)).toEqual(['built: git has it, and .gitignore says that it should not']);
  });
});
