/** The usual throttle: so many requests at once, and so many more each second. */

export interface BucketSize {
  readonly burst: number;
  readonly perSecond: number;
}

export class TokenBucket {
  readonly #size: BucketSize;
  #tokens: number;
  #at = performance.now();

  constructor(size: BucketSize) {
    this.#size = size;
    this.#tokens = size.burst;
  }

  /** Takes one token. 0 when there was one, else the milliseconds until there will be. */
  take(): number {
    const { burst, perSecond } = this.#size;
    const now = performance.now();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1000) * perSecond);
    this.#at = now;
    if (this.#tokens < 1) return ((1 - this.#tokens) / perSecond) * 1000;
    this.#tokens -= 1;
    return 0;
  }
}
