/** Commands of net-conf's author in a real shell: what they are told, and how they end. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runShellCommand, type ShellOptions } from '../../../host/shell-command.ts';
import type { FlannelVpcError } from '../../../src/core/errors.ts';
import { until } from '../../support/until.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shell-command-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const never = new AbortController().signal;

function sh(
  text: string,
  more: { readonly environment?: Record<string, string>; readonly input?: string; readonly signal?: AbortSignal } = {},
  options: ShellOptions = {},
): Promise<string> {
  const command = { name: 'SubnetAddCommand', text, environment: more.environment ?? {}, input: more.input ?? '' };
  return runShellCommand(command, more.signal ?? never, options);
}

async function refused(running: Promise<string>): Promise<FlannelVpcError> {
  return await running.then(
    (output) => Promise.reject(new Error(`it succeeded: ${output}`)),
    (error: FlannelVpcError) => error,
  );
}

const alive = async (pid: string): Promise<boolean> => {
  const stat = await readFile(`/proc/${pid.trim()}/stat`, 'utf8').catch(() => ') X');
  return !/\) [XZ]/.test(stat);
};

describe('a command', () => {
  test('gets the data as environment and standard input, and not one character of it is code', async () => {
    const hostile = '$(touch $F) `touch $F`; touch $F\n"\' | touch $F';
    const environment = { SUBNET: '10.5.1.0/24', F: join(folder, 'pwned') };
    const output = await sh('echo $SUBNET; IFS= read -r first; echo "$first"; cat', { environment, input: hostile });
    expect(output).toBe(`10.5.1.0/24\n${hostile}`);
    await expect(readFile(environment.F)).rejects.toThrow(/ENOENT/);
    // The same as code does touch it: what this test would see.
    await sh(hostile.split('\n')[0] ?? '', { environment });
    expect(await readFile(environment.F, 'utf8')).toBe('');
  });

  test('sees no variable of the agent but PATH and HOME', async () => {
    const env = { PATH: process.env['PATH'], HOME: '/root', ETCD_PASSWORD: 'geheim', NOTIFY_SOCKET: '/x' };
    const names = (await sh('env', {}, { env })).split('\n').map((line) => line.split('=')[0]);
    expect(names.filter((name) => !['PWD', 'OLDPWD', '_', 'SHLVL'].includes(name ?? '')).sort()).toEqual([
      ...['HOME', 'LC_ALL', 'PATH'],
    ]);
  });

  test('that fails says its name, code and errors, and never its text, input or output', async () => {
    const error = await refused(sh('PASSWORD=geheim; cat; echo oh no >&2; exit 3', { input: 'geheim too' }));
    expect(error).toMatchObject({
      ...{ code: 'HOST_COMMAND_FAILED', message: 'SubnetAddCommand failed (3): oh no' },
      details: { command: 'SubnetAddCommand', exitCode: 3, stderr: ['oh no'] },
    });
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain('geheim');
  });

  test('that reads nothing of a long input, or nothing at all, ends as it says', async () => {
    expect(await sh('echo done', { input: 'x'.repeat(16_000) })).toBe('done');
    expect((await refused(sh('exec 0<&-; exit 4', { input: 'x'.repeat(16_000) }))).details['exitCode']).toBe(4);
  });

  test('with endless output is read to its end and refused, and errors without end are cut', async () => {
    expect((await refused(sh('head -c 3000000 /dev/zero | tr "\\0" x'))).message).toMatch(/more than 16384/);
    const error = await refused(sh('head -c 3000000 /dev/zero | tr "\\0" x >&2; exit 1'));
    expect(JSON.stringify(error.details).length).toBeLessThan(1_000);
  });

  test('that hangs is ended at its deadline with all that it started', async () => {
    const file = join(folder, 'pid');
    const started = performance.now();
    const error = await refused(sh(`sleep 600 & echo $! > ${file}; wait`, {}, { deadlineMs: 300 }));
    expect(error.message).toMatch(/was ended after 300 ms/);
    expect(performance.now() - started).toBeLessThan(10_000);
    const pid = await readFile(file, 'utf8');
    await until('its child is gone', async () => !(await alive(pid)));
  });

  test('that will not hear of ending is ended all the same', async () => {
    const error = await refused(sh("trap '' TERM; while :; do sleep 0.1; done", {}, { deadlineMs: 200 }));
    expect(error.message).toMatch(/was ended after 200 ms/);
  });

  test('is ended when the agent ends, its group with it', async () => {
    const file = join(folder, 'aborted');
    const ending = new AbortController();
    const running = sh(`sleep 600 & echo $! > ${file}; wait`, { signal: ending.signal });
    await until('it has started', async () => (await readFile(file, 'utf8').catch(() => '')) !== '');
    ending.abort(new DOMException('the agent ends', 'AbortError'));
    expect((await refused(running)).name).toBe('AbortError');
    const pid = await readFile(file, 'utf8');
    await until('its child is gone', async () => !(await alive(pid)));
  });

  test('may leave a daemon behind, which holds nobody up and lives on', async () => {
    const started = performance.now();
    const pid = await sh('sleep 600 & echo $!');
    expect(performance.now() - started).toBeLessThan(10_000);
    await delay(50);
    expect(await alive(pid)).toBe(true);
    process.kill(Number(pid), 'SIGKILL');
  });
});
