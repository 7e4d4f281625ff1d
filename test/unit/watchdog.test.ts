/** When the service manager is told that all is well. */
import { describe, expect, test } from '@jest/globals';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import { createLoops, keepWatchdog, longestRoundMs } from '../../src/watchdog.ts';
import { createTestClock } from '../support/test-clock.ts';

const enabled = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '30000000' };

function begin(env: Readonly<Record<string, string>> = enabled) {
  const clock = createTestClock();
  const loops = createLoops(clock);
  const told: string[] = [];
  const errors: unknown[] = [];
  const logger: Logger = { ...silentLogger, error: (_, fields) => errors.push(fields?.['parts']) };
  const ending = new AbortController();
  const notify = async (state: string): Promise<void> => void told.push(state);
  const kept = keepWatchdog({ env, pid: 7, loops, clock, logger, notify }, ending.signal).catch(() => 'ended');
  return { clock, loops, told, errors, ending, kept };
}

describe('the watchdog', () => {
  test('hears three times in its interval that all is well', async () => {
    const { clock, told, ending, kept } = begin();
    await clock.advance(29_000);
    expect(told).toEqual(['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
    ending.abort();
    expect(await kept).toBe('ended');
  });

  test('hears nothing while a loop is late, which is logged once, and again when it comes round', async () => {
    const { clock, loops, told, errors, ending } = begin();
    loops.alive('lease', 1_000_000);
    loops.alive('host', 15_000);
    await clock.advance(59_000);
    expect(told).toHaveLength(2);
    expect(errors).toEqual(['host']);
    loops.alive('host', longestRoundMs);
    await clock.advance(10_000);
    expect(told).toHaveLength(3);
    ending.abort();
  });

  test.each([
    ['no watchdog', { NOTIFY_SOCKET: '/run/systemd/notify' }],
    ['no manager', { WATCHDOG_USEC: '30000000' }],
    ['another process’s watchdog', { ...enabled, WATCHDOG_PID: '8' }],
  ])('with %s there is nobody to tell', async (_, env) => {
    const { clock, told, kept } = begin(env);
    await clock.advance(60_000);
    expect(told).toEqual([]);
    expect(await kept).toBeUndefined();
  });

  test('of this process is told', async () => {
    const { clock, told, ending } = begin({ ...enabled, WATCHDOG_PID: '7' });
    await clock.settle();
    expect(told).toEqual(['WATCHDOG=1']);
    ending.abort();
  });
});
