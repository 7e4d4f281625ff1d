/** tools/setup-kubernetes with a Go that only pretends: what it builds, when it does not, and what it says. */

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const script = fileURLToPath(new URL('../../../tools/setup-kubernetes', import.meta.url));

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-setup-kubernetes-'));
  await mkdir(join(folder, 'bin'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A program in front of the PATH. */
async function program(name: string, ...lines: string[]): Promise<string> {
  const path = join(folder, 'bin', name);
  await writeFile(path, ['#!/bin/bash', ...lines, ''].join('\n'), { mode: 0o755 });
  return path;
}

/** Writes its calls down, and builds programs that do nothing; `build` are the lines it runs instead. */
async function fakeGo(version: string, ...build: string[]): Promise<void> {
  const builds = [
    'while [ "$1" != -o ]; do shift; done',
    `for each in "\${@:3}"; do printf '#!/bin/sh\\n' >"$2/\${each##*/}"; chmod +x "$2/\${each##*/}"; done`,
  ];
  await program(
    'go',
    `[ "$1" != env ] || { echo go${version}; exit; }`,
    `echo "$3 \${*: -2}" >>"${folder}/calls"`,
    '[ "$3" = build ] || exit 0',
    ...(build.length > 0 ? build : builds),
  );
}

async function setUp(
  env: Record<string, string> = {},
  argv: readonly string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const own = { XDG_CACHE_HOME: join(folder, 'cache'), KUBE_APISERVER: '', KUBECTL: '' };
  const path = `${join(folder, 'bin')}:${process.env['PATH']}`;
  return await new Promise((resolve) => {
    execFile(script, argv, { env: { ...process.env, ...own, PATH: path, ...env } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function calls(): Promise<readonly string[]> {
  const text = await readFile(join(folder, 'calls'), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}

/** Programs in the cache folder, and whatever else a build left there. */
async function cached(): Promise<readonly string[]> {
  const entries = await readdir(join(folder, 'cache', 'flannel-vpc'), { recursive: true }).catch(() => []);
  return entries.filter((entry) => !entry.endsWith('.lock')).sort();
}

describe('the set-up of the Kubernetes tests', () => {
  it('builds both programs once, by release and machine', async () => {
    await fakeGo('1.26.8');
    expect(await setUp()).toMatchObject({ code: 0 });
    const built = await cached();
    expect(built).toHaveLength(4);
    expect(built[0]).toMatch(/^kubernetes-v1\.34\.\d+-(?:amd64|arm64)$/);
    expect(built.slice(2)).toEqual([`${built[0]}/bin/kube-apiserver`, `${built[0]}/bin/kubectl`]);

    const before = await calls();
    expect(before.map((call) => call.split(' ')[0])).toEqual(['list', 'build']);
    const again = await setUp();
    expect(again.code).toBe(0);
    expect(again.stdout).toContain(`${built[0]}/bin/kubectl`);
    expect(await calls()).toEqual(before);
  });

  it('tells whether they are there without building them', async () => {
    await fakeGo('1.26.8');
    expect((await setUp({}, ['--is-there'])).code).toBe(1);
    expect(await calls()).toEqual([]);
    await setUp();
    expect((await setUp({}, ['--is-there'])).code).toBe(0);
  });

  it('builds nothing where programs are given', async () => {
    await fakeGo('1.26.8');
    const given = await program('given');
    const { code, stdout } = await setUp({ KUBE_APISERVER: given, KUBECTL: given });
    expect(code).toBe(0);
    expect(stdout).toContain(`kube-apiserver: ${given}`);
    expect(await calls()).toEqual([]);
  });

  it('refuses a program that is given and not there', async () => {
    await fakeGo('1.26.8');
    const { code, stderr } = await setUp({ KUBECTL: join(folder, 'absent') });
    expect(code).toBe(1);
    expect(stderr).toContain(`KUBECTL=${join(folder, 'absent')} is no program that can be run`);
    expect(await calls()).toEqual([]);
  });

  it('names the line that installs Go where it is too old', async () => {
    await fakeGo('1.24.9');
    const { code, stderr } = await setUp();
    expect(code).toBe(1);
    expect(stderr).toMatch(/Go 1\.25 or later, and here is 1\.24\.9\. Install it: curl -fsSL https:\/\/go\.dev\/dl\//);
    expect(await calls()).toEqual([]);
  });

  it('keeps nothing of a build that fails, and shows how it ended', async () => {
    await fakeGo('1.26.8', 'echo "no space left on device" >&2', 'exit 1');
    const { code, stderr } = await setUp();
    expect(code).toBe(1);
    expect(stderr).toContain('no space left on device');
    expect(stderr).toContain('setup-kubernetes: the build failed');
    expect(await cached()).toEqual([]);
  });

  it('keeps no program that does not run', async () => {
    await fakeGo(
      '1.26.8',
      'while [ "$1" != -o ]; do shift; done',
      `for each in "\${@:3}"; do printf '#!/bin/sh\\nexit 1\\n' >"$2/\${each##*/}"; chmod +x "$2/\${each##*/}"; done`,
    );
    const { code, stderr } = await setUp();
    expect(code).toBe(1);
    expect(stderr).toContain('the kube-apiserver that was built does not run');
    expect((await cached()).filter((entry) => entry.includes('kubectl') || entry.includes('apiserver'))).toEqual([]);
  });
});
