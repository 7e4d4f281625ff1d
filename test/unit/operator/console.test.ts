/** What an operator's command reads. */
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Console, createConsole } from '../../../src/operator/console.ts';

const own = Object.getOwnPropertyDescriptor(process, 'stdin') ?? {};
let input: PassThrough;
let console: Console;

beforeEach(() => {
  input = new PassThrough();
  Object.defineProperty(process, 'stdin', { configurable: true, value: input });
  console = createConsole({});
});
afterEach(() => {
  Object.defineProperty(process, 'stdin', own);
});

describe('standard input', () => {
  test('is read to its end', async () => {
    const reading = console.read('-', new AbortController().signal);
    input.write('{"Network":');
    input.end(' "10.5.0.0/16"}');
    expect(await reading).toBe('{"Network": "10.5.0.0/16"}');
  });

  test('whose end does not come keeps no command from being interrupted', async () => {
    const stop = new AbortController();
    const reading = console.read('-', stop.signal);
    input.write('{"Network":');
    stop.abort();
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
  });
});
