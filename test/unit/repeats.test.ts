/** Saying the same thing once, then rarely. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createRepeatGate, type RepeatGate, repeatIntervalMs } from '../../src/repeats.ts';
import { createTestClock, type TestClock } from '../support/test-clock.ts';

describe('a gate for repeated failures', () => {
  let clock: TestClock;
  let gate: RepeatGate;
  let lines: string[];

  beforeEach(() => {
    clock = createTestClock();
    lines = [];
    const say =
      (level: string) =>
      (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
        void lines.push([level, message, fields['error']].filter((part) => part !== undefined).join(' '));
    const logger = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
    gate = createRepeatGate({ logger, clock });
  });

  const fail = (error: string): void => gate.failed('error', 'no', new Error(error));

  it('says a failure once, and again after five minutes', async () => {
    fail('a');
    await clock.advance(repeatIntervalMs - 1);
    fail('a');
    expect(lines).toEqual(['error no a']);
    await clock.advance(1);
    fail('a');
    expect(lines).toEqual(['error no a', 'error no a']);
  });

  it('says each of two failures that take turns once', async () => {
    for (let turn = 0; turn < 50; turn++) {
      fail('a');
      fail('b');
      await clock.advance(1_000);
    }
    expect(lines).toEqual(['error no a', 'error no b']);
  });

  it('says that it works again once, and only after a failure was said', () => {
    gate.recovered('yes');
    fail('a');
    gate.recovered('yes');
    gate.recovered('yes');
    expect(lines).toEqual(['error no a', 'info yes']);
  });

  it('says a failure that takes turns with success once in a while', async () => {
    for (let turn = 0; turn < 70; turn++) {
      fail('a');
      await clock.advance(5_000);
      gate.recovered('yes');
    }
    expect(lines).toEqual(['error no a', 'info yes', 'error no a', 'info yes']);
  });
});
