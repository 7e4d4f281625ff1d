/** `flannel-vpc agent`: wires the agent to the real store, kernel, cloud and clock, and runs it until a signal. */

import { hostname } from 'node:os';
import { createLinuxHost } from '../../host/linux-host.ts';
import { systemdNotify } from '../../host/systemd-notify.ts';
import { type AgentOptions, parseAgentOptions } from '../cli/agent-options.ts';
import { agentUsage } from '../cli/usage.ts';
import { openCloud } from '../cloud.ts';
import { backoffMs, systemClock } from '../core/clock.ts';
import { isFinalError, isFlannelVpcError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { closeSoon, runDaemon } from '../daemon.ts';
import { startHealthServer } from '../health/server.ts';
import { createReadiness, type Readiness } from '../health/status.ts';
import type { AgentMetrics } from '../metrics.ts';
import { looks } from '../probe/looks.ts';
import { openProbeSocket } from '../probe/socket.ts';
import { type OpenStores, openStores } from '../stores.ts';
import { version } from '../version.ts';
import { createLoops, keepWatchdog } from '../watchdog.ts';
import { initialReadiness, runAgent } from './agent.ts';
import { untilItWorks } from './until-it-works.ts';

/** Longest time for one call to etcd, milliseconds: two endpoints of three seconds each. Then the log says what is wrong with it. */
const etcdDeadlineMs = 6_000;

/** Runs the command and gives its exit code. @throws USAGE or CONFIG_INVALID for flags, before anything is done. */
export async function agentCommand(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const command = parseAgentOptions({ argv, environment });
  if (command.kind === 'help') {
    process.stderr.write(agentUsage());
    return 0;
  }
  if (command.kind === 'version') {
    process.stderr.write(`v${version}\n`);
    return 0;
  }
  const { options } = command;
  return await runDaemon(
    {
      ...{ name: 'agent', log: options.log, environmentProblems: options.environmentProblems },
      warnings: options.warnings.map((text) => ({ text })),
      ending: 'ending; routes, rules and lease stay as they are',
    },
    (logger, signal) => serve(options, logger, environment, signal),
  );
}

async function serve(
  options: AgentOptions,
  logger: Logger,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<void> {
  const base = { logger, clock: systemClock, random: Math.random };
  const notify = (state: string): Promise<void> => systemdNotify(state, { logger, env: environment, signal });
  const loops = createLoops(systemClock);
  // An abort ends it, and what it waits for is nobody's business.
  keepWatchdog({ ...base, env: environment, pid: process.pid, loops, notify }, signal).catch(() => {});
  const host = createLinuxHost(base);
  const readiness = createReadiness(initialReadiness);
  let stores: OpenStores | undefined;
  try {
    const metrics = await serveHealth(options, readiness);
    stores = await untilItWorks(
      {
        ...base,
        failing: 'cannot learn which node this is',
        onWaiting: (reason) => readiness.missing('lease', reason),
        pauseMs: (_, attempt) => backoffMs(attempt, 1_000, 30_000, Math.random),
        // As in flannel: a pod that is not there is a mistake in the manifest.
        isFinal: (error) =>
          isFinalError(error) || isFlannelVpcError(error, 'STORE_DENIED') || isFlannelVpcError(error, 'NOT_FOUND'),
      },
      () => openStores(options, { ...base, environment, deadlineMs: etcdDeadlineMs }, { isNode: true }, signal),
      signal,
    );
    await runAgent(
      options,
      {
        ...base,
        ...stores,
        host,
        // Kubernetes manifests set NODE_NAME; elsewhere a node is known by its host name.
        nodeName: stores.nodeName ?? (environment['NODE_NAME'] || hostname()),
        readiness,
        metrics,
        probe: { openSocket: openProbeSocket, looks },
        openCloud: (netConf) => openCloud(netConf, { ...base, environment, onCall: metrics?.onCloudCall }),
        alive: loops.alive,
        onReady: () => notify('READY=1'),
      },
      signal,
    );
  } finally {
    await closeSoon(stores?.close());
  }
}

async function serveHealth({ health }: AgentOptions, readiness: Readiness): Promise<AgentMetrics | undefined> {
  if (!health) return undefined;
  const { createAgentMetrics } = await import('../metrics.ts');
  const metrics = createAgentMetrics(readiness.isReady);
  await startHealthServer({ ...health, readiness, metrics: metrics.render });
  return metrics;
}
