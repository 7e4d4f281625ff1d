/** What happens to requests on their way into a simulated cloud: the log of them, faults, holds and the throttle. */
import { Gates, type HeldCalls } from '../../../providers/memory/gates.ts';
import type { CloudFault, CloudRequest } from '../cloud-world.ts';
import { type BucketSize, TokenBucket } from './token-bucket.ts';

export class Traffic {
  #log: CloudRequest[] = [];
  #faults: { readonly fault: CloudFault; left: number }[] = [];
  #size: BucketSize | undefined;
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #gates = new Gates<string>();

  /** In order of arrival. */
  get log(): readonly CloudRequest[] {
    return this.#log;
  }

  resetLog(): void {
    this.#log = [];
  }

  record(operation: string, caller: string, changes: boolean): CloudRequest {
    const entry: CloudRequest = { operation, caller, changes, at: Date.now(), outcome: undefined };
    this.#log.push(entry);
    return entry;
  }

  inject(fault: CloudFault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  /** The oldest fault that strikes this request, used up once by it. */
  takeFault(operation: string): CloudFault | undefined {
    const found = this.#faults.find(({ fault }) => fault.operation?.test(operation) ?? true);
    if (!found) return undefined;
    found.left -= 1;
    if (found.left <= 0) this.#faults = this.#faults.filter((other) => other !== found);
    return found.fault;
  }

  /** One bucket of this size for each name that `throttled` is asked about; none when undefined. */
  setThrottle(size: BucketSize | undefined): void {
    this.#size = size;
    this.#buckets.clear();
  }

  /** Whether it is too much, and then for how long, milliseconds; undefined when it may pass. */
  throttled(bucket: string): number | undefined {
    if (!this.#size) return undefined;
    const known = this.#buckets.get(bucket) ?? new TokenBucket(this.#size);
    this.#buckets.set(bucket, known);
    const wait = known.take();
    return wait > 0 ? wait : undefined;
  }

  /** Freezes requests of these operations before they take effect. */
  hold(operation: RegExp): HeldCalls {
    return this.#gates.hold((asked) => operation.test(asked));
  }

  async passHolds(operation: string): Promise<void> {
    await this.#gates.pass(operation);
  }
}
