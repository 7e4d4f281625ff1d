/** `flannel-vpc controller`: wires the controller to the real store, cloud and clock, and runs it until a signal. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { systemdNotify } from '../../host/systemd-notify.ts';
import { commandUsage } from '../cli/command-usage.ts';
import { openCloud } from '../cloud.ts';
import { systemClock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import { closeSoon, runDaemon } from '../daemon.ts';
import { createReadiness } from '../health/status.ts';
import { openStores } from '../stores.ts';
import { createLoops, keepWatchdog } from '../watchdog.ts';
import { initialControllerReadiness, runController } from './controller.ts';
import type { ControllerEvents } from './events.ts';
import { startControllerServer } from './http.ts';
import { type ControllerMetrics, createControllerMetrics } from './metrics.ts';
import { type ControllerCommandOptions, parseControllerOptions } from './options.ts';
import type { ControllerState } from './state.ts';

/** Longest time for one call to the store, milliseconds. */
const storeDeadlineMs = 6_000;

/** Runs the command and gives its exit code. @throws USAGE or CONFIG_INVALID for flags, before anything is done. */
export async function controllerCommand(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseControllerOptions({ argv, environment });
  if (options === 'help') {
    process.stdout.write(commandUsage('controller'));
    return 0;
  }
  return await runDaemon(
    {
      ...{ name: 'controller', log: options.log, environmentProblems: options.environmentProblems },
      warnings: options.kubernetes && options.controller.reapTerminated ? [reapsNothing] : [],
      ending: 'ending; routes stay as they are',
    },
    (logger, signal) => serve(options, logger, environment, signal),
  );
}

const reapsNothing = {
  text: '--reap-terminated has no effect: a lease in Kubernetes ends with its Node object',
  hint: 'The cloud’s node lifecycle controller deletes the Node of a terminated instance.',
};

async function serve(
  options: ControllerCommandOptions,
  logger: Logger,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<never> {
  const base = { logger, clock: systemClock, random: Math.random };
  const notify = (state: string): Promise<void> => systemdNotify(state, { logger, env: environment, signal });
  // How long a pass may take is the cloud's matter; that this process still turns is what is told.
  const loops = createLoops(systemClock);
  keepWatchdog({ ...base, env: environment, pid: process.pid, loops, notify }, signal).catch(() => {});
  const stores = await openStores(
    options,
    { ...base, environment, deadlineMs: storeDeadlineMs },
    { isNode: false },
    signal,
  );
  const readiness = createReadiness(initialControllerReadiness);
  const { termMs, retryMs, ...controller } = options.controller;
  const holder = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  let state: ControllerState | undefined;
  const metrics = createControllerMetrics({
    isReady: readiness.isReady,
    isLeader: () => state?.role === 'leader' && !controller.dryRun,
  });
  try {
    if (options.health) {
      await startControllerServer({
        ...options.health,
        readiness,
        report: () => state?.report(),
        metrics: metrics.render,
      });
      const { ip, port } = options.health;
      logger.info('status page', { url: `http://${ip.includes(':') ? `[${ip}]` : ip}:${port}/` });
    }
    return await runController(
      { ...controller, election: { holder, termMs, retryMs } },
      {
        ...base,
        ...stores,
        readiness,
        events: counting(metrics),
        openCloud: (netConf, beforeWrite) =>
          openCloud(netConf, { ...base, environment, beforeWrite, batches: true, onCall: metrics.onCloudCall }),
        onState(next) {
          state = next;
          notify('READY=1').catch(() => {});
        },
      },
      signal,
    );
  } finally {
    await closeSoon(stores.close());
  }
}

function counting(metrics: ControllerMetrics): ControllerEvents {
  return {
    passed({ tookMs, inSync, done, reaped }) {
      metrics.passed(tookMs === undefined ? 'failed' : inSync ? 'in-sync' : 'not-in-sync');
      if (tookMs !== undefined) metrics.reconcileDuration.observe(tookMs / 1_000);
      for (const { action } of done) metrics.routeWrites.inc({ action });
      metrics.reapedLeases.inc(reaped);
    },
    reported: (report) => metrics.observeReport(report),
    routesStood: (ms) => metrics.leaseToRoute.observe(ms / 1_000),
    leading: (now) => metrics.leadership(now ? 'won' : 'lost'),
  };
}
