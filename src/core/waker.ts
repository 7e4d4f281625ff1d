/** Waking a loop that waits: something happened, and nothing needs to be said about it. */

export interface Waker {
  wake(): void;
  /** Resolves at the next `wake`. One that came before this call is not told. */
  next(): Promise<void>;
}

export function createWaker(): Waker {
  let waiting = Promise.withResolvers<void>();
  return {
    wake() {
      waiting.resolve();
      waiting = Promise.withResolvers<void>();
    },
    next: () => waiting.promise,
  };
}
