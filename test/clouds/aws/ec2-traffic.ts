/** What happens to requests on their way to the emulated EC2: the log of them, faults, holds and throttling. */
import { Gates, type HeldCalls } from '../../../providers/memory/gates.ts';
import { type Ec2Refusal, refusals } from './ec2-error.ts';
import type { Ec2Request } from './ec2-request.ts';

export interface LoggedRequest {
  readonly action: string;
  /** Role and session of the caller's ARN, such as `node/i-1`. */
  readonly caller: string;
  /** The form's fields. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Wall clock milliseconds at arrival. */
  readonly at: number;
  /** `ok`, an EC2 error code, or `cut`; undefined while under way. */
  outcome: string | undefined;
}

export interface Ec2Fault {
  /** Such as `CreateRoute`; every action when absent. */
  readonly action?: string | undefined;
  /** Only callers whose `role/session` ends so. */
  readonly caller?: string | undefined;
  /** Only requests it returns true for. */
  readonly matches?: ((parameters: URLSearchParams) => boolean) | undefined;
  /** How many requests it strikes. Default 1. */
  readonly times?: number | undefined;
  /** `before` (default): nothing happened. `after`: the change took effect, the answer does not tell. */
  readonly when?: 'before' | 'after' | undefined;
  readonly effect:
    | { readonly kind: 'refuse'; readonly refusal: Ec2Refusal }
    /** The connection ends without an answer. */
    | { readonly kind: 'cut' }
    /** The answer comes this much later. */
    | { readonly kind: 'delay'; readonly ms: number }
    /** What a load balancer says by itself. */
    | { readonly kind: 'html'; readonly status: number };
}

/** A token bucket for each action, shared by all callers as an account's is. */
export interface Bucket {
  readonly burst: number;
  readonly perSecond: number;
}

/** EC2's published ones ("Request throttling for the Amazon EC2 API"). */
export function publishedBucket(action: string): Bucket {
  if (action.startsWith('Describe')) return { burst: 100, perSecond: 20 };
  if (action === 'ModifyNetworkInterfaceAttribute') return { burst: 100, perSecond: 5 };
  return { burst: 50, perSecond: 5 };
}

/** A request at one of the two moments at which it can be held. */
export interface PassingCall {
  readonly action: string;
  readonly caller: string;
  readonly parameters: URLSearchParams;
  /** `before` it takes effect; `after` that, and before it is answered. */
  readonly when: 'before' | 'after';
}

export class Ec2Traffic {
  readonly log: LoggedRequest[] = [];
  bucketOf: ((action: string) => Bucket) | undefined;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  readonly #gates = new Gates<PassingCall>();
  #faults: { readonly fault: Ec2Fault; left: number }[] = [];

  record(request: Ec2Request, caller: string): LoggedRequest {
    const { Action, Version, ...parameters } = Object.fromEntries(request.parameters);
    const entry = { action: request.action, caller, parameters, at: Date.now(), outcome: undefined };
    this.log.push(entry);
    return entry;
  }

  inject(fault: Ec2Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  takeFault({ action, parameters }: Ec2Request, caller: string): Ec2Fault | undefined {
    const found = this.#faults.find(
      ({ fault }) =>
        (fault.action ?? action) === action &&
        caller.endsWith(fault.caller ?? '') &&
        (fault.matches?.(parameters) ?? true),
    );
    if (!found) return undefined;
    found.left -= 1;
    if (found.left <= 0) this.#faults = this.#faults.filter((other) => other !== found);
    return found.fault;
  }

  hold(holds: (call: PassingCall) => boolean): HeldCalls {
    return this.#gates.hold(holds);
  }

  async passHolds({ action, parameters }: Ec2Request, caller: string, when: PassingCall['when']): Promise<void> {
    await this.#gates.pass({ action, caller, parameters, when });
  }

  /** @throws Ec2Refusal RequestLimitExceeded. */
  checkThrottle({ action }: Ec2Request): void {
    const limits = this.bucketOf?.(action);
    if (!limits) return;
    const now = performance.now();
    const bucket = this.#buckets.get(action) ?? { tokens: limits.burst, at: now };
    bucket.tokens = Math.min(limits.burst, bucket.tokens + ((now - bucket.at) / 1000) * limits.perSecond);
    bucket.at = now;
    this.#buckets.set(action, bucket);
    if (bucket.tokens < 1) throw refusals.throttled();
    bucket.tokens -= 1;
  }
}
