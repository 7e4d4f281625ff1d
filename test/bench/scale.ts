/**
 * A controller and a cluster of many leases: what it asks of EC2 and etcd, and how long a lease waits for its routes.
 *
 * The first fill is done by the product's controller without its pace (see `hurried-controller.ts`); everything after that by the built
 * program as it is, on the cluster that the fill has left.
 */
import { fork } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { program } from '../fabric/agent.ts';
import { freePort } from '../fabric/etcd.ts';
import { type Process, start } from '../fabric/process.ts';
import { until } from '../support/until.ts';
import type { HurriedPass } from './hurried-controller.ts';
import { etcdRequests, requestsSince } from './lab.ts';
import { cpuOf, type Memory, memoryOf, peakMemory, total } from './proc.ts';
import { createScaleCluster, ec2LatencyMs, routeLimit, type ScaleCluster } from './scale-cluster.ts';

export type Counts = Readonly<Record<string, number>>;

export interface Fill {
  /** Requests to EC2 by action. */
  readonly calls: Counts;
  readonly passes: number;
  readonly seconds: number;
  /** Requests to etcd by method. */
  readonly requests: Counts;
  /** Most memory that the process had, megabytes: from source, not the bundle. */
  readonly peakMemory: number;
  readonly cpu: number;
}

export interface Steady {
  /** Requests to EC2 from start to the first look's end. */
  readonly restart: Counts;
  readonly resyncs: number;
  /** Requests of all these resyncs. */
  readonly resyncCalls: Counts;
  readonly resyncRequests: Counts;
  /** Milliseconds of each. */
  readonly lookMs: readonly number[];
  /** CPU seconds of all. */
  readonly cpu: number;
  readonly memory: Memory;
  /** Most memory so far, megabytes; the second after the status page was shown. */
  readonly peakMemory: number;
  readonly peakWithPage: number;
  readonly pageMs: number;
  readonly pageBytes: number;
  /** Milliseconds from a lease to the last of its routes: leases one by one, and some at one moment. */
  readonly single: readonly number[];
  readonly together: readonly number[];
  readonly togetherCalls: Counts;
}

export interface Scale {
  readonly leases: number;
  readonly tables: number;
  readonly fill: Fill;
  readonly steady: Steady;
}

export interface ScaleOptions {
  readonly leases: number;
  readonly tables: number;
  readonly resyncs: number;
  readonly resyncSeconds: number;
  /** Leases that come one by one. */
  readonly single: number;
  /** Leases that come at one moment. */
  readonly together: number;
}

/** Runs all of it. @throws Error when routes do not come to stand. */
export async function scale(options: ScaleOptions): Promise<Scale> {
  const { leases, tables } = options;
  const cluster = await createScaleCluster(tables);
  try {
    const fill = await firstFill(cluster, await cluster.addNodes(leases));
    return { leases, tables, fill, steady: await steadyState(cluster, options) };
  } finally {
    await cluster.stop();
  }
}

