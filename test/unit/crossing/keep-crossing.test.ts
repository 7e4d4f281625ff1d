/** The loop around the book: whom it asks, by what way, and what it says. */
import { expect, test } from '@jest/globals';
import type { EchoRequests } from '../../../host/echo.ts';
import { formatIp, type Ip } from '../../../src/core/ip.ts';
import type { Logger } from '../../../src/core/log.ts';
import { crossingPart, keepCrossing } from '../../../src/crossing/keep-crossing.ts';
import { PeerBook } from '../../../src/crossing/peer-book.ts';
import { createReadiness } from '../../../src/health/status.ts';
import { cidr, ip } from '../../support/addresses.ts';

interface Lab {
  /** What happened, in order. */
  readonly events: string[];
  readonly note: () => string | undefined;
}

/** Runs the loop over two peers until the clock has slept `sleeps` times. */
async function run(
  { answers, stands = () => true }: { answers: (asked: EchoRequests) => number; stands?: (address: Ip) => boolean },
  sleeps: number,
): Promise<Lab> {
  const events: string[] = [];
  const readiness = createReadiness({});
  const book = new PeerBook(() => 0.5);
  const routes = [1, 2].map((n) => ({
    ...{ destination: cidr(`10.5.${n}.0/24`), gateway: ip(`10.5.${n}.0`), device: 'flannel.1' },
  }));
  const entries = { routes, neighbours: [], forwarding: [] };
  book.update(entries, 0);
  const ending = new AbortController();
  let now = 0;
  let left = sleeps;
  const logger: Logger = { debug() {}, info() {}, error() {}, warn: (message) => void events.push(`warn ${message}`) };
  const ended = keepCrossing(
    {
      ...{ book, from: { 4: ip('10.5.9.0') }, readiness, logger },
      host: {
        async countEchoes(asked) {
          events.push(`ask ${formatIp(asked.to)} ${asked.count}`);
          return answers(asked);
        },
      },
      async settle(detours) {
        const overlay = book.withdrawn(entries).routes.length;
        events.push(`settle [${detours.map(formatIp)}], ${overlay} by the overlay`);
        return detours.filter(stands);
      },
      clock: {
        now: () => now,
        monotonic: () => now,
        async sleep(ms) {
          if (left-- === 0) ending.abort();
          ending.signal.throwIfAborted();
          now += ms;
        },
      },
    },
    ending.signal,
  );
  await expect(ended).rejects.toThrow(/abort/i);
  return { events, note: () => readiness.notes()[crossingPart] };
}

test('who answers every request by a detour gets across, in the settling that takes the detours out again', async () => {
  const { events, note } = await run({ answers: ({ count }) => count }, 0);
  expect(events).toEqual([
    'settle [10.5.1.0,10.5.2.0], 2 by the overlay',
    'ask 10.5.1.0 5',
    'ask 10.5.2.0 5',
    'settle [], 0 by the overlay',
  ]);
  expect(note()).toBeUndefined();
});

test('four answers of five are not enough, and the note names who is left', async () => {
  const { events, note } = await run({ answers: ({ to }) => (formatIp(to) === '10.5.2.0' ? 4 : 5) }, 0);
  expect(events.at(-2)).toBe('settle [], 1 by the overlay');
  expect(note()).toBe('1 of 2 peers are reached by the cloud’s routes, by the overlay still 10.5.2.0/24');
});

test('nobody is asked without a detour that stands: the overlay would answer', async () => {
  const { events } = await run({ answers: ({ count }) => count, stands: () => false }, 0);
  expect(events.filter((event) => event.startsWith('ask'))).toEqual([]);
  expect(events).toContain('settle [], 2 by the overlay');
});

test('who is across is asked without a detour, and goes back after two series without an answer', async () => {
  let series = 0;
  const { events } = await run(
    { answers: ({ count, to }) => (formatIp(to) === '10.5.1.0' || series++ === 0 ? count : 0) },
    2,
  );
  expect(events.slice(4)).toEqual([
    'ask 10.5.1.0 3',
    'ask 10.5.2.0 3',
    'ask 10.5.2.0 3',
    'settle [], 1 by the overlay',
    expect.stringMatching(/^warn peers do not answer by the cloud’s routes any more/),
    expect.stringMatching(/^warn not every peer/),
  ]);
});
