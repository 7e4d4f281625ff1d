/** `flannel-vpc agent`: wires the agent to the real store, kernel, cloud and clock, and runs it until a signal. */

import { hostname } from 'node:os';
import { createLinuxHost } from '../../host/linux-host.ts';
import { systemdNotify } from '../../host/systemd-notify.ts';
import { type AgentOptions, parseAgentOptions } from '../cli/agent-options.ts';
import { agentUsage } from '../cli/usage.ts';
import { openCloud } from '../cloud.ts';
import { backoffMs, systemClock } from '../core/clock.ts';
import { isAbortError, isFinalError, isFlannelVpcError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { startHealthServer } from '../health/server.ts';
import { createReadiness, type Readiness } from '../health/status.ts';
import { createLogger } from '../logging.ts';
import type { AgentMetrics } from '../metrics.ts';
import { looks } from '../probe/looks.ts';
import { openProbeSocket } from '../probe/socket.ts';
import { errorFields } from '../repeats.ts';
import { type OpenStores, openStores } from '../stores.ts';
import { version } from '../version.ts';
import { initialReadiness, runAgent } from './agent.ts';
import { untilItWorks } from './until-it-works.ts';

/** Longest time for one call to etcd, milliseconds: two endpoints of three seconds each. Then the log says what is wrong with it. */
const etcdDeadlineMs = 6_000;
/** Longest time spent on closing connections at the end, milliseconds: nothing depends on it. */
const closeMs = 1_000;

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
  const logger = createLogger({
    ...options.log,
    write: (line) => void process.stderr.write(line),
    isTerminal: process.stderr.isTTY ?? false,
  });
  const ending = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      logger.info('ending; routes, rules and lease stay as they are', { signal: name });
      ending.abort(new DOMException(`${name} received`, 'AbortError'));
    });
  }
  logger.info('flannel-vpc agent', { version });
  for (const problem of options.environmentProblems) logger.error(problem);
  for (const warning of options.warnings) logger.warn(warning);
  try {
    await serve(options, logger, environment, ending.signal);
  } catch (error) {
    if (isAbortError(error) && ending.signal.aborted) return 0;
    const { error: message, ...fields } = errorFields(error);
    logger.error(String(message), fields);
    return 1;
  }
  return 0;
}

async function serve(
  options: AgentOptions,
  logger: Logger,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<void> {
  const base = { logger, clock: systemClock, random: Math.random };
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
        onReady: () => systemdNotify('READY=1', { logger, env: environment, signal }),
      },
      signal,
    );
  } finally {
    await Promise.race([stores?.close(), systemClock.sleep(closeMs, new AbortController().signal)]);
  }
}

async function serveHealth({ health }: AgentOptions, readiness: Readiness): Promise<AgentMetrics | undefined> {
  if (!health) return undefined;
  const { createAgentMetrics } = await import('../metrics.ts');
  const metrics = createAgentMetrics(readiness.isReady);
  await startHealthServer({ ...health, readiness, metrics: metrics.render });
  return metrics;
}
