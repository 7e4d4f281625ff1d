/**
 * Waiting for a usable net-conf. In etcd mode flannel never gives up on a missing or refused one, and neither do we; only
 * what a retry can't mend (an unknown backend type, both families off) ends the agent.
 */

import type { LeaseStore, NetConfDocument } from '../../lease/lease-store.ts';
import type { Clock } from '../core/clock.ts';
import { errorMessage, FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { type NetConf, parseNetConf } from '../netconf/net-conf.ts';
import { createRepeatGate } from '../repeats.ts';

/** Pause between two looks, as flannel's. One small read of one key. */
const pollMs = 1_000;
/** After this long without any answer the log says what is waited for; a person may be watching. */
const silenceMs = 2_000;

export interface NetConfWaitOptions {
  readonly store: LeaseStore;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Takes the place of the stored `Backend.Type`. */
  readonly backendType?: string | undefined;
  /** Who waits, for the words. Default the agent. */
  readonly waits?: 'agent' | 'controller' | undefined;
  /** Told why it takes long, for /readyz. */
  readonly onWaiting: (reason: string) => void;
}

/**
 * The first valid net-conf the store has, with the store's revision of it. Says what is wrong when it changes and every five minutes.
 *
 * @throws CONFIG_INVALID for problems that waiting can't mend.
 */
export async function waitForNetConf(options: NetConfWaitOptions, signal: AbortSignal): Promise<StoredNetConf> {
  let gate = createRepeatGate(options);
  let refused: string | undefined;
  const watching = new AbortController();
  options.clock.sleep(silenceMs, AbortSignal.any([signal, watching.signal])).then(
    () => options.logger.warn('no answer from the lease store yet; still trying', { store: options.store.description }),
    () => {},
  );
  for (;;) {
    const found = await readOnce(options, signal);
    watching.abort();
    if (found.kind === 'usable') {
      for (const warning of found.warnings) options.logger.warn('net-conf', { warning });
      gate.recovered('net-conf is usable now');
      return found;
    }
    if (found.kind === 'fatal') throw found.error;
    if (found.revision !== undefined && found.revision !== refused) {
      // Another net-conf is news, also when it is wrong in the way that an earlier one was.
      refused = found.revision;
      gate = createRepeatGate(options);
    }
    gate.failed('error', "Couldn't fetch network config", found.error);
    options.onWaiting(errorMessage(found.error));
    await options.clock.sleep(pollMs, signal);
  }
}

/** A net-conf as it stood in the store. */
export interface StoredNetConf {
  readonly netConf: NetConf;
  readonly revision: string;
}

/** Somebody stored another net-conf while this one was waited on: start over with that. */
export class NetConfChanged extends Error {
  override readonly name = 'NetConfChanged';
}

/**
 * Between two tries of what net-conf may be the reason for: a mended one is taken up.
 *
 * @throws NetConfChanged. A store that can't be read counts as unchanged.
 */
export async function assertNetConfStands(store: LeaseStore, revision: string, signal: AbortSignal): Promise<void> {
  const document = await store.readNetConf(signal).catch(() => undefined);
  signal.throwIfAborted();
  if (document && document.revision !== revision) throw new NetConfChanged('net-conf changed');
}

type Found =
  | ({ readonly kind: 'usable'; readonly warnings: readonly string[] } & StoredNetConf)
  /** `revision` is that of a net-conf that was refused. */
  | { readonly kind: 'wait'; readonly error: unknown; readonly revision?: string }
  | { readonly kind: 'fatal'; readonly error: FlannelVpcError };

async function readOnce(
  { store, backendType, waits = 'agent' }: Pick<NetConfWaitOptions, 'store' | 'backendType' | 'waits'>,
  signal: AbortSignal,
): Promise<Found> {
  let document: NetConfDocument | undefined;
  try {
    document = await store.readNetConf(signal);
    if (!document) {
      return {
        kind: 'wait',
        error: new FlannelVpcError(
          'CONFIG_INVALID',
          'flannel config not found in etcd store. Did you create your config using etcdv3 API?',
          { hint: `Put net-conf.json at ${store.description}, key "config"; the ${waits} waits for it.` },
        ),
      };
    }
  } catch (error) {
    signal.throwIfAborted();
    // As flannel does: a user or certificate that etcd refuses is a mistake in the flags.
    if (isFlannelVpcError(error, 'STORE_DENIED')) return { kind: 'fatal', error };
    // A file that is not there is a mistake in the manifest.
    if (isFlannelVpcError(error, 'CONFIG_INVALID') && !store.allocates) return { kind: 'fatal', error };
    return { kind: 'wait', error };
  }
  const parsed = parseNetConf(document.text, { backendType, anyLength: !store.allocates });
  if (parsed.ok) {
    return { kind: 'usable', netConf: parsed.netConf, revision: document.revision, warnings: parsed.warnings };
  }
  // As in flannel: a net-conf that is refused is waited for, and only a sound one that asks for the impossible ends the agent.
  const fatal = !store.allocates || parsed.problems.every((problem) => problem.severity === 'exit');
  const overlay =
    fatal && waits === 'controller' && backendType === undefined
      ? ' For routes of a cluster that still runs another backend, give --backend-type=aws-vpc --backend-types=all.'
      : '';
  const error = new FlannelVpcError('CONFIG_INVALID', parsed.problems.map((problem) => problem.message).join('; '), {
    hint: `Check it with "flannel-vpc netconf check FILE" and store it again${fatal ? `, then start the ${waits}` : `; the ${waits} goes on by itself`}.${overlay}`,
  });
  return fatal ? { kind: 'fatal', error } : { kind: 'wait', error, revision: document.revision };
}
