/**
 * A cluster that faults are done to: nodes with agents and pods, controllers where they write the routes, somebody else's routes, and
 * traffic between the pods all the while. What `survive` gives is counted from before the fault to after all is right again.
 */
import {
  type Cluster,
  type ClusterNode,
  type ClusterOptions,
  createCluster,
  podNetwork,
} from '../../fabric/cluster.ts';
import { type Controller, startController } from '../../fabric/controller.ts';
import type { Pod } from '../../fabric/pod.ts';
import { type Stream, startStream } from '../../fabric/stream.ts';
import { type Gap, type Ping, startPing } from '../../fabric/traffic.ts';
import type { Figure } from '../../support/figures.ts';
import { until } from '../../support/until.ts';
import { type ClusterState, problemsOf, readClusterState } from './cluster-state.ts';
import { type Held, type Holder, leaksOf, readLeastHeld } from './leaks.ts';

export interface FaultLabOptions extends Pick<ClusterOptions, 'cloud' | 'settleMs' | 'dualStack' | 'etcdArgs'> {
  /** Who writes the routes. */
  readonly writer: 'node' | 'controller';
  /** Default 2 with the writer `controller`; the first one leads. */
  readonly controllers?: number;
  /** More of net-conf's `Backend`. */
  readonly backend?: Readonly<Record<string, unknown>>;
  readonly agentArgs?: readonly string[];
  readonly controllerArgs?: readonly string[];
  readonly agentEnv?: Readonly<Record<string, string>>;
  readonly controllerEnv?: Readonly<Record<string, string>>;
  /**
   * The agents' and controllers' etcd, or that of each by its name; the cluster's own where undefined. A test that cuts the cable names a
   * proxy's.
   */
  readonly etcdEndpoint?: (cluster: Cluster) => Promise<string | ((program: string) => string | undefined)>;
}

/** Intervals that an operator may set, so short that a fault is over in seconds. A controller's writes may take 10 s: a term is longer. */
const hurriedController: readonly string[] = [
  '--leader-elect-lease-duration=12s',
  '--leader-elect-retry-period=1s',
  '--resync=2s',
];
const hurriedAgent: readonly string[] = ['--route-check-interval=3s'];

/** Inside the pod network and outside the range of leases: a route that is somebody else's. */
export const foreignDestination = '10.244.250.0/24';

export interface Survival {
  readonly packets: { readonly sent: number; readonly lost: number };
  /** Of all streams of packets, longest first. */
  readonly gaps: readonly Gap[];
  readonly streams: NonNullable<Figure['streams']>;
  /** Why connections broke. */
  readonly broken: readonly string[];
  /** From the fault's end to all being right, milliseconds. */
  readonly settledMs: number;
}

export interface SurviveOptions {
  /** How long all may take to be right again after the fault. Default 60 s. */
  readonly settleMs?: number;
  /** Pods whose packets are not counted, such as those of a node that is killed. */
  readonly without?: readonly ClusterNode[];
  /** Programs that end in the fault and are others afterwards are compared with what they held at first. Default yes. */
  readonly leaks?: boolean;
}

export interface FaultLab {
  readonly cluster: Cluster;
  /** Two in the first subnet, one in the second. */
  readonly nodes: readonly [ClusterNode, ClusterNode, ClusterNode];
  readonly pods: readonly [Pod, Pod, Pod];
  /** Nodes that a test added: what stands on them is looked at too. */
  readonly added: ClusterNode[];
  /** In the order of their start. A test that starts another one adds it. */
  readonly controllers: Controller[];
  /** Starts another controller with the lab's arguments. */
  startController(name: string, more?: Partial<Parameters<typeof startController>[1]>): Controller;
  /** Starts the node's agent again, with the lab's arguments. */
  startAgent(node: ClusterNode, more?: Parameters<ClusterNode['start']>[0]): void;
  /** Stores the lab's net-conf, as at its start: for a store that has lost it. */
  putNetConf(): Promise<void>;
  /** Everything that must hold, and does not, now. */
  problems(): Promise<readonly string[]>;
  /** Does the fault while pods talk, and waits until all is right. @throws Error naming what is not right in time, or what leaked. */
  survive(fault: () => Promise<void>, options?: SurviveOptions): Promise<Survival>;
  stop(): Promise<void>;
}

