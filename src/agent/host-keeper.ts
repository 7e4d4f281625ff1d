/** This node's kernel state and files: put in place at the start, then compared and repaired. */

import type { CniNetwork } from '../../host/cni-conflist.ts';
import type { Host, HostState, SubnetFile } from '../../host/host.ts';
import { backoffMs, type Clock, type Random } from '../core/clock.ts';
import type { Cidr, PerFamily } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { Readiness } from '../health/status.ts';
import type { AgentMetrics } from '../metrics.ts';
import { createRepeatGate } from '../repeats.ts';
import { type Alive, longestRoundMs } from '../watchdog.ts';
import { untilItWorks } from './until-it-works.ts';

export interface HostKeeperOptions {
  readonly host: Host;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly readiness: Readiness;
  readonly metrics: AgentMetrics | undefined;
  readonly alive?: Alive | undefined;
}

const conflistPart = 'cni-conf';
const notWritten = 'the CNI conflist is not written yet';
const retryMs = { base: 500, max: 30_000 };

/** Applies the state until it works: what fails is said once, and keeps the node from being ready. */
export async function establishHost(options: HostKeeperOptions, state: HostState, signal: AbortSignal): Promise<void> {
  await establish(options, 'host', 'cannot set up this host', signal, async () => {
    const { changes } = await options.host.apply(state, 'start', signal);
    options.metrics?.hostChanges.inc(changes.length);
    if (changes.length > 0) options.logger.info('host set up', { changes });
  });
}

/** Writes subnet.env until it works: a container runtime waits for it. */
export async function publishSubnetFile(
  options: HostKeeperOptions,
  path: string,
  file: SubnetFile,
  signal: AbortSignal,
): Promise<void> {
  await establish(
    options,
    'subnet-file',
    `cannot write ${path}; make its folder writable and leave room in it, or name another file with --subnet-file`,
    signal,
    () => options.host.writeSubnetFile(path, file),
  );
}

/** Takes away a conflist of another subnet, until it works: no pod may get an address there. */
export async function withdrawConflist(
  options: HostKeeperOptions,
  path: string,
  subnets: PerFamily<Cidr>,
  signal: AbortSignal,
): Promise<void> {
  await establish(options, conflistPart, `cannot take away ${path}, which is of another subnet`, signal, async () => {
    if (!(await options.host.withdrawConflist(path, subnets))) return;
    options.logger.warn('CNI conflist of another subnet taken away until this node is ready', { path });
  });
  options.readiness.missing(conflistPart, notWritten);
}

/** Writes the CNI conflist until it works: a container runtime waits for it. */
export async function publishConflist(
  options: HostKeeperOptions,
  path: string,
  network: CniNetwork,
  signal: AbortSignal,
): Promise<void> {
  await establish(
    options,
    conflistPart,
    `cannot write ${path}; make its folder writable and leave room in it, or name another file with --cni-conf`,
    signal,
    async () => {
      if (await options.host.writeConflist(path, network)) options.logger.info('CNI conflist written', { path });
    },
  );
}

/** Compares and repairs every `resyncMs` until the signal fires. Returns at once where there is nothing to look after. */
export async function keepHost(
  options: HostKeeperOptions,
  state: HostState,
  resyncMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { rules, bridge, overlay, blackholeRoutes, probe } = state;
  if (!rules.masquerade && !rules.forward && !bridge && !overlay && blackholeRoutes.length === 0 && !probe) return;
  const gate = createRepeatGate(options);
  for (;;) {
    options.alive?.('host', resyncMs + longestRoundMs);
    await options.clock.sleep(resyncMs, signal);
    try {
      const { changes } = await options.host.apply(state, 'resync', signal);
      if (changes.length > 0) options.logger.warn('host repaired', { changes });
      options.metrics?.hostChanges.inc(changes.length);
      gate.recovered('this host can be checked again');
    } catch (error) {
      signal.throwIfAborted();
      gate.failed('error', 'cannot check this host', error);
    }
  }
}

/** Until the part of this host stands; meanwhile the reason is what /readyz says of it. */
async function establish(
  options: HostKeeperOptions,
  part: string,
  failing: string,
  signal: AbortSignal,
  effect: () => Promise<void>,
): Promise<void> {
  await untilItWorks(
    {
      ...options,
      failing,
      recovered: `${part}: it works now`,
      onWaiting: (reason) => options.readiness.missing(part, reason),
      pauseMs: (_, attempt) => backoffMs(attempt, retryMs.base, retryMs.max, options.random),
    },
    effect,
    signal,
  );
  options.readiness.reached(part);
}
