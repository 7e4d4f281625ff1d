/**
 * A whole cloud in memory: networks, subnets, tables, NICs, instances, quotas, throttling, faults and slow reads, behind
 * the same seam as the real ones. Dry runs, tests and benches use it.
 */
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { CloudProvider, InstanceState, ProviderCapabilities, RouteEntry } from '../provider.ts';
import { existingNic, type TargetKind } from './change-table.ts';
import type { HeldCalls } from './gates.ts';
import type { MemoryChange } from './memory-change.ts';
import { MemoryProvider } from './memory-provider.ts';
import { routeState } from './route-state.ts';
import {
  type Fault,
  type LoggedCall,
  type MemoryAction,
  type MemoryCall,
  type ThrottleLimits,
  Traffic,
} from './traffic.ts';
import { type InstanceSpec, type NetworkSpec, type RouteSpec, storedRoute, type TableSpec, World } from './world.ts';

export interface MemoryCloudOptions {
  readonly networks?: readonly NetworkSpec[] | undefined;
  readonly tables?: readonly TableSpec[] | undefined;
  readonly instances?: readonly InstanceSpec[] | undefined;
  /** What differs from AWS's: both families, replaces in place, one change a call, no marks, 500 routes, writes of 10 s. */
  readonly capabilities?: Partial<ProviderCapabilities> | undefined;
  /** Default: the NIC. */
  readonly targets?: TargetKind | undefined;
  /** Whether a change is refused where another target stands than it expects. Default: it is not, as on AWS. */
  readonly compares?: boolean | undefined;
  /** Reads of tables show the state of this many milliseconds ago. Default 0. */
  readonly readLagMs?: number | undefined;
  /** Every call takes this long. Default 0. */
  readonly latencyMs?: number | undefined;
  readonly throttle?: ThrottleLimits | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
}

export interface MemoryCloud {
  /** The cloud as the given machine sees it. The instance need not exist for anything but `identify`. */
  provider(instanceId: string): CloudProvider;

  addNetwork(spec: NetworkSpec): void;
  addTable(spec: TableSpec): void;
  removeTable(id: string): void;
  addInstance(spec: InstanceSpec): void;
  /** Stopped: its routes are blackholes until it runs again. Terminated: its NICs are gone for good. */
  setInstanceState(id: string, state: InstanceState): void;
  /**
   * Somebody else's hand: puts a route in place of those of the same destination; beside them where routes coexist, in place of those
   * with the same target.
   */
  putRoute(tableId: string, route: RouteSpec): void;
  /** Somebody else's hand: takes out every route of the destination. */
  removeRoute(tableId: string, destination: string): void;
  /** What stands in the table now, lag and faults aside. */
  routes(tableId: string): readonly RouteEntry[];
  /** `destination -> target id` of the static routes that stand now, in order of the text; several targets joined by ` + `. */
  staticRoutes(tableId: string): Readonly<Record<string, string>>;
  forwards(nicId: string): boolean;
  setForwards(nicId: string, forwards: boolean): void;

  inject(fault: Fault): void;
  clearFaults(): void;
  /** Freezes calls of the action, effect included, until released. */
  hold(action: MemoryAction): HeldCalls;
  setReadLag(ms: number): void;
  setLatency(ms: number): void;
  /** How much longer calls that change something take. */
  setChangeLatency(ms: number): void;
  setThrottle(limits: ThrottleLimits | undefined): void;
  /** Refuses calls that this says no to; undefined: all may do everything. */
  setRights(allows: ((call: MemoryCall) => boolean) | undefined): void;
  /** Most routes of a table, from now on; undefined: the capabilities' default. */
  setRouteLimit(tableId: string, limit: number | undefined): void;
  /** Called after each effect and awaited before its caller hears of it. Returns what ends it. */
  onChange(listener: (change: MemoryChange) => void | Promise<void>): () => void;

  /** Every call since the last `resetCalls`, in order of arrival. */
  readonly calls: readonly LoggedCall[];
  /** How many calls: of the given actions, or of all. */
  count(...actions: readonly MemoryAction[]): number;
  resetCalls(): void;
}

