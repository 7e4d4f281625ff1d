/** Waiting in tests for what comes about by itself. */
import { setTimeout as delay } from 'node:timers/promises';

/** Looks ten times a second until it holds. @throws Error naming what did not come about in time. */
export async function until(what: string, holds: () => Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(100);
  }
}
