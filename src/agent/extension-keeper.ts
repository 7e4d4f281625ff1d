/** Runs the commands of net-conf's author as leases come, change and go: one at a time, as flannel does, since scripts rely on it. */
import type { ExternalInterface, Host } from '../../host/host.ts';
import type { Lease, LeaseKey } from '../../lease/lease.ts';
import type { LeaseStore } from '../../lease/lease-store.ts';
import type { CommandBackend, CommandContext, PeerCommands } from '../../providers/command-backend.ts';
import { backoffMs, type Clock, type Random } from '../core/clock.ts';
import { FlannelVpcError } from '../core/errors.ts';
import type { PerFamily } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { ShellCommand } from '../core/shell-command.ts';
import type { Readiness } from '../health/status.ts';
import { createRepeatGate } from '../repeats.ts';
import { FollowedLeases } from './followed-leases.ts';
import { afterStep, type CommandStep, nextTry, type PeerRecord, removalTries, stepsDue } from './peer-commands.ts';
import { untilItWorks } from './until-it-works.ts';

export interface CommandParts {
  readonly host: Pick<Host, 'runCommand'>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly readiness: Readiness;
  /** Runs before a command of the start is tried again, and may end the tries by throwing: net-conf may have a better one. */
  readonly beforeRetry: (signal: AbortSignal) => Promise<void>;
}

export interface ExtensionKeeperOptions extends CommandParts {
  readonly leases: Pick<LeaseStore, 'watch'>;
  readonly backend: CommandBackend;
  readonly networks: CommandContext['networks'];
  readonly external: ExternalInterface;
  readonly own: Pick<Lease, 'subnets'>;
  /** Called when a command was run once for each peer of the first list, whether it succeeded or not. */
  readonly onEstablished: () => void;
}

/** Milliseconds before another try: a command is a program start, and what it waits for is seldom there the next moment. */
const retryMs = { base: 1_000, max: 60_000 };

/** What this node's lease tells peers: the output of the command before it. Repeated until it works. */
export async function runBeforeLease(
  backend: CommandBackend | undefined,
  parts: CommandParts,
  signal: AbortSignal,
): Promise<PerFamily<unknown>> {
  if (!backend) return {};
  const command = backend.beforeLease;
  return backend.leaseData(command && (await runUntilItWorks(command, 'lease', parts, signal)));
}

/** Keeps peers as net-conf's commands have them, until the signal fires. A command under way is ended then. */
export async function keepExtension(options: ExtensionKeeperOptions, signal: AbortSignal): Promise<void> {
  const command = options.backend.afterLease(options);
  if (command) await runUntilItWorks(command, 'subnet-file', options, signal);
  const peers = new FollowedLeases();
  let changed = Promise.withResolvers<void>();

  async function act(): Promise<void> {
    const book = createCommandBook(options);
    for (;;) {
      await waitUntil(options.clock, changed.promise, book.nextTry(), signal);
      if (!peers.listed) continue;
      changed = Promise.withResolvers<void>();
      let news = false;
      void changed.promise.then(() => {
        news = true;
      });
      book.want(peers.all());
      await book.run(() => news, signal);
      if (book.triedFirst()) options.onEstablished();
    }
  }

  await Promise.all([peers.follow(options.leases, () => changed.resolve(), signal), act()]);
}

/** What was run for each peer, and what is still to run. Nothing of it outlives the process: after a restart all adds run again. */
function createCommandBook(options: ExtensionKeeperOptions) {
  const { backend, host, logger, clock, random } = options;
  const failures = createRepeatGate(options);
  const refusals = createRepeatGate(options);
  const records = new Map<LeaseKey, PeerRecord>();
  let wanted: ReadonlyMap<LeaseKey, PeerCommands> = new Map();
  let first: Set<LeaseKey> | undefined;

  async function take(step: CommandStep, signal: AbortSignal): Promise<void> {
    const { key, kind, command } = step;
    let succeeded = true;
    try {
      if (command) await host.runCommand(command, signal);
      if (command) logger.debug('command for a peer was run', { command: command.name, subnet: key });
    } catch (error) {
      signal.throwIfAborted();
      succeeded = false;
      failures.failed('error', 'a command for peers fails', error, { subnet: key });
    }
    const pauseMs = (count: number): number => backoffMs(count - 1, retryMs.base, retryMs.max, random);
    const left = afterStep(step, records.get(key), succeeded, clock.monotonic(), pauseMs);
    first?.delete(key);
    if (left) records.set(key, left);
    else records.delete(key);
    if (!succeeded && kind === 'remove' && !step.replaces && !left)
      logger.warn('the command to remove a peer was given up', { subnet: key, tries: removalTries });
  }

  return {
    want(leases: readonly Lease[]): void {
      const { peers, refused } = backend.peers(leases, options);
      wanted = new Map(peers.map((peer) => [peer.key, peer]));
      first ??= new Set(wanted.keys());
      if (refused.length > 0)
        refusals.failed('warn', 'leases are not believed, and no command is run', refusal(refused));
    },

    /** Runs what is due, one after the other, until there is news of leases. */
    async run(isOutdated: () => boolean, signal: AbortSignal): Promise<void> {
      // A removal makes room for the add of the same peer.
      for (let due = steps(); due.length > 0 && !isOutdated(); due = steps()) {
        for (const step of due) {
          if (isOutdated()) return;
          await take(step, signal);
          signal.throwIfAborted();
        }
      }
      if ([...records.values()].every(({ phase }) => phase === 'stands'))
        failures.recovered('all commands for peers succeed');
    },

    /** True when a command was run once for each peer of the first list that is still one. */
    triedFirst: () => [...(first ?? [])].every((key) => !wanted.has(key)),

    nextTry: () => nextTry(wanted, records),
  };

  function steps(): readonly CommandStep[] {
    return stepsDue(wanted, records, clock.monotonic());
  }
}

async function runUntilItWorks(
  command: ShellCommand,
  part: 'lease' | 'subnet-file',
  parts: CommandParts,
  signal: AbortSignal,
): Promise<string> {
  const { host, logger, readiness, random } = parts;
  readiness.missing(part, `${command.name} is running`);
  const output = await untilItWorks(
    {
      ...parts,
      ...{ failing: 'a command of net-conf fails', recovered: `${command.name}: it works now` },
      onWaiting: (reason) => readiness.missing(part, reason),
      pauseMs: (_, attempt) => backoffMs(attempt, retryMs.base, retryMs.max, random),
    },
    () => host.runCommand(command, signal),
    signal,
  );
  logger.info('command of net-conf was run', { command: command.name });
  return output;
}

/** Until there is news, or the time has come. */
async function waitUntil(
  clock: Clock,
  news: Promise<void>,
  at: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const waiting = new AbortController();
  const pause = at === undefined ? longPauseMs : Math.max(0, at - clock.monotonic());
  const sleep = clock.sleep(pause, AbortSignal.any([signal, waiting.signal]));
  await Promise.race([news, sleep]);
  waiting.abort();
  sleep.catch(() => {});
  signal.throwIfAborted();
}

/** Milliseconds; nothing is due then either. */
const longPauseMs = 3_600_000;

function refusal(refused: readonly string[]): FlannelVpcError {
  return new FlannelVpcError('INVALID', refused.slice(0, 5).join('; '), {
    hint: 'See who wrote these leases, and with which net-conf.',
    details: { count: refused.length },
  });
}