/** Starts it; all agents are ready and all routes stand. */
export async function startFaultLab(options: FaultLabOptions): Promise<FaultLab> {
  const cluster = await createCluster({
    cloud: options.cloud ?? 'aws-vpc',
    settleMs: options.settleMs ?? 0,
    dualStack: options.dualStack ?? false,
    etcdArgs: options.etcdArgs ?? [],
  });
  const controllers: Controller[] = [];
  const stop = async (): Promise<void> => {
    for (const controller of controllers) await controller.kill('SIGKILL');
    await cluster.stop();
  };
  try {
    return { ...(await fillLab(cluster, controllers, options)), stop };
  } catch (error) {
    // What a lab leaves would be in the way of the next file's.
    await stop();
    throw error;
  }
}

async function fillLab(
  cluster: Cluster,
  controllers: Controller[],
  options: FaultLabOptions,
): Promise<Omit<FaultLab, 'stop'>> {
  const { writer, backend = {} } = options;
  const { world } = cluster;
  const putNetConf = async (): Promise<void> =>
    await cluster.putNetConf({
      ...{ Network: podNetwork, SubnetMin: '10.244.1.0', SubnetMax: '10.244.199.0' },
      Backend: { Type: world.type, ...world.backend, Writer: writer, ...backend },
    });
  await putNetConf();
  // A neighbour that is no node of the cluster, and its route: nothing of ours may touch it.
  const stranger = await world.runInstance(world.subnets[0], inSubnet(world.subnets[0].cidr, 200), { forwards: true });
  for (const tableId of world.tableIds) await world.putRoute(tableId, foreignDestination, stranger);
  const etcdEndpoint = await options.etcdEndpoint?.(cluster);
  const etcdArgs = (program: string): readonly string[] => {
    const endpoint = typeof etcdEndpoint === 'function' ? etcdEndpoint(program) : etcdEndpoint;
    return endpoint === undefined ? [] : [`--etcd-endpoints=${endpoint}`];
  };

  const lab: Pick<FaultLab, 'startController' | 'startAgent'> = {
    startController(name, more = {}) {
      const controller = startController(cluster, {
        name,
        ...more,
        args: [...hurriedController, ...etcdArgs(name), ...(options.controllerArgs ?? []), ...(more.args ?? [])],
        env: { ...options.controllerEnv, ...more.env },
      });
      controllers.push(controller);
      return controller;
    },
    startAgent(node, more = {}) {
      node.start({
        ...more,
        args: [...hurriedAgent, ...etcdArgs(node.node.name), ...(options.agentArgs ?? []), ...(more.args ?? [])],
        env: { ...options.agentEnv, ...more.env },
      });
    },
  };
  if (writer === 'controller') {
    for (let index = 0; index < (options.controllers ?? 2); index++) {
      const controller = lab.startController(`controller-${index + 1}`);
      await controller.logged(index === 0 ? /leading: this controller writes/ : /standing by/);
    }
  }
  const [first, second] = world.subnets;
  const nodes = [
    await cluster.addNode({ name: 'one', subnet: 'first', address: inSubnet(first.cidr, 11), rpFilter: 1 }),
    await cluster.addNode({ name: 'two', subnet: 'first', address: inSubnet(first.cidr, 12), rpFilter: 2 }),
    await cluster.addNode({ name: 'three', subnet: 'second', address: inSubnet(second.cidr, 13), rpFilter: 2 }),
  ] as const;
  for (const node of nodes) lab.startAgent(node);
  for (const node of nodes) await node.agent.ready(60_000);
  const pods = [await nodes[0].addPod('pod'), await nodes[1].addPod('pod'), await nodes[2].addPod('pod')] as const;

  const added: ClusterNode[] = [];
  const read = async (): Promise<ClusterState> =>
    await readClusterState(cluster, [...nodes, ...added], [foreignDestination]);
  let before: ClusterState = await read();
  let missing: readonly string[] = [];
  await until('all routes stand', async () => (missing = problemsOf(await read(), before)).length === 0, 90_000).catch(
    () => {
      throw new Error(`before any fault:\n${missing.join('\n')}`);
    },
  );
  before = await read();

  function holders(): readonly Holder[] {
    return [
      ...controllers.map(({ name, process, get }) => ({
        ...{ name, pid: process.pid },
        metrics: async () => (await get('/metrics')).body,
      })),
      ...nodes.map(({ node, agent }) => ({
        ...{ name: node.name, pid: agent.process.pid },
        metrics: async () => await node.exec(['curl', '-sf', '--max-time', '5', 'http://127.0.0.1:8081/metrics']),
      })),
    ];
  }
  /** What each program held first, by its name: its successor may not hold more. */
  const held = new Map<string, Held>();
  async function leaks(): Promise<readonly string[]> {
    const found = await Promise.all(
      holders().map(async (holder) => {
        const now = await readLeastHeld(holder);
        const first = held.get(holder.name);
        if (first === undefined) held.set(holder.name, now);
        return first === undefined ? [] : leaksOf(holder.name, first, now);
      }),
    );
    return found.flat();
  }

  const problems = async (): Promise<readonly string[]> => problemsOf(await read(), before);
  return {
    ...{ cluster, nodes, pods, added, controllers, putNetConf, problems },
    ...lab,
    async survive(fault, { settleMs = 60_000, without = [], leaks: compareHeld = true } = {}) {
      if (compareHeld) await leaks();
      const talking = pods.filter((_, index) => !without.includes(nodes[index] as ClusterNode));
      const traffic = await startTraffic(talking);
      try {
        await fault();
      } catch (error) {
        await traffic.stop();
        throw error;
      }
      const over = performance.now();
      let wrong: readonly string[] = [];
      try {
        const deadline = over + settleMs;
        do wrong = await problems();
        while (wrong.length > 0 && performance.now() < deadline);
      } catch (error) {
        wrong = [String(error)];
      }
      const settledMs = Math.round(performance.now() - over);
      const survival = { ...(await traffic.stop()), settledMs };
      if (compareHeld && wrong.length === 0) {
        await until('nothing leaks', async () => (wrong = await leaks()).length === 0, 45_000).catch(() => {});
      }
      if (wrong.length > 0) throw new Error(`after the fault:\n${wrong.join('\n')}`);
      return survival;
    },
  };
}

