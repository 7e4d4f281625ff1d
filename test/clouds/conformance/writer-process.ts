/** Starts a process that writes routes, serves it the store, and kills it at a moment of one's choice. */
import { type ChildProcess, fork } from 'node:child_process';
import type { CloudProvider } from '../../../providers/provider.ts';
import { isAbortError } from '../../../src/core/errors.ts';
import type { DesiredRoute } from '../../../src/routing/desired.ts';
import type { Lab } from './lab.ts';
import { signal } from './limits.ts';
import {
  type Done,
  type Orders,
  packError,
  providerMethods,
  type RemoteCall,
  storeMethods,
} from './process-message.ts';
import type { RouteStore } from './route-store.ts';

export interface Writer {
  /** Its last words, or undefined when it was killed. */
  readonly ended: Promise<Done | undefined>;
  kill(): void;
}

/** `onEvent` is called before each call of the store is answered. */
export async function startWriter(
  lab: Lab,
  store: RouteStore,
  desired: readonly DesiredRoute[],
  onEvent: () => void = () => {},
): Promise<Writer> {
  const served = await lab.provider('controller');
  const child = fork(new URL('writer-main.ts', import.meta.url).pathname, [], {
    serialization: 'advanced',
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  let words: Done | undefined;
  child.on('message', (message: RemoteCall | Done) => {
    if ('inSync' in message) words = message;
    else void answer(child, store, served, message, onEvent);
  });
  const { type, capabilities } = served;
  const { tableIds, networkId } = lab.world;
  const provider = lab.subject.outside ?? { type, capabilities };
  child.send({ desired, tableIds, networkId, provider } satisfies Orders);
  const ended = new Promise<Done | undefined>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve(words));
  });
  return { ended, kill: () => void child.kill('SIGKILL') };
}

async function answer(
  child: ChildProcess,
  store: RouteStore,
  provider: CloudProvider,
  { id, method, values }: RemoteCall,
  onEvent: () => void,
): Promise<void> {
  onEvent();
  const reply = await perform(store, provider, method, values).then(
    (value) => ({ id, value }),
    (error: unknown) => ({ id, error: packError(error) }),
  );
  if (child.connected) child.send(reply, () => {});
}

async function perform(
  { ownership, leases }: RouteStore,
  provider: CloudProvider,
  method: string,
  values: readonly unknown[],
): Promise<unknown> {
  if (method === 'leases') return await leases.list(signal());
  const of = storeMethods.some((each) => each === method) ? ownership : provider;
  if (of === provider && !providerMethods.some((each) => each === method)) throw new Error(`no method ${method}`);
  // A removal may be given one value more than it is called with.
  const given = method === 'beginRemoval' ? [values[0], values[1], signal(), values[2]] : [...values, signal()];
  const call = (of as unknown as Readonly<Record<string, (...given: unknown[]) => Promise<unknown>>>)[method];
  try {
    return await call?.apply(of, given);
  } catch (error) {
    if (isAbortError(error)) throw new Error('aborted', { cause: error });
    throw error;
  }
}
