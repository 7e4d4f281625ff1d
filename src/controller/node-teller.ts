/** Tells the store's users of nodes in trouble, beside the passes, which never wait for it. */
import type { NodeNotice, NodeNotices } from '../../lease/node-notices.ts';
import type { Clock } from '../core/clock.ts';
import { isFlannelVpcError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { createRepeatGate, type RepeatGate } from '../repeats.ts';
import { Waker } from './waker.ts';

export interface NodeTellerParts {
  readonly notices: NodeNotices;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is over sooner is not told, milliseconds: a machine that starts has no NIC for a moment. */
const dampMs = 5_000;
/** Pause between two rounds, milliseconds, whatever happens meanwhile. */
const calmMs = 2_000;
/** Pause after one that failed, milliseconds. */
const failedMs = 30_000;
/** Longest pause, milliseconds. */
const idleMs = 10 * 60_000;

export class NodeTeller {
  readonly #parts: NodeTellerParts;
  readonly #waker: Waker;
  readonly #gate: RepeatGate;
  /** Undefined until the first pass has found out. */
  #current: readonly NodeNotice[] | undefined;
  /** Monotonic, by node and reason. */
  #since: ReadonlyMap<string, number> = new Map();

  constructor(parts: NodeTellerParts) {
    this.#parts = parts;
    this.#waker = new Waker(parts.clock);
    this.#gate = createRepeatGate(parts);
  }

  /** What is so now; what was before is over. */
  update(trouble: readonly NodeNotice[]): void {
    const now = this.#parts.clock.monotonic();
    const before = this.#since;
    this.#since = new Map(trouble.map((notice) => [keyOf(notice), before.get(keyOf(notice)) ?? now]));
    this.#current = trouble;
    this.#waker.wake();
  }

  /** Runs until the signal fires. */
  async run(signal: AbortSignal): Promise<never> {
    const { clock } = this.#parts;
    for (;;) {
      const pause = await this.#round(signal);
      if (this.#current) await clock.sleep(calmMs, signal);
      await this.#waker.wait(pause, 0, signal);
    }
  }

  /** Milliseconds until the next one, if nothing changes. */
  async #round(signal: AbortSignal): Promise<number> {
    const { notices, clock } = this.#parts;
    const current = this.#current;
    if (!current) return idleMs;
    const now = clock.monotonic();
    const ageOf = (notice: NodeNotice): number => now - (this.#since.get(keyOf(notice)) ?? now);
    const fresh = current.filter((notice) => ageOf(notice) < dampMs);
    const due = current.filter((notice) => ageOf(notice) >= dampMs);
    try {
      await notices.tell(due, new Set(fresh.map(({ nodeName }) => nodeName)), signal);
      this.#gate.recovered('nodes can be told of their routes again');
    } catch (error) {
      signal.throwIfAborted();
      if (!isFlannelVpcError(error)) throw error;
      this.#gate.failed(
        'warn',
        'cannot tell nodes of trouble with their routes; routes are written all the same',
        error,
      );
      return failedMs;
    }
    return Math.min(idleMs, ...fresh.map((notice) => dampMs - ageOf(notice)));
  }
}

function keyOf({ nodeName, reason }: NodeNotice): string {
  return `${nodeName} ${reason}`;
}
