/** How long a leadership is believed in, on clocks turned by hand. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Leadership } from '../../../lease/election.ts';
import { keepLeadership, momentOf, standForElection, type WonLeadership } from '../../../lease/leadership.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

const termMs = 15_000;
let clock: TestClock;
let sentAt: number[];

beforeEach(() => {
  clock = createTestClock();
  sentAt = [];
});

function keep(more: Partial<WonLeadership> = {}): Leadership {
  return keepLeadership({
    options: { holder: 'a', termMs, retryMs: 2_000 },
    ...{ clock, token: '7', aliveAt: momentOf(clock), termMs },
    async keepAlive() {
      sentAt.push(clock.monotonic());
      return true;
    },
    watch: () => new Promise(() => {}),
    giveUp: async () => {},
    ...more,
  });
}

const lost = expect.objectContaining({ code: 'LEADERSHIP_LOST' });

describe('a leadership', () => {
  it('sends one keepalive for each pause, and never more than a third of the term apart', async () => {
    keep();
    await clock.advance(20_000);
    expect(sentAt).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20].map((s) => s * 1_000));
    sentAt = [];
    keep({ options: { holder: 'a', termMs: 3_000, retryMs: 60_000 }, termMs: 3_000 });
    const from = clock.monotonic();
    await clock.advance(1_500);
    expect(sentAt.filter((at) => at === from + 1_000)).toHaveLength(1);
  });

  it('counts its term from before the last answered keepalive was sent', async () => {
    let answer = Promise.withResolvers<boolean>();
    const leadership = keep({ keepAlive: () => answer.promise });
    await clock.advance(10_000);
    answer.resolve(true);
    answer = Promise.withResolvers();
    // Sent at 2 s, answered at 10 s: it lasts until 2 + 15 - 1 s.
    await clock.advance(5_900);
    leadership.assertHeld();
    await clock.advance(200);
    expect(() => leadership.assertHeld()).toThrow(lost);
    expect(leadership.lost.aborted).toBe(true);
  });

  it('is over for who was frozen, before anything else runs', () => {
    let frozenMs = 0;
    const leadership = keep({ clock: { ...clock, monotonic: () => clock.monotonic() + frozenMs } });
    leadership.assertHeld();
    frozenMs = 14_000;
    expect(() => leadership.assertHeld()).toThrow(lost);
    frozenMs = 0;
    expect(() => leadership.assertHeld()).toThrow(lost);
  });

  it('is over for a machine that was suspended, whose monotonic clock stood still', () => {
    let suspendedMs = 0;
    const leadership = keep({ clock: { ...clock, now: () => clock.now() + suspendedMs } });
    suspendedMs = -3_600_000;
    leadership.assertHeld();
    suspendedMs = 14_000;
    expect(() => leadership.assertHeld()).toThrow(lost);
  });

  it('survives keepalives that fail, and does not send them any faster', async () => {
    const leadership = keep({
      async keepAlive() {
        sentAt.push(clock.monotonic());
        if (sentAt.length < 6) throw new Error('etcd is restarting');
        return true;
      },
    });
    await clock.advance(20_000);
    leadership.assertHeld();
    expect(sentAt).toHaveLength(10);
  });

  it('says what kept keepalives from being answered', async () => {
    const leadership = keep({
      async keepAlive() {
        throw new Error('etcd is gone');
      },
    });
    await clock.advance(14_000);
    expect(leadership.lost.reason).toMatchObject({
      message: 'the lead is lost: no keepalive was answered for 15 s (etcd is gone)',
      hint: expect.any(String),
    });
  });

  it('is lost when the store says so, in an answer or by a watch', async () => {
    const told = keep({ keepAlive: async () => false });
    await clock.advance(2_000);
    expect(told.lost.reason).toEqual(lost);
    const seen = keep({ watch: async (lose) => lose('node-2 leads now') });
    await clock.settle();
    expect(seen.lost.reason).toMatchObject({ message: 'the lead is lost: node-2 leads now' });
    const closed = keep({ watch: () => Promise.reject(new DOMException('closed', 'AbortError')) });
    await clock.settle();
    expect(closed.lost.reason).toEqual(lost);
  });

  it('stops all it does when it is lost', async () => {
    const leadership = keep();
    await leadership.resign();
    await clock.settle();
    expect(clock.pauses()).toEqual([]);
    await clock.advance(60_000);
    expect(sentAt).toEqual([]);
  });

  it.each(['fails', 'hangs'])('is given up within two seconds where the store %s', async (how) => {
    let tries = 0;
    const leadership = keep({
      giveUp(signal) {
        tries += 1;
        if (how === 'fails') return Promise.reject(new Error('etcd is gone'));
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    });
    let done = false;
    const resigning = leadership.resign().then(() => (done = true));
    expect(() => leadership.assertHeld()).toThrow(lost);
    await clock.advance(2_000);
    expect(done).toBe(true);
    await resigning;
    await leadership.resign();
    expect(tries).toBe(1);
  });
});

describe('a request that stands for election', () => {
  /** Ends with its signal, and is answered when the test says so. */
  function request(): {
    readonly answer: (text: string) => void;
    readonly run: (signal: AbortSignal) => Promise<string>;
  } {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    return {
      answer: resolve,
      run(signal) {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        return promise;
      },
    };
  }

  it('is waited for when its campaign ends, so that what it won can be given up', async () => {
    const campaign = new AbortController();
    const { answer, run } = request();
    const standing = standForElection(clock, campaign.signal, run);
    campaign.abort();
    await clock.advance(1_900);
    answer('won');
    expect(await standing).toBe('won');
    expect(clock.pauses()).toEqual([]);
  });

  it('is waited for no longer than two seconds', async () => {
    const campaign = new AbortController();
    const standing = standForElection(clock, campaign.signal, request().run);
    const ended = expect(standing).rejects.toThrow('stop now');
    await clock.advance(60_000);
    campaign.abort(new Error('stop now'));
    await clock.advance(1_999);
    expect(clock.pauses()).toEqual([1]);
    await clock.advance(1);
    await ended;
  });

  it('is not sent for a campaign that has ended', async () => {
    const sent: string[] = [];
    const send = async (): Promise<void> => void sent.push('sent');
    await expect(standForElection(clock, AbortSignal.abort(), send)).rejects.toMatchObject({ name: 'AbortError' });
    expect(sent).toEqual([]);
  });
});