async function firstFill(cluster: ScaleCluster, subnets: readonly string[]): Promise<Fill> {
  const { ec2, etcd } = cluster;
  ec2.setLatency(0);
  ec2.resetLog();
  const before = await etcdRequests(etcd);
  const startedAt = performance.now();
  const child = fork(fileURLToPath(new URL('hurried-controller.ts', import.meta.url)), [etcd.endpoint], {
    env: { ...process.env, ...cluster.environment },
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const passes: HurriedPass[] = [];
  child.on('message', (pass: HurriedPass) => void passes.push(pass));
  try {
    await until('every route of the first fill', async () => passes.at(-1)?.inSync ?? false, 900_000);
    if (!cluster.routed(subnets)) throw new Error('the controller is content, and routes are missing');
    return {
      ...{ calls: ec2.counts(), passes: passes.length, seconds: (performance.now() - startedAt) / 1_000 },
      requests: requestsSince(before, await etcdRequests(etcd)),
      ...{ peakMemory: await peakMemory(child.pid ?? -1), cpu: total(await cpuOf(child.pid ?? -1)) },
    };
  } finally {
    child.kill('SIGTERM');
    await ended;
    ec2.setLatency(ec2LatencyMs);
  }
}

/** The built program at its own pace, on a cluster whose routes stand. */
async function steadyState(cluster: ScaleCluster, options: ScaleOptions): Promise<Steady> {
  const { ec2, etcd } = cluster;
  const { resyncs, resyncSeconds } = options;
  ec2.resetLog();
  const controller = await startBuiltController(cluster, resyncSeconds);
  const { pid } = controller.process;
  try {
    await controller.looked();
    const restart = ec2.counts();
    await controller.resynced(1);
    ec2.resetLog();
    const before = {
      requests: await etcdRequests(etcd),
      cpu: total(await cpuOf(pid)),
      looks: controller.looks().length,
    };
    await controller.resynced(before.looks + resyncs);
    const after = { requests: await etcdRequests(etcd), cpu: total(await cpuOf(pid)) };
    const resyncCalls = ec2.counts();
    const memory = await memoryOf(pid);
    const peak = await peakMemory(pid);
    const page = await controller.page();
    const peakWithPage = await peakMemory(pid);
    const single = await oneByOne(cluster, options);
    ec2.resetLog();
    const together = await atOnce(cluster, options.together);
    return {
      ...{ restart, resyncs, resyncCalls, memory, single, together, peakMemory: peak, peakWithPage },
      ...{ pageMs: page.ms, pageBytes: page.bytes, togetherCalls: ec2.counts() },
      lookMs: controller.looks().slice(before.looks, before.looks + resyncs),
      resyncRequests: requestsSince(before.requests, after.requests),
      cpu: after.cpu - before.cpu,
    };
  } catch (error) {
    throw new Error(`the controller logged:\n${controller.process.log().slice(-4_000)}`, { cause: error });
  } finally {
    await controller.process.kill('SIGTERM');
  }
}

export interface BuiltController {
  readonly process: Process;
  /** Milliseconds that each resync took so far. */
  looks(): readonly number[];
  /** Waits until so many resyncs are over. */
  resynced(count: number): Promise<void>;
  /** Waits for the first look. */
  looked(): Promise<void>;
  /** Asks for the status page. */
  page(): Promise<{ readonly ms: number; readonly bytes: number }>;
}

/** What the built program is given of a cluster. */
export type ControllerPlace = Pick<ScaleCluster, 'environment'> & {
  readonly etcd: Pick<ScaleCluster['etcd'], 'endpoint'>;
};

export async function startBuiltController(
  { etcd, environment }: ControllerPlace,
  resyncSeconds: number,
): Promise<BuiltController> {
  const port = await freePort('127.0.0.1');
  const child = start(
    [
      ...[program, 'controller', `--etcd-endpoints=${etcd.endpoint}`, '--log-format=json', '--log-level=debug'],
      ...[`--resync=${resyncSeconds}s`, `--healthz-port=${port}`, `--route-limit=${routeLimit}`],
    ],
    environment,
  );
  const looks = (): readonly number[] =>
    [...child.log().matchAll(/"tookMs":(\d+),"leases":\d+,"msg":"resync"/g)].map(([, took]) => Number(took));
  return {
    process: child,
    looks,
    resynced: (count) => until(`resync ${count}`, async () => looks().length >= count, 600_000),
    async looked() {
      await child.waitForLog(/"msg":"leading/, 60_000);
      await until(
        'a look of the controller',
        async () => {
          const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
          const seconds = /^flannel_vpc_last_look_timestamp_seconds (\S+)$/m.exec(await answer.text())?.[1];
          return Number(seconds) > 0;
        },
        20_000,
      );
    },
    async page() {
      const startedAt = performance.now();
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      return { bytes: (await answer.arrayBuffer()).byteLength, ms: performance.now() - startedAt };
    },
  };
}

/** Milliseconds until each lease's routes stood in all tables. No lease comes before those of the last one stand. */
async function oneByOne(cluster: ScaleCluster, { single, tables }: ScaleOptions): Promise<readonly number[]> {
  const times: number[] = [];
  for (let lease = 0; lease < single; lease++) {
    times.push(...(await atOnce(cluster, 1)));
    // The pace allows so many routes; what would wait for it is measured elsewhere. And the last pass comes to its end.
    await delay((tables / routesPerSecond) * 1_000);
  }
  return times;
}

/** Half of what EC2 publishes. */
export const routesPerSecond = 2.5;

async function atOnce(cluster: ScaleCluster, count: number): Promise<readonly number[]> {
  const { ec2, tableIds } = cluster;
  const stands = new Map<string, Set<string>>();
  const times = new Map<string, number>();
  let startedAt = performance.now();
  const stop = ec2.onRoute((tableId, destination) => {
    const tables = (stands.get(destination) ?? new Set()).add(tableId);
    stands.set(destination, tables);
    if (tables.size === tableIds.length) times.set(destination, performance.now() - startedAt);
  });
  try {
    startedAt = performance.now();
    const subnets = await cluster.addNodes(count);
    await until(`routes of ${count} leases`, async () => subnets.every((subnet) => times.has(subnet)), 900_000);
    return subnets.map((subnet) => times.get(subnet) ?? Number.NaN);
  } finally {
    stop();
  }
}