interface Traffic {
  stop(): Promise<Omit<Survival, 'settledMs'>>;
}

/** Pings both ways between the first pod and each other one, and a TCP connection from it to each. */
async function startTraffic(pods: readonly Pod[]): Promise<Traffic> {
  const [hub, ...others] = pods;
  if (!hub || others.length === 0) throw new Error('traffic needs two pods');
  const pings: Ping[] = others.flatMap((pod) => [startPing({ from: hub, to: pod }), startPing({ from: pod, to: hub })]);
  const streams: Stream[] = [];
  for (const pod of others) streams.push(await startStream(hub, pod));
  await Promise.all([...pings.map((ping) => ping.flowing()), ...streams.map((stream) => stream.flowing())]);
  return {
    async stop() {
      const packets = await Promise.all(pings.map((ping) => ping.stop()));
      const reports = await Promise.all(streams.map((stream) => stream.stop()));
      const broken = reports.flatMap((report) => report.broken);
      return {
        packets: {
          sent: packets.reduce((sum, { sent }) => sum + sent, 0),
          lost: packets.reduce((sum, { lost }) => sum + lost, 0),
        },
        gaps: packets.flatMap(({ gaps }) => gaps).sort((a, b) => b.packets - a.packets),
        streams: {
          bytes: reports.reduce((sum, { bytes }) => sum + bytes, 0),
          broken: broken.length,
          longestPauseMs: Math.max(...reports.map(({ longestPauseMs }) => longestPauseMs)),
        },
        broken,
      };
    },
  };
}

/** The address with this last number in a /24. */
function inSubnet(cidr: string, last: number): string {
  return cidr.replace(/\.0\/\d+$/, `.${last}`);
}