const awsLike: ProviderCapabilities = {
  families: [4, 6],
  replacesInPlace: true,
  batchSize: 1,
  marksRoutes: false,
  writesAtOnce: 'any',
  forwarding: { name: 'source/dest check', wanted: 'off', settable: true },
  defaultRouteLimit: 500,
  writeTimeoutMs: 10_000,
};

/** Makes a cloud. Each call gives a new and independent one. */
export function createMemoryCloud(options: MemoryCloudOptions = {}): MemoryCloud {
  const clock = options.clock ?? systemClock;
  const world = new World();
  for (const network of options.networks ?? []) world.addNetwork(network);
  for (const table of options.tables ?? []) world.addTable(table);
  for (const instance of options.instances ?? []) world.addInstance(instance);
  const traffic = new Traffic(clock, { latencyMs: options.latencyMs ?? 0, throttle: options.throttle });
  const listeners = new Set<(change: MemoryChange) => void | Promise<void>>();
  const settings = {
    capabilities: { ...awsLike, ...options.capabilities },
    targets: options.targets ?? 'nic',
    compares: options.compares ?? false,
    readLagMs: options.readLagMs ?? 0,
  };
  const parts = {
    world,
    traffic,
    clock,
    settings,
    async changed(change: MemoryChange) {
      for (const listener of listeners) await listener(change);
    },
  };

  return {
    provider: (instanceId) => new MemoryProvider(parts, instanceId),
    addNetwork: (spec) => world.addNetwork(spec),
    addTable: (spec) => world.addTable(spec),
    removeTable: (id) => void world.tables.delete(id),
    addInstance: (spec) => world.addInstance(spec),
    setInstanceState(id, state) {
      const instance = world.instance(id);
      if (instance.state === 'terminated')
        throw new FlannelVpcError('INVALID', `instance ${id} is terminated for good`);
      instance.state = state;
      if (state === 'terminated') instance.nics = [];
    },
    putRoute(tableId, spec) {
      const table = world.table(tableId);
      const route = storedRoute(spec);
      const { coexistingRoutes } = settings.capabilities;
      const others = table.routes.filter(
        (other) =>
          other.destinationText !== route.destinationText ||
          other.origin === 'local' ||
          (coexistingRoutes && other.target.id !== route.target.id),
      );
      const { destinationText, target } = route;
      const named = { preference: 1000, handle: `route ${destinationText} ${target.id}` };
      table.routes = [...others, coexistingRoutes ? { ...named, ...route } : route];
    },
    removeRoute(tableId, destination) {
      const table = world.table(tableId);
      const { destinationText } = storedRoute({ destination, target: { kind: 'other', id: '' } });
      table.routes = table.routes.filter((route) => route.destinationText !== destinationText);
    },
    routes: (tableId) => world.table(tableId).routes.map((route) => ({ ...route, state: routeState(world, route) })),
    staticRoutes(tableId) {
      const entries = world.table(tableId).routes.filter(({ origin }) => origin === 'static');
      const targets = Map.groupBy(entries, ({ destinationText }) => destinationText);
      const texts = [...targets].map(([text, routes]) => [text, routes.map(({ target }) => target.id)] as const);
      return Object.fromEntries(texts.map(([text, ids]) => [text, ids.sort().join(' + ')] as const).sort());
    },
    forwards: (nicId) => world.nic(nicId)?.forwards ?? false,
    setForwards: (nicId, forwards) => void (existingNic(world, nicId).forwards = forwards),
    inject: (fault) => traffic.inject(fault),
    clearFaults: () => traffic.clearFaults(),
    hold: (action) => traffic.hold(action),
    setReadLag: (ms) => void (settings.readLagMs = ms),
    setLatency: (ms) => void (traffic.latencyMs = ms),
    setChangeLatency: (ms) => void (traffic.changeMs = ms),
    setRights: (allows) => void (traffic.allows = allows ?? (() => true)),
    setRouteLimit: (tableId, limit) => void (world.table(tableId).routeLimit = limit),
    setThrottle: (limits) => void (traffic.throttle = limits),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    get calls() {
      return traffic.log;
    },
    count(...actions) {
      return traffic.log.filter(({ action }) => actions.length === 0 || actions.includes(action)).length;
    },
    resetCalls: () => void traffic.log.splice(0),
  };
}
