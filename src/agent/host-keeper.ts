/** This node's kernel state and files: put in place at the start, then compared and repaired. */

import type { Host, HostState, SubnetFile } from '../../host/host.ts';
import { backoffMs, type Clock, type Random } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Readiness } from '../health/status.ts';
import type { AgentMetrics } from '../metrics.ts';
import { createRepeatGate } from '../repeats.ts';

export interface HostKeeperOptions {
  readonly host: Host;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly readiness: Readiness;
  readonly metrics: AgentMetrics | undefined;
}

const retryMs = { base: 500, max: 30_000 };

/** Applies the state until it works: what fails is said once, and keeps the node from being ready. */
export async function establishHost(options: HostKeeperOptions, state: HostState, signal: AbortSignal): Promise<void> {
  await untilItWorks(options, 'host', 'cannot set up this host', signal, async () => {
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
  await untilItWorks(
    options,
    'subnet-file',
    `cannot write ${path}; make its folder writable, or name another file with --subnet-file`,
    signal,
    () => options.host.writeSubnetFile(path, file),
  );
}

/** Compares and repairs every `resyncMs` until the signal fires. Returns at once where there is nothing to look after. */
export async function keepHost(
  options: HostKeeperOptions,
  state: HostState,
  resyncMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { rules, bridge, blackholeRoutes } = state;
  if (!rules.masquerade && !rules.forward && !bridge && blackholeRoutes.length === 0) return;
  const gate = createRepeatGate(options);
  for (;;) {
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

async function untilItWorks(
  options: HostKeeperOptions,
  part: string,
  message: string,
  signal: AbortSignal,
  effect: () => Promise<void>,
): Promise<void> {
  const gate = createRepeatGate(options);
  for (let attempt = 0; ; attempt++) {
    try {
      await effect();
      options.readiness.reached(part);
      gate.recovered(`${part}: it works now`);
      return;
    } catch (error) {
      signal.throwIfAborted();
      gate.failed('error', message, error);
      options.readiness.missing(part, errorMessage(error));
      await options.clock.sleep(backoffMs(attempt, retryMs.base, retryMs.max, options.random), signal);
    }
  }
}
