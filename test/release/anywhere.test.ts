/** The single file alone, on a machine with nothing of ours: what it says, what it leaves behind, and what it does not listen to. */
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { program } from '../fabric/agent.ts';
import { type Process, type RunResult, run, runToEnd, start } from '../fabric/process.ts';

const bundle = fileURLToPath(new URL('../../bin/flannel-vpc', import.meta.url));
const usage = 2;

let folder: string;
let empty: string;
/** A copy, with neither node_modules nor dist near it. */
let copy: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-release-'));
  await chmod(folder, 0o755);
  empty = join(folder, 'empty');
  await mkdir(empty);
  const bin = join(folder, 'bin');
  await mkdir(bin);
  copy = join(bin, 'flannel-vpc');
  await copyFile(program, copy);
  for (const name of ['flanneld', 'mk-docker-opts.sh']) await symlink(copy, join(bin, name));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** With nothing in its environment but a PATH that leads to nothing. */
async function alone(argv: readonly string[], env: readonly string[] = []): Promise<RunResult> {
  return await runToEnd(['env', '-i', '-C', empty, `PATH=${empty}`, ...env, ...argv]);
}

test.each([
  ['version'],
  ['help'],
  ['help', 'agent'],
  ['help', 'netconf'],
  ['completion', 'bash'],
  ['completion', 'zsh'],
  ['agent', '--nonsense'],
  ['controller', '--nonsense'],
  ['netconf', 'check', '/nowhere.json'],
  ['nonsense'],
])('"%s %s" ends as it does by the bundle, at the first start and at the second', async (...words) => {
  const args = words.filter((word) => word !== undefined);
  const expected = await runToEnd([bundle, ...args]);
  const first = await alone([copy, ...args]);
  expect(first).toEqual(expected);
  expect(await alone([copy, ...args])).toEqual(first);
});

test('a version is printed and nothing else, no warning of Node either', async () => {
  expect(await alone([copy, 'version'])).toEqual({
    ...{ code: 0, stdout: expect.stringMatching(/^flannel-vpc \d+\.\d+\.\d+\n$/), stderr: '' },
  });
});

test('a wrong flag ends with 2 and names the flag', async () => {
  const { code, stderr } = await alone([copy, 'agent', '--nonsense']);
  expect(code).toBe(usage);
  expect(stderr).toContain('-nonsense');
});

describe('the name it is called by', () => {
  const called = (name: string, ...args: readonly string[]): Promise<RunResult> =>
    alone([join(folder, 'bin', name), ...args]);

  test('flanneld is the agent, whatever comes first', async () => {
    expect(await called('flanneld', '--version')).toMatchObject({ code: 0, stderr: expect.stringMatching(/^v\d/) });
    expect(await called('flanneld', '--nonsense')).toMatchObject({ code: usage });
    // By its own name that is a command.
    expect(await called('flannel-vpc', 'version')).toMatchObject({ stdout: expect.stringContaining('flannel-vpc') });
  });

  test('mk-docker-opts.sh is docker-opts', async () => {
    expect(await called('mk-docker-opts.sh', '-x')).toMatchObject({
      ...{ code: 1, stderr: expect.stringContaining('Illegal option -x') },
    });
  });

  test('a flag as the first word is the agent’s', async () => {
    expect(await called('flannel-vpc', '--nonsense')).toMatchObject({ code: usage });
  });

  test('counts more than what another program left in the environment', async () => {
    const left = await alone([copy, 'version'], ['FLANNEL_VPC_CALLED_AS=flanneld']);
    expect(left).toMatchObject({ code: 0, stdout: expect.stringMatching(/^flannel-vpc \d/) });
  });
});

test('it runs for any user, from a place that nobody can write to, and leaves nothing behind', async () => {
  const script = `
    mount -t tmpfs tmpfs "$1" && mkdir "$1/home" && cp "$2" "$1/flannel-vpc" && mount -o remount,ro "$1"
    user=
    [ "$(wc -l < /proc/self/uid_map)" -eq 1 ] && grep -q ' 1$' /proc/self/uid_map ||
      user="setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --no-new-privs --"
    cd "$1/home"
    HOME="$1/home" TMPDIR="$1/home" $user "$1/flannel-vpc" version
    HOME="$1/home" TMPDIR="$1/home" $user "$1/flannel-vpc" help agent
    find "$1" -type f`;
  const place = join(folder, 'read-only');
  await mkdir(place);
  const argv = ['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-euc', script, 'sh', place, copy];
  const said = await run(argv);
  expect(said).toMatch(/^flannel-vpc \d/);
  expect(said).toContain('--kube-subnet-mgr');
  expect(said.trimEnd().split('\n').at(-1)).toBe(join(place, 'flannel-vpc'));
  expect(await readdir(empty)).toEqual([]);
});

describe('NODE_OPTIONS', () => {
  let intruder: string;

  beforeAll(async () => {
    intruder = join(folder, 'intruder.cjs');
    await writeFile(intruder, "process.stdout.write('intruder\\n');");
  });

  test.each([
    ['a script to load', () => `--require=${intruder}`],
    ['a flag that does not exist', () => '--nonsense'],
    ['a debugger to wait for', () => '--inspect-brk=127.0.0.1:0'],
    ['a heap that is too small', () => '--max-old-space-size=1'],
  ])('of %s changes nothing', async (_, value) => {
    const plain = await alone([copy, 'help', 'agent']);
    expect(await alone([copy, 'help', 'agent'], [`NODE_OPTIONS=${value()}`])).toEqual(plain);
  });

  test('of the same script does change what Node itself does', async () => {
    const { stdout } = await alone([process.execPath, '-e', '0'], [`NODE_OPTIONS=--require=${intruder}`]);
    expect(stdout).toBe('intruder\n');
  });
});

describe('SIGUSR1, at which Node opens a debugger,', () => {
  let running: Process | undefined;

  afterEach(async () => {
    await running?.kill('SIGKILL');
  });

  test.each([
    ['the single file', () => [copy]],
    ['the bundle', () => [bundle]],
  ])('does nothing to %s', async (_, argv) => {
    running = start([...argv(), 'agent', '--etcd-endpoints=http://127.0.0.1:1']);
    await running.waitForLog(/flannel-vpc agent/);
    running.signal('SIGUSR1');
    await running.waitForLog(/no answer from the lease store yet/);
    expect(running.log()).not.toContain('Debugger');
  });

  test('opens one in Node itself', async () => {
    running = start([process.execPath, '-e', "setInterval(() => {}, 1000); console.log('up')"]);
    await running.waitForLog(/up/);
    running.signal('SIGUSR1');
    await running.waitForLog(/Debugger listening/);
  });
});
