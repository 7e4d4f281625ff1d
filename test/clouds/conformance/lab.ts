/** One cloud with a few instances, and what the sentences ask of it again and again. */
import { withBudget } from '../../../providers/budget.ts';
import type {
  CloudProvider,
  NextHop,
  ProviderCapabilities,
  RouteChange,
  RouteEntry,
  RouteTable,
  StandingRoute,
} from '../../../providers/provider.ts';
import { withWriteQueue } from '../../../providers/write-queue.ts';
import { type Clock, systemClock } from '../../../src/core/clock.ts';
import {
  type Cidr,
  cidrContains,
  cidrOf,
  type Family,
  formatCidr,
  nthAddress,
  parseCidr,
  sameCidr,
} from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { cidr, ip } from '../../support/addresses.ts';
import type { CloudInstance, CloudRequest, CloudWorld } from '../cloud-world.ts';
import { hostOf } from '../world-contract.ts';
import { networks, signal } from './limits.ts';
import type { Caller, Subject } from './subject.ts';

export interface Lab {
  readonly subject: Subject;
  readonly world: CloudWorld;
  readonly capabilities: ProviderCapabilities;
  /** On the first subnet and on the second. They forward. */
  readonly nodes: readonly [CloudInstance, CloudInstance];
  /** On the first subnet. It does not forward, unless a sentence has let it. */
  readonly closed: CloudInstance;
  /** The first subnet's table. */
  readonly tableId: string;
  /** The same provider at each call, as an agent or a controller has one. */
  provider(as: Caller): Promise<CloudProvider>;
  /** The controller's, with budget and queue around it as in the program. Default: by the machine's clock. */
  program(clock?: Clock): Promise<CloudProvider>;
  /** A subnet of the network that no sentence has used before. */
  destination(family?: Family): Cidr;
  /** The host part of an address that no instance has had before. */
  host(): number;
  /** The instance, as the cloud itself resolves it. */
  hop(instance: CloudInstance): Promise<NextHop>;
  /** All tables as the reader sees them. */
  tables(): Promise<readonly RouteTable[]>;
  /** What stands for the destination, as the reader sees it. Default: in the first table. */
  standing(destination: Cidr, tableId?: string): Promise<readonly RouteEntry[]>;
  /** The NIC that packets for the destination end up at; else the kind of target; undefined without a route. */
  followed(destination: Cidr, tableId?: string): Promise<string | undefined>;
  /** Every state of the data path while it is worked on, as `followed`, from before to after; by table. */
  watching(
    destination: Cidr,
    work: () => Promise<unknown>,
  ): Promise<ReadonlyMap<string, readonly (string | undefined)[]>>;
  /** Called after each change of the data path, before the cloud says that it is done. Returns what ends it. */
  onEachChange(listener: () => void): () => void;
  /** Everything that stands in the cloud's tables but for these destinations, as text to compare. */
  others(ours: readonly Cidr[]): Promise<string>;
  /** The requests since, of all callers. */
  requestsOf(work: () => Promise<unknown>): Promise<readonly CloudRequest[]>;
  /** Takes out what stands inside the networks and ends faults, limits, lags and delays. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** Pauses of a minute and a half, and less, take a fiftieth of their time; each is noted first. */
export function hurriedClock(note: (ms: number) => void = () => {}): Clock {
  return {
    ...systemClock,
    async sleep(ms, inner) {
      // What is longer bounds a call, and is no pause.
      if (ms > 90_000) return await systemClock.sleep(ms, inner);
      note(ms);
      await systemClock.sleep(ms / 50, inner);
    },
  };
}

export async function createLab(subject: Subject): Promise<Lab> {
  const { world } = subject;
  const [one, two] = world.subnets;
  const nodes = [
    await world.runInstance(one, hostOf(one.cidr, 51), { forwards: true }),
    await world.runInstance(two, hostOf(two.cidr, 52), { forwards: true }),
  ] as const;
  const closed = await world.runInstance(one, hostOf(one.cidr, 53), { forwards: false });
  const made = new Map<string, Promise<CloudProvider>>();
  const watchers = new Set<() => Promise<void>>();
  world.onChange(async () => {
    for (const watcher of watchers) await watcher();
  });
  const used: Record<Family, number> = { 4: 0, 6: 0 };
  let hosts = 60;

  async function make(as: Caller): Promise<CloudProvider> {
    const provider = await subject.provider(as);
    // As an agent does first: what its metadata server tells is what some clouds' calls rest on.
    if (typeof as !== 'string') await provider.identify(signal());
    return provider;
  }

  function provider(as: Caller): Promise<CloudProvider> {
    const key = typeof as === 'string' ? as : as.id;
    const found = made.get(key) ?? make(as);
    made.set(key, found);
    return found;
  }
  const { capabilities } = await provider('controller');

  async function tables(): Promise<readonly RouteTable[]> {
    const selector = { tableIds: world.tableIds, networkId: world.networkId, subnetIds: [] };
    return await (await provider('reader')).tables(selector, signal());
  }

  async function followed(destination: Cidr, tableId = one.tableId): Promise<string | undefined> {
    const routes = await world.forwarding(tableId);
    const target = routes.find((route) => sameCidr(cidr(route.destination), destination))?.target;
    return target?.kind === 'nic' ? target.nicId : target?.kind;
  }

  const isOurs = (destination: Cidr): boolean => cidrContains(networks[destination.family].network, destination);

  const lab: Lab = {
    ...{ subject, world, capabilities, nodes, closed, tableId: one.tableId, provider, tables, followed },
    async program(clock = systemClock) {
      const budgeted = withBudget(await provider('controller'), { clock, random: Math.random, logger: silentLogger });
      return withWriteQueue(budgeted, { clock, batches: true });
    },
    destination(family = 4) {
      used[family] += 1;
      const { network, subnetLength } = networks[family];
      const size = family === 4 ? 256n : 1n << 64n;
      return cidrOf(nthAddress(network, BigInt(used[family]) * size), subnetLength);
    },
    host: () => hosts++,
    async hop({ address }) {
      const claim = { address: ip(address), networkId: world.networkId };
      const [found] = await (await provider('controller')).resolve([claim], signal());
      if (found?.kind !== 'resolved') throw new Error(`${address} is not resolved: ${found?.reason}`);
      return found.nextHop;
    },
    async standing(destination, tableId = one.tableId) {
      const table = (await tables()).find(({ id }) => id === tableId);
      return (table?.routes ?? []).filter((route) => route.destination && sameCidr(route.destination, destination));
    },
    async watching(destination, work) {
      const seen = new Map<string, (string | undefined)[]>(world.tableIds.map((id) => [id, []]));
      const look = async (): Promise<void> => {
        for (const [id, states] of seen) states.push(await followed(destination, id));
      };
      await look();
      watchers.add(look);
      try {
        await work();
      } finally {
        watchers.delete(look);
      }
      await look();
      return seen;
    },
    onEachChange(listener) {
      const watcher = async () => listener();
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    async others(ours) {
      const texts = ours.map(formatCidr);
      const without = <T>(entries: readonly (readonly [string, T])[]) =>
        entries.filter(([destination]) => !texts.includes(destination));
      const found: unknown[] = [];
      for (const id of world.tableIds) {
        const made = without(Object.entries(await world.staticRoutes(id)));
        const followed = without(
          (await world.forwarding(id)).map((route) => [route.destination, route.target] as const),
        );
        found.push({ id, made: made.sort(), followed: followed.sort(), stored: await world.document(id, texts) });
      }
      return JSON.stringify(found, undefined, 1);
    },
    async requestsOf(work) {
      world.resetRequests();
      await work();
      return [...world.requests()];
    },
    async reset() {
      world.clearFaults();
      world.setReadLag(0);
      world.setOperationDelay(0);
      world.setThrottle(undefined);
      world.setRouteLimit(capabilities.defaultRouteLimit);
      for (const role of ['node', 'controller', 'reader'] as const) world.setRights(role, 'all');
      for (const id of world.tableIds) {
        for (const destination of Object.keys(await world.staticRoutes(id))) {
          const parsed = parseCidr(destination);
          if (parsed && isOurs(parsed)) await world.removeRoute(id, destination);
        }
      }
    },
    async close() {
      for (const each of made.values()) await (await each).close();
      await subject.close?.();
      await world.stop();
    },
  };
  return lab;
}

/** A creation in the first table. */
export function creation(lab: Lab, destination: Cidr, nextHop: NextHop, tableId = lab.tableId) {
  return { action: 'create', tableId, destination, nextHop } as const satisfies RouteChange;
}

/** A deletion of what stands. */
export function deletion(destination: Cidr, tableId: string, { target, handle }: Omit<StandingRoute, 'preference'>) {
  const named = handle === undefined ? {} : { handle };
  return { action: 'delete', tableId, destination, expected: target, ...named } as const satisfies RouteChange;
}

/** A change of what stands to another next hop, where that is one call. */
export function replacement(
  destination: Cidr,
  tableId: string,
  { target, handle }: Omit<StandingRoute, 'preference'>,
  nextHop: NextHop,
) {
  const named = handle === undefined ? {} : { handle };
  return {
    action: 'replace',
    tableId,
    destination,
    nextHop,
    expected: target,
    ...named,
  } as const satisfies RouteChange;
}

/** The only item. @throws Error when there are none or several. */
export function only<T>(items: readonly T[], what = 'route'): T {
  const [item, ...more] = items;
  if (item === undefined || more.length > 0) throw new Error(`${items.length} instead of one ${what}`);
  return item;
}
