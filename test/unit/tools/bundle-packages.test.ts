/** Which packages the build says are in the bundle, and which it refuses there. */
import { describe, expect, it } from '@jest/globals';
import type { Metafile } from 'esbuild';
import { developmentPackages, packagesIn } from '../../../tools/bundle-packages.ts';

function bundleOf(...chunks: Readonly<Record<string, number>>[]): Pick<Metafile, 'outputs'> {
  const outputs = chunks.map((inputs, index) => ({
    [`dist/chunk-${index}.mjs`]: {
      ...{ bytes: 0, imports: [], exports: [] },
      inputs: Object.fromEntries(Object.entries(inputs).map(([path, bytesInOutput]) => [path, { bytesInOutput }])),
    },
  }));
  return { outputs: Object.assign({}, ...outputs) };
}

describe('the packages in a bundle', () => {
  it('are those with code in any chunk, once each and sorted', () => {
    const bundle = bundleOf(
      { 'node_modules/zod/index.js': 10, 'src/main.ts': 99, 'node_modules/zod/v4/core.js': 3 },
      { 'node_modules/@smithy/core/dist-es/index.js': 4, 'node_modules/zod/index.js': 1 },
    );

    expect(packagesIn(bundle)).toEqual(['node_modules/@smithy/core', 'node_modules/zod']);
  });

  it('are named by the innermost folder, where a package has packages of its own', () => {
    const bundle = bundleOf({ 'node_modules/a/node_modules/@b/c/d.js': 1 });

    expect(packagesIn(bundle)).toEqual(['node_modules/a/node_modules/@b/c']);
  });

  it('are not those that were read and whose code fell away', () => {
    expect(packagesIn(bundleOf({ 'node_modules/a/index.js': 0 }))).toEqual([]);
  });

  it('are refused when the lockfile has them for the development alone, or not at all', () => {
    const locked = { 'node_modules/a': {}, 'node_modules/b': { dev: true } };

    expect(developmentPackages(['node_modules/a', 'node_modules/b', 'node_modules/c'], locked)).toEqual([
      'node_modules/b',
      'node_modules/c',
    ]);
    expect(developmentPackages(['node_modules/a'], locked)).toEqual([]);
  });
});
