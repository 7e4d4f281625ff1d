/** Waiting for a promise that knows no signal. */

/** Resolves with the promise, or rejects as soon as the signal fires. */
export async function untilDone<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Its failure is nobody's news once it is not waited for.
  promise.catch(() => {});
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
