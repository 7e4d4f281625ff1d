/** What an operator's command works on: its arguments, the console, and the stores, which are closed at its end. */
import type { Stores } from '../../lease/stores.ts';
import { etcdOptions, type FlagReader } from '../cli/flag-reader.ts';
import { kubernetesFlags } from '../cli/kubernetes-flags.ts';
import { type Clock, type Random, systemClock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import { endBySignal } from '../end-by-signal.ts';
import { createLogger } from '../logging.ts';
import { openStores } from '../stores.ts';
import type { Console } from './console.ts';

export interface Session {
  readonly get: FlagReader;
  /** Arguments that are no flags, in order, without the verb. */
  readonly operands: readonly string[];
  readonly console: Console;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** Fires at SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

export interface StoreSession extends Session {
  readonly stores: Stores;
}

/** Longest time for one call to the store, milliseconds: a person waits for it. */
const storeDeadlineMs = 5_000;

/** Runs a command that needs no store; what it logs goes to standard error. */
export async function withSession(
  input: Pick<Session, 'get' | 'operands' | 'console' | 'environment'>,
  run: (session: Session) => Promise<number>,
): Promise<number> {
  const logger = createLogger({
    format: 'auto',
    level: 'warn',
    write: (line) => void process.stderr.write(line),
    isTerminal: process.stderr.isTTY ?? false,
  });
  const ending = endBySignal({ process, clock: systemClock, logger });
  try {
    return await run({ ...input, logger, clock: systemClock, random: Math.random, signal: ending.signal });
  } finally {
    ending.ended();
  }
}

/** Opens the stores that the flags name and runs the command. @throws CONFIG_INVALID for endpoints and certificates. */
export function withStores(run: (session: StoreSession) => Promise<number>): (session: Session) => Promise<number> {
  return async (session) => {
    const stores = await openStores(
      { etcd: etcdOptions(session.get), kubernetes: kubernetesFlags(session.get) },
      { ...session, deadlineMs: storeDeadlineMs },
      { isNode: false },
      session.signal,
    );
    try {
      return await run({ ...session, stores });
    } finally {
      await stores.close();
    }
  };
}
