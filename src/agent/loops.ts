/** Several loops that stand and fall together. */

/** Runs loops side by side until the signal fires or one of them fails, which ends the others too. */
export async function allUntilOneFails(
  signal: AbortSignal,
  loops: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<never> {
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const running = loops.map((loop) => loop(both));
  try {
    await Promise.all(running);
    // Every loop may have nothing (more) to do; the lease is held until somebody ends us.
    signal.throwIfAborted();
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    throw signal.reason;
  } finally {
    ending.abort(new DOMException('the agent ends', 'AbortError'));
    await Promise.allSettled(running);
  }
}
