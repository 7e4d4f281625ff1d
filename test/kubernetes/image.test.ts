/** The Dockerfile without building it (test/image does): what it copies is there, and is enough to run. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manifestOf } from '../fabric/kube-manifest.ts';
import { run } from '../fabric/process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let dockerfile: string;
let folder: string;

beforeAll(async () => {
  dockerfile = await readFile(join(root, 'Dockerfile'), 'utf8');
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-image-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What is copied from the project's folder. */
function copied(): readonly string[] {
  return [...dockerfile.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap(([, words = '']) => words.split(' ').slice(0, -1));
}

it('copies what the project has, and .dockerignore lets each of it through', async () => {
  const ignore = (await readFile(join(root, '.dockerignore'), 'utf8')).split('\n');
  expect(ignore[0]).toBe('*');
  expect(copied()).toContain('src');
  for (const path of copied()) {
    await stat(join(root, path));
    expect(ignore).toContain(`!${path.split('/')[0]}`);
  }
});

it('copies all sources that make build reads', async () => {
  const makefile = await readFile(join(root, 'Makefile'), 'utf8');
  const [, folders = ''] = /^sources := \$\(shell find ([\w ]+) /m.exec(makefile) ?? [];
  expect(folders.split(' ').length).toBeGreaterThan(2);
  expect(copied()).toEqual(expect.arrayContaining(folders.split(' ')));
});

it('takes along what the program needs, and the program writes nothing beside itself', async () => {
  const [, command = ''] = /^RUN mkdir \/image && (cp .*) \/image$/m.exec(dockerfile) ?? [];
  await run(['bash', '-euc', `cd "$0" && ${command} "$1"`, root, folder]);
  const program = join(folder, 'bin/flannel-vpc');
  const readOnly = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
  const argv = ['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-euc', readOnly, folder, program];
  expect(await run([...argv, 'version'])).toMatch(/^flannel-vpc \d/);
  expect(await run([...argv, 'help', 'agent'])).toContain('--kube-subnet-mgr');
});

it('has the version that the manifest names', async () => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const manifest = manifestOf(await readFile(join(root, 'deploy/kubernetes/flannel-vpc.yaml'), 'utf8'));
  const [agent] = manifest.pods('DaemonSet', 'flannel-vpc-agent').containers;
  expect(agent?.image).toBe(`flannel-vpc:${version}`);
});
