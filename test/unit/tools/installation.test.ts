/** What `npm ci` may bring in: what the lockfile names, unchanged, without running any of it. */
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { type Lock, nameOf, readLock } from '../../../tools/locked-packages.ts';
import { platformOf } from '../../../tools/lockfile.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const dependencies = z.record(z.string(), z.string());
const manifestSchema = z.looseObject({
  dependencies,
  devDependencies: dependencies,
  optionalDependencies: dependencies,
});
type Manifest = z.infer<typeof manifestSchema>;

/** Packages with a script that npm would run. Each was read: docs/dependencies.md says what it would do. */
const withScripts = ['@alicloud/openapi-core', '@parcel/watcher', '@swc/core', 'esbuild', 'protobufjs'];

let manifest: Manifest;
let lock: Lock;

beforeAll(async () => {
  manifest = manifestSchema.parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  lock = await readLock(root);
});

describe('the lockfile', () => {
  it('has just what package.json asks for, and that is one version each', () => {
    const { dependencies, devDependencies, optionalDependencies } = lock.packages[''] ?? {};
    const asked = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };

    expect({ dependencies, devDependencies, optionalDependencies }).toEqual({
      dependencies: manifest.dependencies,
      devDependencies: manifest.devDependencies,
      optionalDependencies: manifest.optionalDependencies,
    });
    expect(Object.keys(asked).length).toBeGreaterThan(20);
    for (const [name, version] of Object.entries(asked)) {
      expect(`${name} ${version}`).toMatch(/ \d+\.\d+\.\d+(?:-[\w.]+)?$/);
      expect(lock.packages[`node_modules/${name}`]?.version).toBe(version);
    }
  });

  it('has the SHA-512 of every archive that this project installs', () => {
    const without = Object.entries(lock.packages).filter(
      ([path, { integrity = '' }]) => path !== '' && !/^sha512-[\w+/]{86}==$/.test(integrity),
    );

    // Tools' parts for platforms that the project is not built on: the registry that the lockfile was made by has not all of them.
    for (const [path, { dev, optional }] of without) {
      expect({ path, dev, optional }).toEqual({ path, dev: true, optional: true });
      const { os, libc, cpu } = platformOf(nameOf(path)) ?? {};
      const ours = os?.[0] === 'linux' && libc?.[0] !== 'musl' && ['x64', 'arm64'].includes(cpu?.[0] ?? '');
      expect({ path, ours }).toEqual({ path, ours: false });
    }
  });

  it('takes nothing from a repository, an address or a folder', () => {
    const strange = Object.entries(lock.packages).filter(
      ([path, { version = '', resolved, link }]) =>
        path !== '' && (resolved !== undefined || link === true || !/^\d+\.\d+\.\d+(?:[-+][\w.+-]+)?$/.test(version)),
    );
    const ranges = Object.values(lock.packages).flatMap((each) => Object.entries({ ...each.dependencies }));

    expect(strange).toEqual([]);
    expect(ranges.filter(([, range]) => /[:/]/.test(range.replace(/^npm:(?:@[\w.-]+\/)?[\w.-]+@/, '')))).toEqual([]);
  });

  it('has scripts only of packages that were looked at', () => {
    const found = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript);

    expect(found.map(([path]) => nameOf(path)).sort()).toEqual(withScripts);
  });
});

describe('npm ci with this .npmrc', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-installation-'));
    await copyFile(join(root, '.npmrc'), join(folder, '.npmrc'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  async function npmCi(...options: string[]): Promise<{ readonly code: number; readonly output: string }> {
    return await new Promise((resolve) => {
      execFile('npm', ['ci', '--offline', ...options], { cwd: folder, timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
      });
    });
  }

  async function write(name: string, content: unknown): Promise<void> {
    await writeFile(join(folder, name), JSON.stringify(content));
  }

  it('is how the project is installed', async () => {
    expect(await readFile(join(root, 'tools/install'), 'utf8')).toMatch(/^npm ci /m);
    expect(await readFile(join(root, '.ci/run'), 'utf8')).not.toMatch(/npm (?:install|i|update)\b/);
  });

  it('refuses a package.json that asks for something else than the lockfile has', async () => {
    await copyFile(join(root, 'package-lock.json'), join(folder, 'package-lock.json'));
    await copyFile(join(root, 'package.json'), join(folder, 'package.json'));
    expect(await npmCi('--dry-run')).toMatchObject({ code: 0 });

    await write('package.json', { ...manifest, dependencies: { ...manifest.dependencies, yaml: '2.8.0' } });
    const { code, output } = await npmCi('--dry-run');

    expect(code).not.toBe(0);
    expect(output).toMatch(/yaml@2\.8\.0/);
  }, 120_000);

  it('runs no script, and would without the line that forbids it', async () => {
    const own = { name: 'own', version: '1.0.0', scripts: { postinstall: 'touch ran' } };
    await write('package.json', own);
    await write('package-lock.json', { name: 'own', version: '1.0.0', lockfileVersion: 3, packages: { '': own } });

    expect(await npmCi()).toMatchObject({ code: 0 });
    await expect(stat(join(folder, 'ran'))).rejects.toThrow('ENOENT');

    const npmrc = await readFile(join(root, '.npmrc'), 'utf8');
    await writeFile(join(folder, '.npmrc'), npmrc.replace('ignore-scripts=true\n', ''));
    expect(await npmCi()).toMatchObject({ code: 0 });
    await stat(join(folder, 'ran'));
  }, 120_000);
});
