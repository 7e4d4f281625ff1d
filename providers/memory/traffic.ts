/** How calls meet a memory cloud: the log of them, faults, held calls, throttling and slowness. */

import type { Clock } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { Gates, type HeldCalls } from './gates.ts';

/** A seam method; `apply` is told apart by the change's action, `batch` is `applyBatch`. */
export type MemoryAction =
  | 'identify'
  | 'resolve'
  | 'instances'
  | 'prepare'
  | 'tables'
  | 'diagnose'
  | 'create'
  | 'replace'
  | 'delete'
  | 'batch';

const changing: readonly MemoryAction[] = ['prepare', 'create', 'replace', 'delete', 'batch'];

/** Whether a call of the action may change something. */
export function changes(action: MemoryAction): boolean {
  return changing.includes(action);
}

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
  /** What the call ends with; without one it is only late. */
  readonly error?: FlannelVpcError | undefined;
  /** Milliseconds for which the call waits before anything happens. Default 0. */
  readonly delayMs?: number | undefined;
  /** How many calls it strikes. Default 1; `Infinity` until `clearFaults`. */
  readonly times?: number | undefined;
  /**
   * `before` (default): nothing happened. `after`: the change took effect, but its answer was lost. `half`: of a batch the first half
   * was made; any other call as with `before`.
   */
  readonly when?: 'before' | 'after' | 'half' | undefined;
}

/** How the cloud carries a call out. */
export interface Passage {
  /** Calls of one queue that come while one is under way are refused: the cloud is busy. */
  readonly queue?: string | undefined;
}

/** A token bucket for each action. */
export interface ThrottleLimits {
  readonly perSecond: number;
  readonly burst: number;
}

/** Passes each call through log, faults, throttle and gates. */
export class Traffic {
  readonly log: LoggedCall[] = [];
  latencyMs: number;
  throttle: ThrottleLimits | undefined;
  /** How much longer calls that change something take, milliseconds. */
  changeMs = 0;
  /** Whether the caller may make this call. */
  allows: (call: MemoryCall) => boolean = () => true;
  readonly #clock: Clock;
  readonly #busy = new Set<string>();
  readonly #gates = new Gates<MemoryCall>();
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
    return this.#gates.hold((call) => call.action === action);
  }

  /**
   * Runs one call. Like a request on the wire, a call that is held or slow takes effect even when its caller has given up
   * meanwhile.
   */
  async pass<T>(
    call: MemoryCall,
    signal: AbortSignal,
    effect: (half: boolean) => T | Promise<T>,
    { queue }: Passage = {},
  ): Promise<T> {
    signal.throwIfAborted();
    const entry: LoggedCall = { ...call, at: this.#clock.monotonic(), outcome: undefined };
    this.log.push(entry);
    return await abandonable(this.#run(entry, effect, queue), signal);
  }

  async #run<T>(entry: LoggedCall, effect: (half: boolean) => T | Promise<T>, queue: string | undefined): Promise<T> {
    if (queue !== undefined && this.#busy.has(queue)) {
      entry.outcome = 'TRANSIENT';
      throw busy(entry.action);
    }
    if (queue !== undefined) this.#busy.add(queue);
    try {
      return await this.#pass(entry, effect);
    } finally {
      if (queue !== undefined) this.#busy.delete(queue);
    }
  }

  async #pass<T>(entry: LoggedCall, effect: (half: boolean) => T | Promise<T>): Promise<T> {
    try {
      this.#checkRights(entry);
      this.#checkThrottle(entry.action);
      await this.#gates.pass(entry);
      const fault = this.#takeFault(entry);
      const latency = this.latencyMs + (changes(entry.action) ? this.changeMs : 0) + (fault?.delayMs ?? 0);
      if (latency > 0) await this.#clock.sleep(latency, new AbortController().signal);
      const half = fault?.when === 'half' && entry.action === 'batch';
      if (fault?.error && fault.when !== 'after' && !half) throw fault.error;
      const result = await effect(half);
      if (fault?.error) throw fault.error;
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

  #checkRights(call: MemoryCall): void {
    if (this.allows(call)) return;
    throw new FlannelVpcError('PERMISSION_DENIED', `${call.caller} may not ${call.action} in the memory cloud`, {
      hint: `allow ${call.action} for ${call.caller}`,
      details: { action: call.action },
    });
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

/** What a cloud says that makes one change after the other. */
function busy(action: MemoryAction): FlannelVpcError {
  const hint = 'send one change after the other';
  return new FlannelVpcError('TRANSIENT', `the memory cloud is busy with another change: no ${action} now`, {
    ...{ hint, retryAfterMs: 50 },
  });
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
