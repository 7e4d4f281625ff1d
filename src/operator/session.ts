/** What an operator's command works on: opened from its flags, ended by Ctrl-C or its time-out, closed at the end. */

import { createEtcdStores, type EtcdStores } from '../../lease/etcd/stores.ts';
import type { Flag } from '../cli/flag.ts';
import { etcdOptions, type FlagReader, readFlags } from '../cli/flag-reader.ts';
import { parseFlags } from '../cli/parse-flags.ts';
import { type Clock, type Random, systemClock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import { createLogger } from '../logging.ts';

export interface Session {
  readonly get: FlagReader;
  /** Arguments that are no flags, in order. */
  readonly operands: readonly string[];
  readonly stores: EtcdStores;
  readonly environment: NodeJS.ProcessEnv;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** Longest time for one call to etcd, milliseconds. */
const etcdDeadlineMs = 6_000;

/**
 * Parses flags, which may stand before, between and after the operands, opens the stores and runs the command.
 *
 * @throws USAGE and CONFIG_INVALID for flags, and whatever the command throws.
 */
export async function withSession(
  input: { readonly argv: readonly string[]; readonly environment: NodeJS.ProcessEnv; readonly flags: readonly Flag[] },
  run: (session: Session) => Promise<number>,
): Promise<number> {
  const { flagArguments, operands } = separate(input.argv, input.flags);
  const get = readFlags(parseFlags({ flags: input.flags, argv: flagArguments, environment: input.environment }));
  const logger = createLogger({
    format: 'auto',
    level: 'warn',
    write: (line) => void process.stderr.write(line),
    isTerminal: process.stderr.isTTY ?? false,
  });
  const ending = new AbortController();
  const end = (): void => ending.abort(new DOMException('interrupted', 'AbortError'));
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, end);
  const etcd = etcdOptions(get);
  const base = { logger, clock: systemClock, random: Math.random };
  const stores = createEtcdStores({
    ...base,
    ...etcd,
    deadlineMs: etcdDeadlineMs,
    password: etcd.password.reveal(),
  });
  try {
    return await run({ ...base, get, operands, stores, environment: input.environment, signal: ending.signal });
  } finally {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.removeListener(name, end);
    await stores.close();
  }
}

/** `parseFlags` knows no operands: Go's syntax ends at the first one, and people write `leases release SUBNET -o json`. */
function separate(
  argv: readonly string[],
  flags: readonly Flag[],
): { readonly flagArguments: readonly string[]; readonly operands: readonly string[] } {
  const takesValue = new Set(flags.filter(({ kind }) => kind !== 'boolean').map(({ name }) => name));
  const flagArguments: string[] = [];
  const operands: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? '';
    // A lone dash is standard input.
    if (!argument.startsWith('-') || argument === '-') {
      operands.push(argument);
      continue;
    }
    flagArguments.push(argument);
    const name = argument.replace(/^--?/, '');
    const value = argv[at + 1];
    if (takesValue.has(name) && value !== undefined) {
      flagArguments.push(value);
      at += 1;
    }
  }
  return { flagArguments, operands };
}
