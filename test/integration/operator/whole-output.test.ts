/** What a command prints to a file is in it whole, or the command has failed. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { program } from '../../fabric/agent.ts';
import { type RunResult, runToEnd } from '../../fabric/process.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-output-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** `before` is said by the shell that opens the file. */
async function into(file: string, args: readonly string[], before = ':'): Promise<RunResult> {
  return await runToEnd(['bash', '-c', `${before}; exec "$@" >"$0"`, file, program, ...args]);
}

test.each([[['version']], [['help', 'routes']], [['completion', 'bash']]])(
  '%j onto a full disk fails',
  async (args) => {
    expect(await into('/dev/full', args)).toMatchObject({
      ...{ code: 1, stderr: expect.stringMatching(/^flannel-vpc: can't write standard output: ENOSPC.*\n.*make room/) },
    });
  },
);

test('what fits on the disk only in part is no success either', async () => {
  const whole = join(folder, 'whole');
  expect(await into(whole, ['help', 'routes'])).toMatchObject({ code: 0, stderr: '' });
  expect(await readFile(whole, 'utf8')).toBe((await runToEnd([program, 'help', 'routes'])).stdout);

  const part = join(folder, 'part');
  // Files of up to 1 kB: the first write takes that much, and no error comes of it.
  const ran = await into(part, ['help', 'routes'], 'ulimit -f 1');
  expect((await stat(part)).size).toBe(1024);
  expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining("can't write standard output: EFBIG") });
});

test('an exit code that says something else gives way to it', async () => {
  const wrong = ['netconf', 'check', '/dev/null'];
  expect(await into('/dev/null', wrong)).toMatchObject({ code: 2 });
  expect(await into('/dev/full', wrong)).toMatchObject({ code: 1, stderr: expect.stringContaining('ENOSPC') });
});
