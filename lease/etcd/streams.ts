/** gRPC streams and cancellation, in the form of promises and async iterables. */
import type { IDuplexStream, WatchClient } from 'etcd3';

/** Options of one gRPC call, as etcd3 takes them. */
export type EtcdCallOptions = NonNullable<Parameters<WatchClient['watch']>[0]>;
type Interceptor = NonNullable<EtcdCallOptions['interceptors']>[number];

/** Runs one call that ends when the signal fires, on the wire too, or after `timeoutMs`. */
export async function withSignal<T>(
  signal: AbortSignal,
  timeoutMs: number,
  attempt: (call: EtcdCallOptions) => Promise<T>,
): Promise<T> {
  const cancels = new AbortController();
  const onAbort = Promise.withResolvers<never>();
  // Whoever wins the race, this one must not count as unhandled.
  onAbort.promise.catch(() => {});
  const abort = (): void => {
    cancels.abort();
    onAbort.reject(signal.reason);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    const call = attempt({ deadline: Date.now() + timeoutMs, interceptors: [cancelOn(cancels.signal)] });
    return await Promise.race([call, onAbort.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Sends one message and resolves with the first answer. */
export async function readOneAnswer<R>(stream: IDuplexStream<object, R>, message: object): Promise<R> {
  try {
    return await new Promise<R>((resolve, reject) => {
      stream.on('data', resolve);
      stream.on('error', reject);
      stream.on('end', () => reject(new Error('the stream ended without an answer')));
      stream.write(message);
    });
  } finally {
    stream.end();
  }
}

/**
 * Opens a stream, sends one message, and yields what comes until the signal fires; a stream that fails or ends throws. etcd
 * ends it too when the member it goes to loses its leader: without `hasleader` a watch on a cut-off member stays silent for ever.
 */
export async function* streamAnswers<R>(
  open: (call: EtcdCallOptions) => Promise<IDuplexStream<object, R>>,
  message: object,
  signal: AbortSignal,
): AsyncGenerator<R> {
  signal.throwIfAborted();
  const received: R[] = [];
  let failure: unknown;
  let wake = Promise.withResolvers<void>();
  const fail = (error: unknown): void => {
    failure ??= error;
    wake.resolve();
  };
  const onAbort = (): void => fail(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const opening = open({ interceptors: [requireLeader] });
  let stream: IDuplexStream<object, R> | undefined;
  try {
    stream = await Promise.race([opening, wake.promise.then(() => Promise.reject(failure))]);
    stream.on('data', (answer) => {
      received.push(answer);
      wake.resolve();
    });
    stream.on('error', fail);
    stream.on('end', () => fail(new Error('the stream was ended by the server')));
    stream.write(message);
    for (;;) {
      const answer = received.shift();
      if (answer !== undefined) {
        yield answer;
        continue;
      }
      if (failure !== undefined) throw failure;
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Cancelling makes the stream emit an error once more, which must find a listener.
    if (stream) stream.cancel();
    else opening.then((late) => cancelQuietly(late)).catch(() => {});
  }
}

function cancelQuietly<R>(stream: IDuplexStream<object, R>): void {
  stream.on('error', () => {});
  stream.cancel();
}

function cancelOn(signal: AbortSignal): Interceptor {
  return (options, nextCall) => {
    const call = nextCall(options);
    // 1 is CANCELLED.
    const cancel = (): void => call.cancelWithStatus(1, 'cancelled');
    // It may have fired while a login was waited for: then no listener hears of it, and the call would go out.
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
    return asIntercepting(call);
  };
}

/** Adds the metadata that etcd's own client adds under `WithRequireLeader`. */
const requireLeader: Interceptor = (options, nextCall) => {
  const call = nextCall(options);
  const start = call.start.bind(call);
  call.start = (metadata, listener) => {
    // A copy: with authentication etcd3 hands one and the same object to every call.
    const own = metadata.clone();
    own.set('hasleader', 'true');
    start(own, listener);
  };
  return asIntercepting(call);
};

/** gRPC types an interceptor's result as a class with private members, and uses only the methods that every call has. */
function asIntercepting(call: ReturnType<Parameters<Interceptor>[1]>): ReturnType<Interceptor> {
  return call as ReturnType<Interceptor>;
}
