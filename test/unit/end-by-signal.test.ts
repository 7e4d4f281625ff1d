/** Being told to end: once, twice, and without an end that comes. */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { type EndBySignal, endBySignal, endingMs } from '../../src/end-by-signal.ts';
import { createTestClock, type TestClock } from '../support/test-clock.ts';

class TestProcess extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

let clock: TestClock;
let told: TestProcess;
let said: string[];
let ending: EndBySignal;

beforeEach(() => {
  clock = createTestClock();
  told = new TestProcess();
  said = [];
  ending = endBySignal({
    ...{ process: told, clock },
    onFirst: (name) => void said.push(name),
    logger: { error: (text) => void said.push(text) },
  });
});

describe('a process that is told to end', () => {
  it('ends by an abort, which is said once, whatever signals follow', async () => {
    expect(told.emit('SIGTERM')).toBe(true);
    expect(ending.signal.reason).toMatchObject({ name: 'AbortError', message: 'SIGTERM received' });
    // Each of them finds a listener: without one it would end the process on the spot.
    expect([told.emit('SIGTERM'), told.emit('SIGINT')]).toEqual([true, true]);
    await clock.advance(endingMs - 1);
    expect(said).toEqual(['SIGTERM']);
    expect(told.exits).toEqual([]);
  });

  it('exits when its end does not come in time, counted from the first signal', async () => {
    told.emit('SIGINT');
    await clock.advance(endingMs - 1);
    told.emit('SIGINT');
    await clock.advance(1);
    expect(said).toEqual(['SIGINT', 'ended without waiting any longer']);
    expect(told.exits).toEqual([1]);
  });

  it('leaves neither a listener nor a timer behind when it has ended', async () => {
    told.emit('SIGTERM');
    ending.ended();
    await clock.advance(endingMs);
    expect(said).toEqual(['SIGTERM']);
    expect(told.exits).toEqual([]);
    expect(told.eventNames()).toEqual([]);
    expect(clock.pauses()).toEqual([]);
  });
});

it('a program does to its end what it does at its end, also when it is told twice', async () => {
  const program = fileURLToPath(new URL('ending-program.ts', import.meta.url));
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'ignore'] });
  const output: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => void output.push(text));
  const ended = once(child, 'close');
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  while (!output.join('').includes('ending')) await once(child.stdout, 'data');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) child.kill(signal);
  expect(await ended).toEqual([0, null]);
  expect(output.join('')).toBe('running\nending\ngiven up\n');
});
