/**
 * A cluster in simulated time: nodes whose agents run the product's own loops for their lease, and two controllers with the product's
 * own election, passes and budget; store and cloud are the ones of memory.
 */

import { createMemoryStores } from '../../../lease/memory/stores.ts';
import { createMemoryWorld, type MemoryWorld } from '../../../lease/memory/world.ts';
import { withBudget } from '../../../providers/budget.ts';
import { createMemoryCloud, type MemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import { acquireLease, keepLease } from '../../../src/agent/lease-keeper.ts';
import { initialControllerReadiness, runController } from '../../../src/controller/controller.ts';
import { noEvents } from '../../../src/controller/events.ts';
import type { Random } from '../../../src/core/clock.ts';
import { isAbortError, isFlannelVpcError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createReadiness } from '../../../src/health/status.ts';
import { type DeletionPolicy, defaultDeletionPolicy } from '../../../src/routing/route-plan.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';
import { threeTables } from '../../support/three-tables.ts';

export const resyncMs = 300_000;
export const network = cidr('10.244.0.0/16');
export const tables = ['rtb-main', 'rtb-a', 'rtb-b'] as const;
/** A lease ends so long after its node was last heard of, seconds: a dead node's is to end within the hour that is looked at. */
const ttlSeconds = 1_200;
const ranges = {
  4: { network, subnetLength: 24, subnetMin: ip('10.244.1.0'), subnetMax: ip('10.244.255.0') },
};
/** Somebody else's, within the pod network and outside of it. */
export const foreignRoutes = ['0.0.0.0/0', '192.168.0.0/16', '10.244.0.0/24', '10.244.200.0/24'] as const;

export interface Node {
  /** Such as `b17`: instance `i-b17`, NIC `eni-b17`. */
  readonly name: string;
  readonly address: string;
  /** Ends its agent; what it left in the store stays. */
  stop(): Promise<void>;
}

export interface Controller {
  stop(): Promise<void>;
}

export interface Cluster {
  readonly clock: TestClock;
  readonly world: MemoryWorld;
  readonly cloud: MemoryCloud;
  /** Nodes whose agents run. */
  readonly nodes: Map<string, Node>;
  /** Errors that no loop may end with. */
  readonly crashes: unknown[];
  join(name: string): void;
  controller(holder: string, policy?: Partial<DeletionPolicy>): Controller;
  stop(): Promise<void>;
}

export function createCluster(names: readonly string[], random: Random): Cluster {
  const clock = createTestClock();
  const world = createMemoryWorld(clock);
  world.setNetConf(JSON.stringify({ Network: '10.244.0.0/16', Backend: { Type: 'aws-vpc', Writer: 'controller' } }));
  const cloud = createMemoryCloud({
    clock,
    ...threeTables,
  });
  cloud.addInstance({ id: 'i-ctl', nics: [{ id: 'eni-ctl', subnetId: 'subnet-c', addresses: ['10.0.3.250'] }] });
  for (const name of names) {
    const nic = { id: `eni-${name}`, subnetId: `subnet-${name[0]}`, addresses: [addressOf(name)], forwards: true };
    cloud.addInstance({ id: `i-${name}`, nics: [nic] });
  }
  for (const table of tables)
    for (const destination of foreignRoutes)
      cloud.putRoute(table, { destination, target: { kind: 'gateway', id: 'igw-1' } });

  const base = { clock, random, logger: silentLogger };
  const nodes = new Map<string, Node>();
  const crashes: unknown[] = [];
  const controllers = new Set<Controller>();

  /** Runs it until it is stopped; whatever else ends it is a crash. */
  function start(effect: (signal: AbortSignal) => Promise<unknown>): () => Promise<void> {
    const ending = new AbortController();
    const ended = effect(ending.signal).then(
      () => {},
      (error: unknown) => {
        if (!ending.signal.aborted || !(isAbortError(error) || isFlannelVpcError(error))) crashes.push(error);
      },
    );
    return async () => {
      ending.abort(new DOMException('the process ends', 'AbortError'));
      await ended;
    };
  }

  async function agent(name: string, signal: AbortSignal): Promise<void> {
    const { leases } = createMemoryStores(world);
    const options = { ...base, store: leases, onWaiting() {}, onOutage() {} };
    const attributes = {
      ...{ publicIps: { 4: ip(addressOf(name)) }, backendType: '', backendData: {} },
      node: { instanceId: `i-${name}`, nicId: `eni-${name}`, nodeName: name },
    };
    const request = { ranges, attributes, previous: {}, publicIpConfirmed: true, ttlSeconds };
    const lease = await acquireLease({ ...options, beforeRetry: async () => {} }, async () => request, signal);
    await keepLease({ ...options, lease, renewMarginMs: (ttlSeconds / 2) * 1_000, onRenewed() {} }, signal);
  }

  const cluster: Cluster = {
    ...{ clock, world, cloud, nodes, crashes },
    join(name) {
      const stop = start((signal) => agent(name, signal));
      nodes.set(name, { name, address: addressOf(name), stop });
    },
    controller(holder, policy = {}) {
      const stores = createMemoryStores(world);
      const stop = start((signal) =>
        runController(
          {
            ...{ resyncMs, dryRun: false, reapTerminated: true, backendTypes: 'own', routeLimit: undefined },
            ...{ policy: { ...defaultDeletionPolicy, ...policy }, leaderElect: true, backendType: undefined },
            election: { holder, termMs: 20_000, retryMs: 2_000 },
          },
          {
            ...{
              ...base,
              ...stores,
              events: noEvents,
              readiness: createReadiness(initialControllerReadiness),
              onState() {},
            },
            openCloud: async (_netConf, beforeWrite) => ({
              provider: withBudget(cloud.provider('i-ctl'), { ...base, beforeWrite }),
              tableIds: [],
            }),
          },
          signal,
        ),
      );
      const controller: Controller = {
        async stop() {
          controllers.delete(controller);
          await stopInTime(clock, stop());
        },
      };
      controllers.add(controller);
      return controller;
    },
    async stop() {
      world.setOutage(undefined);
      cloud.clearFaults();
      await stopInTime(clock, Promise.all([...nodes.values()].map((node) => node.stop())));
      for (const controller of controllers) await controller.stop();
    },
  };
  return cluster;
}

/** What ends may have a last word to say, which takes its time. */
async function stopInTime(clock: TestClock, ending: Promise<unknown>): Promise<void> {
  let ended = false;
  void ending.finally(() => {
    ended = true;
  });
  for (let seconds = 0; !ended && seconds < 120; seconds++) await clock.advance(1_000);
  if (!ended) throw new Error('a loop does not end within two minutes of simulated time');
}

function addressOf(name: string): string {
  return `10.0.${'abcd'.indexOf(name[0] ?? '') + 1}.${Number(name.slice(1))}`;
}
