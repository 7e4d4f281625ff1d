/** Which licences packages may have: the project's own, and packages that must not be here. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import {
  developmentLicences,
  licenceProblems,
  projectLicenceProblems,
  shippedLicences,
} from '../../../tools/licences.ts';
import { type Lock, type LockedPackage, readLock } from '../../../tools/locked-packages.ts';
import { isAllowed, spdxOf } from '../../../tools/spdx.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Problems of one package, `x` 1.0.0. */
async function problemsOf(locked: LockedPackage, installed?: string): Promise<readonly string[]> {
  const lock: Lock = { lockfileVersion: 3, packages: { '': {}, 'node_modules/x': { version: '1.0.0', ...locked } } };
  return await licenceProblems(lock, async () => installed);
}

describe('licences of packages', () => {
  it('are all on the list in this project', async () => {
    expect(await projectLicenceProblems(root)).toEqual([]);
    const packages = Object.values((await readLock(root)).packages);
    expect(packages.filter(({ dev }) => !dev).length).toBeGreaterThan(100);
    expect(packages.filter(({ dev }) => dev).length).toBeGreaterThan(100);
  });

  it('are all needed, so that the list is no longer than the packages ask for', async () => {
    const packages = Object.values((await readLock(root)).packages);
    const words = packages.flatMap(({ license = '' }) => spdxOf(license).match(/[\w.-]+/g) ?? []);

    expect([...developmentLicences].filter((id) => !words.includes(id))).toEqual([]);
  });

  it.each(['GPL-3.0-only', 'AGPL-3.0-or-later', 'UNLICENSED', 'SEE LICENSE IN LICENSE.md', 'MIT AND GPL-2.0-only', ''])(
    'name the package that has %j',
    async (license) => {
      expect(await problemsOf({ license })).toEqual([expect.stringContaining('x@1.0.0')]);
      expect(await problemsOf({ license, dev: true })).toEqual([expect.stringContaining('x@1.0.0')]);
    },
  );

  it('may be more of a tool than of what ships', async () => {
    expect(await problemsOf({ license: 'CC-BY-4.0', dev: true })).toEqual([]);
    expect(await problemsOf({ license: 'CC-BY-4.0' })).toHaveLength(1);
  });

  it('are read from the package where the lockfile has none, and must be there', async () => {
    expect(await problemsOf({}, 'MIT')).toEqual([]);
    expect(await problemsOf({}, 'GPL-3.0-only')).toHaveLength(1);
    expect(await problemsOf({})).toHaveLength(1);
    expect(await problemsOf({ dev: true })).toHaveLength(1);
    expect(await problemsOf({ dev: true, optional: true })).toEqual([]);
  });
});

describe('a licence expression', () => {
  it.each([
    ['MIT', true],
    ['GPL-3.0-only', false],
    ['(MIT OR GPL-3.0-only)', true],
    ['MIT AND GPL-3.0-only', false],
    ['GPL-3.0-only OR MIT AND ISC', true],
    ['(GPL-3.0-only OR MIT) AND AGPL-3.0-only', false],
    ['MIT AND (ISC OR (GPL-3.0-only AND MIT))', true],
  ])('%j is allowed: %j', (expression, allowed) => {
    expect(isAllowed(expression, shippedLicences)).toBe(allowed);
  });

  it.each(['', 'MIT OR', '(MIT', 'MIT)', 'MIT ISC', 'AND', 'MIT/ISC'])('%j is none', (text) => {
    expect(() => isAllowed(text, shippedLicences)).toThrow(/licence expression|bracket/);
  });
});
