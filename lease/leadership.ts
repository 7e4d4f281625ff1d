/**
 * A leadership that was won, for every store: kept alive until it is lost or given up, and never believed in for longer than the
 * store is sure to let it stand.
 */
import type { Clock } from '../src/core/clock.ts';
import { withDeadline } from '../src/core/deadline.ts';
import { errorMessage, FlannelVpcError } from '../src/core/errors.ts';
import type { ElectionOptions, Leadership } from './election.ts';
import { leadershipLost } from './failures.ts';

/** One moment on both clocks. */
export interface Moment {
  /** Monotonic milliseconds. */
  readonly monotonic: number;
  /** Wall clock, milliseconds. */
  readonly wall: number;
}

export function momentOf(clock: Clock): Moment {
  return { monotonic: clock.monotonic(), wall: clock.now() };
}

export interface WonLeadership {
  readonly options: ElectionOptions;
  readonly clock: Clock;
  readonly token: string;
  /** Taken just before that was sent which the store counts the first term from. */
  readonly aliveAt: Moment;
  /** How long the store lets it stand without a keepalive, milliseconds; never more than it really does. */
  readonly termMs: number;
  /** Begins another term in the store. False when the store says that it is over; throws where the store does not answer. */
  keepAlive(signal: AbortSignal): Promise<boolean>;
  /** Looks on until the signal fires, and says why it is lost as soon as the store shows it. */
  watch(lose: (why: string) => void, signal: AbortSignal): Promise<void>;
  /** Ends it in the store. */
  giveUp(signal: AbortSignal): Promise<void>;
}

/** Longest time to give it up, milliseconds. The store ends it anyway, a term later. */
const resignMs = 2_000;

/**
 * How long before the end of the term a leader stops, milliseconds: for clocks that differ a little, and for a member of the store that
 * was cut off from the others and answered keepalives until it knew.
 */
function marginMs(termMs: number): number {
  return Math.min(1_000, termMs / 10);
}

/** Tells the store that a leadership is over, within `resignMs`. Never throws: the store ends it anyway. */
export async function givingUp(clock: Clock, effect: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const error = (): Error => new FlannelVpcError('STORE_UNAVAILABLE', 'no answer in time');
  const call = { clock, ms: resignMs, signal: new AbortController().signal, error };
  await withDeadline(call, effect).catch(() => {});
}

/**
 * Stands for election by one request, which the end of the campaign does not cut off: nobody would know whether it took effect, and then
 * nobody would lead for a term. It has `resignMs` more.
 */
export async function standForElection<T>(
  clock: Clock,
  campaign: AbortSignal,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const overdue = new AbortController();
  const done = new AbortController();
  const end = (): void => {
    clock.sleep(resignMs, done.signal).then(
      () => overdue.abort(campaign.reason),
      () => {},
    );
  };
  campaign.throwIfAborted();
  campaign.addEventListener('abort', end, { once: true });
  try {
    return await request(overdue.signal);
  } finally {
    campaign.removeEventListener('abort', end);
    done.abort();
  }
}

/** Begins to keep it. It ends by `resign`, or when it is lost. */
export function keepLeadership(won: WonLeadership): Leadership {
  const { options, clock, token, termMs } = won;
  const lost = new AbortController();
  let aliveAt = won.aliveAt;
  let resigned: Promise<void> | undefined;
  let trouble = '';

  function lose(why: string): void {
    if (!lost.signal.aborted) lost.abort(leadershipLost(why));
  }

  /**
   * Milliseconds left. By the monotonic clock, which no operator sets; and by the wall clock, since the monotonic one stands still
   * while the machine is suspended. One that was set forward costs an election, no more.
   */
  function leftMs(): number {
    const gone = Math.max(clock.monotonic() - aliveAt.monotonic, clock.now() - aliveAt.wall);
    return termMs - marginMs(termMs) - gone;
  }

  function loseWhenOver(): boolean {
    if (leftMs() <= 0) lose(`no keepalive was answered for ${termMs / 1_000} s${trouble}`);
    return lost.signal.aborted;
  }

  async function keepAlive(): Promise<void> {
    const pauseMs = Math.min(options.retryMs, termMs / 3);
    const overdue = (): Error => new FlannelVpcError('STORE_UNAVAILABLE', 'no answer within the term');
    while (!loseWhenOver()) {
      await clock.sleep(Math.min(pauseMs, leftMs()), lost.signal);
      if (loseWhenOver()) return;
      const sentAt = momentOf(clock);
      try {
        const call = { clock, ms: leftMs(), signal: lost.signal, error: overdue };
        if (!(await withDeadline(call, (signal) => won.keepAlive(signal)))) lose('its term has ended in the store');
        aliveAt = sentAt;
        trouble = '';
      } catch (error) {
        // Tried again until the term is over: what ends it is not this call but the silence.
        trouble = ` (${errorMessage(error)})`;
      }
    }
  }

  for (const effort of [keepAlive(), won.watch(lose, lost.signal)]) {
    // Fails at its end; and when the store's connection is closed, after which nothing keeps it up.
    effort.catch((error: unknown) => lose(errorMessage(error)));
  }

  return {
    holder: options.holder,
    since: won.aliveAt.monotonic,
    token,
    lost: lost.signal,
    assertHeld() {
      if (loseWhenOver()) throw lost.signal.reason;
    },
    resign() {
      lose('it was given up');
      resigned ??= givingUp(clock, (signal) => won.giveUp(signal));
      return resigned;
    },
  };
}
