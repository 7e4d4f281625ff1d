/** A value and what it was a while ago, for reads that are eventually consistent. Values must not be changed in place. */

const longestLagMs = 60_000;

export class History<T> {
  /** The latest last. Each holds from its moment on. */
  #versions: { readonly at: number; readonly value: T }[];

  constructor(value: T) {
    this.#versions = [{ at: Number.NEGATIVE_INFINITY, value }];
  }

  get current(): T {
    return (this.#versions.at(-1) as { value: T }).value;
  }

  set(value: T): void {
    const now = performance.now();
    this.#versions.push({ at: now, value });
    const needed = this.#versions.findLastIndex(({ at }) => at <= now - longestLagMs);
    if (needed > 0) this.#versions.splice(0, needed);
  }

  /** What it was `lagMs` milliseconds ago, at most a minute. */
  before(lagMs: number): T {
    if (lagMs <= 0) return this.current;
    const moment = performance.now() - lagMs;
    return this.#versions.findLast(({ at }) => at <= moment)?.value ?? (this.#versions[0] as { value: T }).value;
  }
}
