/** How calls meet a memory cloud: the log of them, faults, held calls, throttling and slowness. */
import type { Clock } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';

/** A seam method; `apply` is told apart by the change's action. */
export type MemoryAction =
  | 'identify'
  | 'resolve'
  | 'instances'
  | 'prepare'
  | 'tables'
  | 'diagnose'
  | 'create'
  | 'replace'
  | 'delete';

export interface MemoryCall {
  readonly action: MemoryAction;
  /** The instance whose provider made the call. */
  readonly caller: string;
  readonly tableId?: string | undefined;
  /** Canonical CIDR. */
  readonly destination?: string | undefined;
  readonly nicId?: string | undefined;
}

export interface LoggedCall extends MemoryCall {
  /** Monotonic milliseconds of the cloud's clock at arrival. */
  readonly at: number;
  /** `ok`, or the code of the error; undefined while it is under way. */
  outcome: string | undefined;
}

export interface Fault {
  /** The action it strikes; every one when absent. */
  readonly action?: MemoryAction | undefined;
  /** Only calls it returns true for. */
  readonly matches?: ((call: MemoryCall) => boolean) | undefined;
  readonly error: FlannelVpcError;
  /** How many calls it strikes. Default 1; `Infinity` until `clearFaults`. */
  readonly times?: number | undefined;
  /** `before` (default): nothing happened. `after`: the change took effect, but its answer was lost. */
  readonly when?: 'before' | 'after' | undefined;
}

/** A token bucket for each action. */
export interface ThrottleLimits {
  readonly perSecond: number;
  readonly burst: number;
}

/** Calls of one action that wait until somebody releases them. */
export interface HeldCalls {
  /** How many have come so far. */
  readonly count: number;
  /** Resolves when `count` calls have come. */
  arrived(count: number): Promise<void>;
  /** Lets all of them go, and later ones pass. */
  release(): void;
}

interface Gate {
  readonly action: MemoryAction;
  readonly opened: Promise<void>;
  came(): void;
}

/** Passes each call through log, faults, throttle and gates. */
export class Traffic {
  readonly log: LoggedCall[] = [];
  latencyMs: number;
  throttle: ThrottleLimits | undefined;
  readonly #clock: Clock;
  readonly #gates = new Set<Gate>();
  readonly #buckets = new Map<MemoryAction, { tokens: number; at: number }>();
  #faults: { readonly fault: Fault; left: number }[] = [];

  constructor(clock: Clock, options: { readonly latencyMs: number; readonly throttle: ThrottleLimits | undefined }) {
    this.#clock = clock;
    this.latencyMs = options.latencyMs;
    this.throttle = options.throttle;
  }

  inject(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  hold(action: MemoryAction): HeldCalls {
    let count = 0;
    const waiters: { readonly count: number; readonly wake: () => void }[] = [];
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const gate: Gate = {
      action,
      opened,
      came() {
        count += 1;
        for (const waiter of waiters) if (count >= waiter.count) waiter.wake();
      },
    };
    this.#gates.add(gate);
    return {
      get count() {
        return count;
      },
      arrived: async (wanted) => {
        if (count >= wanted) return;
        const { promise, resolve } = Promise.withResolvers<void>();
        waiters.push({ count: wanted, wake: resolve });
        await promise;
      },
      release: () => {
        this.#gates.delete(gate);
        open();
      },
    };
  }

  /**
   * Runs one call. Like a request on the wire, a call that is held or slow takes effect even when its caller has given up
   * meanwhile.
   */
  async pass<T>(call: MemoryCall, signal: AbortSignal, effect: () => T | Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const entry: LoggedCall = { ...call, at: this.#clock.monotonic(), outcome: undefined };
    this.log.push(entry);
    return await abandonable(this.#run(entry, effect), signal);
  }

  async #run<T>(entry: LoggedCall, effect: () => T | Promise<T>): Promise<T> {
    try {
      this.#checkThrottle(entry.action);
      for (const gate of this.#gates) {
        if (gate.action !== entry.action) continue;
        gate.came();
        await gate.opened;
      }
      if (this.latencyMs > 0) await this.#clock.sleep(this.latencyMs, new AbortController().signal);
      const fault = this.#takeFault(entry);
      if (fault && fault.when !== 'after') throw fault.error;
      const result = await effect();
      if (fault) throw fault.error;
      entry.outcome = 'ok';
      return result;
    } catch (error) {
      entry.outcome = error instanceof FlannelVpcError ? error.code : 'failed';
      throw error;
    }
  }

  #takeFault(call: MemoryCall): Fault | undefined {
    const found = this.#faults.find(
      ({ fault }) => (fault.action ?? call.action) === call.action && (fault.matches?.(call) ?? true),
    );
    if (!found) return undefined;
    found.left -= 1;
    if (found.left <= 0) this.#faults = this.#faults.filter((other) => other !== found);
    return found.fault;
  }

  #checkThrottle(action: MemoryAction): void {
    // The metadata server is the machine's own and shares no quota.
    if (!this.throttle || action === 'identify') return;
    const { perSecond, burst } = this.throttle;
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(action) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    this.#buckets.set(action, bucket);
    if (bucket.tokens < 1) throw new FlannelVpcError('THROTTLED', `the memory cloud throttles ${action}`);
    bucket.tokens -= 1;
  }
}

/** The work's result, or an AbortError as soon as the signal fires; the work itself goes on. */
async function abandonable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
