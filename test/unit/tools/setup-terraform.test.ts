/** tools/setup-terraform with a Go that only pretends: what it builds, when it does not, and what it says. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const script = fileURLToPath(new URL('../../../tools/setup-terraform', import.meta.url));

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-setup-terraform-'));
  await mkdir(join(folder, 'bin'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Writes its builds down, and makes programs that do nothing; `build` is what it does instead. */
async function fakeGo(
  version: string,
  build = `mkdir -p "$(dirname "$2")"; printf '#!/bin/sh\\n' >"$2"; chmod +x "$2"`,
): Promise<void> {
  const lines = [
    '#!/bin/bash',
    `[ "$1" != env ] || { echo go${version}; exit; }`,
    `echo "$*" >>"${folder}/calls"`,
    'while [ "$1" != -o ]; do shift; done',
    build,
  ];
  await writeFile(join(folder, 'bin/go'), `${lines.join('\n')}\n`, { mode: 0o755 });
}

async function setUp(
  ...argv: string[]
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  // The shell's own programs, and no Go but the pretended one.
  const env = { XDG_CACHE_HOME: join(folder, 'cache'), PATH: `${join(folder, 'bin')}:/usr/bin:/bin` };
  return await new Promise((resolve) => {
    execFile(script, argv, { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function calls(): Promise<readonly string[]> {
  const text = await readFile(join(folder, 'calls'), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}

async function kept(): Promise<readonly string[]> {
  return await readdir(join(folder, 'cache/flannel-vpc')).catch(() => []);
}

describe('tools/setup-terraform', () => {
  it('builds once, and then finds it', async () => {
    await fakeGo('1.25.0');
    expect((await setUp('--is-there')).code).toBe(1);
    expect(await calls()).toEqual([]);
    expect(await setUp()).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('building tools/terraform-schemas'),
    });
    expect(await setUp()).toMatchObject({ code: 0, stdout: '' });
    expect((await setUp('--is-there')).code).toBe(0);
    expect(await calls()).toHaveLength(1);
    expect((await kept()).filter((name) => /^terraform-schemas-[0-9a-f]{12}-/.test(name))).toHaveLength(1);
  });

  it.each(['1.24.9', '1.9.0'])('does not build with Go %s, and says so', async (version) => {
    await fakeGo(version);
    const { code, stderr } = await setUp();
    expect(code).toBe(1);
    expect(stderr).toContain(`Go 1.25 or later, and here is ${version}: install it by https://go.dev/doc/install`);
    expect(await calls()).toEqual([]);
  });

  it('leaves nothing of a build that failed', async () => {
    await fakeGo('1.26.0', 'exit 1');
    expect(await setUp()).toMatchObject({ code: 1, stderr: expect.stringContaining('go build failed') });
    expect((await kept()).filter((name) => name !== '.terraform-schemas.lock')).toEqual([]);
  });
});
