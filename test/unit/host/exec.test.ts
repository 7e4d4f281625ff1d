import { getEventListeners } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { createPrograms, isProgramMissing } from '../../../host/exec.ts';
import { createRepeater } from '../../../host/repeater.ts';

const { run, repeat } = createPrograms();
const signal = new AbortController().signal;

describe('running a program', () => {
  it('gives what it printed and passes its input', async () => {
    const result = await run(['cat'], { signal, input: 'a $(id) "b"\n' });

    expect(result).toEqual({ exitCode: 0, stdout: 'a $(id) "b"\n', stderr: '' });
  });

  it('says which command failed, how, and what it said', async () => {
    await expect(run(['ls', '/no such'], { signal })).rejects.toMatchObject({
      code: 'HOST_COMMAND_FAILED',
      message: expect.stringMatching(/^`ls \/no such` failed \(2\): ls: cannot access/),
      details: { argv: ['ls', '/no such'], exitCode: 2, stderr: [expect.stringContaining('cannot access')] },
    });
  });

  it('names the package of a missing program', async () => {
    const error: unknown = await run(['iptables-that-is-absent'], { signal }).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({ code: 'HOST_COMMAND_FAILED', hint: 'Install the package iptables.' });
    expect(isProgramMissing(error)).toBe(true);
  });

  it('names one that cannot be started for another reason', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'exec-'));
    const loop = join(folder, 'loop');
    await symlink(loop, loop);

    await expect(run([loop], { signal }).finally(() => rm(folder, { recursive: true }))).rejects.toMatchObject({
      code: 'HOST_COMMAND_FAILED',
      message: `${loop} could not be started`,
      hint: expect.stringContaining('ELOOP'),
    });
  });

  it('ends one that misses its deadline', async () => {
    await expect(run(['sleep', '60'], { signal, deadlineMs: 50 })).rejects.toMatchObject({
      code: 'HOST_COMMAND_FAILED',
      message: '`sleep 60` was ended after 50 ms',
    });
  });

  it('ends one at an abort', async () => {
    await expect(run(['sleep', '60'], { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
      name: 'AbortError',
    });
    await expect(run(['sleep', '60'], { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('does not choke on a program that reads nothing of a long input', async () => {
    expect((await run(['true'], { signal, input: 'x'.repeat(1 << 20) })).exitCode).toBe(0);
  });

  it('hands none of our environment on but the path', async () => {
    const programs = createPrograms({ PATH: '/usr/bin', AWS_SECRET_ACCESS_KEY: 'hidden' });

    expect((await programs.run(['env'], { signal })).stdout.split('\n').sort()).toEqual([
      '',
      'LC_ALL=C',
      'PATH=/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ]);
  });
});

describe('running a program again and again', () => {
  it('gives its input anew each time, and interprets none of it', async () => {
    const repeater = repeat(['cat'], '*nat\n$(id) `id` \\ "x"\n');

    for (let round = 0; round < 3; round++) {
      expect(await repeater.run(signal)).toEqual({ exitCode: 0, stdout: '*nat\n$(id) `id` \\ "x"\n\n' });
    }
  });

  it('tells success from failure each time', async () => {
    const repeater = repeat(['sh', '-c', 'test -e /proc/self/fd/0 && exit 3'], '');

    expect(await repeater.run(signal)).toEqual({ exitCode: 3, stdout: '' });
    expect(await repeat(['absent-program'], '').run(signal)).toEqual({ exitCode: 127, stdout: '' });
  });

  it('gives up at a deadline or an abort, and starts over', async () => {
    const slow = createRepeater(['sh', '-c', 'sleep 0.2; echo done'], '', { PATH: '/usr/bin:/bin' }, 50);
    expect(await slow.run(signal)).toBeUndefined();
    expect(await slow.run(AbortSignal.abort())).toBeUndefined();

    const repeater = repeat(['sh', '-c', 'sleep 0.2; echo done'], '');
    expect(await repeater.run(AbortSignal.timeout(50))).toBeUndefined();
    expect(await repeater.run(signal)).toEqual({ exitCode: 0, stdout: 'done\n' });
  });

  it('leaves no listener behind', async () => {
    const repeater = repeat(['true'], '');
    const { signal: own } = new AbortController();
    for (let round = 0; round < 12; round++) await repeater.run(own);

    expect(getEventListeners(own, 'abort')).toEqual([]);
    await delay(0);
  });
});
