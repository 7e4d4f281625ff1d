/**
 * One look at store and cloud, and the plan that follows from it: what the controller acts on, and what `plan`, `routes` and `status`
 * show. Reads only.
 */
import type { Lease, LeaseKey } from '../../lease/lease.ts';
import { subnetsOf } from '../../lease/lease-key.ts';
import type { LeaseStore } from '../../lease/lease-store.ts';
import type { NodeReport, NodeReportStore } from '../../lease/node-reports.ts';
import type { OwnershipStore, StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type {
  CloudProvider,
  ForwardingSetting,
  InstanceState,
  NextHop,
  RouteTable,
  TableSelector,
} from '../../providers/provider.ts';
import type { OpenCloud } from '../cloud.ts';
import type { Clock } from '../core/clock.ts';
import { withDeadline } from '../core/deadline.ts';
import { FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { BackendConf } from '../netconf/backend.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { desiredRoutes, type RejectedSubnet } from '../routing/desired.ts';
import { type Memory, weighLeases } from '../routing/knowledge.ts';
import { planRoutes } from '../routing/plan.ts';
import { isCandidate, leftovers } from '../routing/plan-removals.ts';
import { recordedRoutesIn } from '../routing/recorded-routes.ts';
import type { DeletionPolicy, PlanInput, RoutePlan, RouteStep } from '../routing/route-plan.ts';
import { Deletions } from './deletions.ts';
import { suspects, terminatedAmong } from './instance-watch.ts';
import { ResolutionBook } from './resolution-book.ts';
import { type RouteLimit, RouteLimits } from './route-limits.ts';

export interface ObserverOptions {
  readonly leases: Pick<LeaseStore, 'list'>;
  readonly ownership: Pick<OwnershipStore, 'list'>;
  readonly reports: Pick<NodeReportStore, 'list'>;
  readonly cloud: OpenCloud;
  readonly netConf: NetConf;
  /** `own`: leases of this backend. `all`: those of other backends too, while a cluster moves from one to another. */
  readonly backendTypes: 'own' | 'all';
  readonly policy: DeletionPolicy;
  /** `--route-limit`. */
  readonly routeLimit: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What an earlier observer of this process saw of the store, for those that begin anew with each leadership. */
  readonly memory?: Memory | undefined;
}

/** What was seen, and what would be done about it. */
export interface Look {
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly leases: readonly Lease[];
  readonly selector: TableSelector;
  /** Monotonic: when the tables were read. */
  readonly readAt: number;
  /** As read: those of `input` have the limits that are known otherwise. */
  readonly tables: readonly RouteTable[];
  readonly input: PlanInput;
  readonly plan: RoutePlan;
  readonly rejected: readonly RejectedSubnet[];
  /** Leases of other backends, which get no route here. */
  readonly others: readonly Lease[];
  /** Leases whose machine is terminated. */
  readonly ended: readonly Lease[];
  /** Next hops that the cloud does not let forward. */
  readonly prepares: readonly NextHop[];
  /** The cloud's setting that lets them. */
  readonly forwarding: ForwardingSetting;
  /** For each table, the limit and where it comes from. */
  readonly limits: ReadonlyMap<string, RouteLimit>;
  readonly reports: ReadonlyMap<LeaseKey, NodeReport>;
  /** Things that could not be read and that the plan does without. */
  readonly problems: readonly FlannelVpcError[];
}

/** What a look's reads share. */
interface Reading {
  readonly signal: AbortSignal;
  /** All next hops are asked about again. */
  readonly verifies: boolean;
  /** For what the plan can do without: notes the error and gives this instead. */
  readonly tolerate: <T>(otherwise: T) => (error: unknown) => T;
}

export interface Observer {
  /**
   * Reads and plans. `resync`: enough time has passed since the last such look that an absence counts.
   *
   * @throws what the store or the cloud throws for what no plan can do without: leases, records, tables, and at first next hops.
   */
  look(request: { readonly resync: boolean }, signal: AbortSignal): Promise<Look>;
  /** The same look after these steps, with the tables as read since: what stands now. */
  review(look: Look, tables: readonly RouteTable[], done: readonly RouteStep[]): Look;
  /** The store saw somebody end this lease, so that its routes need not be missed at several looks. */
  deleted(lease: Lease): void;
  /** The NIC forwards now. */
  prepared(nextHop: NextHop): void;
  /** The cloud would not write to the NIC: who has its address is asked again. */
  doubt(nextHop: NextHop): void;
  readonly limits: RouteLimits;
}

/** Longest time for the metadata server to say in which network this machine is, milliseconds. Elsewhere than in the cloud none answers. */
const identifyMs = 8_000;
/** Pause before it is asked again where it did not say, milliseconds. */
const askNetworkMs = 60_000;

/** Nothing is read before the first look. What is remembered from look to look belongs to this observer. */
export function createObserver(options: ObserverOptions): Observer {
  const { cloud, netConf, clock, logger } = options;
  const { provider } = cloud;
  const book = new ResolutionBook();
  const memory: Memory = options.memory ?? { absences: new Map(), position: undefined };
  // While another one led, nobody looked here. The store's position stays: a store restored from a backup ends leaderships too.
  memory.absences = new Map();
  const missed = new Map<string, number>();
  const deletions = new Deletions(clock, options.policy);
  /** At the last look. */
  let leaseCount = 0;
  const limits = new RouteLimits({
    configured: options.routeLimit,
    byDefault: provider.capabilities.defaultRouteLimit,
  });
  let ownNetwork: OwnNetwork | undefined;
  /** Monotonic: when to ask for it again. */
  let askNetworkAt: number | undefined;

  /** Only the first look waits for it: a metadata server may not be there at a machine's start, and elsewhere never is. */
  async function thisNetwork(signal: AbortSignal): Promise<string | undefined> {
    const now = clock.monotonic();
    if (ownNetwork || now < (askNetworkAt ?? now)) return ownNetwork?.id;
    const asking = networkOfThisMachine(provider, clock, logger, signal).then((found) => {
      ownNetwork = found;
      return found?.id;
    });
    asking.catch(() => {});
    const first = askNetworkAt === undefined;
    const found = first ? await asking : undefined;
    askNetworkAt = now + askNetworkMs;
    return found;
  }

  /** Named tables, by id or tag, need no next hop to be found. Others may use the same tag in networks of theirs. */
  async function namedTables(signal: AbortSignal): Promise<TableSelector | undefined> {
    const { tableIds, tag } = cloud;
    if (tableIds.length > 0) return { tableIds, networkId: undefined, subnetIds: [] };
    return tag && { tableIds, tag, networkId: await thisNetwork(signal), subnetIds: [] };
  }

  /** Tables of the nodes' subnets; and those we wrote to, where the last node of a subnet may have left routes behind. */
  function servingTables(networkId: string | undefined, recorded: readonly string[]): TableSelector | undefined {
    const network = networkId ?? book.networkId;
    const subnetIds = network === undefined ? [] : book.subnetIds(network);
    if (subnetIds.length === 0 && recorded.length === 0) return undefined;
    return { tableIds: [], networkId: network, subnetIds, alsoIds: recorded };
  }

  async function resolveDue(
    leases: readonly Lease[],
    networkId: string | undefined,
    tables: readonly RouteTable[],
    { signal, verifies, tolerate }: Reading,
  ): Promise<void> {
    const due = book.due(leases, networkId, tables, { monotonic: clock.monotonic(), all: verifies });
    if (due.length === 0) return;
    const asking = provider.resolve(
      due.map(({ claim }) => claim),
      signal,
    );
    // What is known already is enough to go on with; without any answer nothing is.
    const answers = await (book.isEmpty ? asking : asking.catch(tolerate(undefined)));
    if (!answers) return book.unanswered(due);
    const noted = due.flatMap((question, index) => {
      const resolution = answers[index];
      return resolution ? { question, resolution } : [];
    });
    book.note(noted, clock.monotonic());
  }

  /** Next hops and tables, each by as few reads as can be: one for the tables where nothing is new. */
  async function readCloud(
    leases: readonly Lease[],
    records: readonly StoredOwnershipRecord[],
    reading: Reading,
  ): Promise<CloudView> {
    const { signal } = reading;
    const named = await namedTables(signal);
    if (named) {
      const tables = await provider.tables(named, signal);
      const readAt = clock.monotonic();
      const networkId = networkOf(tables, named);
      await resolveDue(leases, networkId, tables, reading);
      return { selector: named, tables, readAt, networkId };
    }
    const networkId = await thisNetwork(signal);
    const recorded = [...new Set(records.map(({ tableId }) => tableId))].sort();
    // At first all next hops are asked about anyway, and say which tables to read.
    const known = book.isEmpty && leases.length > 0 ? undefined : servingTables(networkId, recorded);
    const before = known && (await provider.tables(known, signal));
    const readBefore = clock.monotonic();
    await resolveDue(leases, networkId, before ?? [], reading);
    const selector = servingTables(networkId, recorded);
    if (!selector)
      return { selector: { tableIds: [], networkId, subnetIds: [] }, tables: [], readAt: readBefore, networkId };
    const same = selector.networkId === known?.networkId && selector.subnetIds.join() === known?.subnetIds.join();
    const tables = before && same ? before : await provider.tables(selector, signal);
    const readAt = tables === before ? readBefore : clock.monotonic();
    return { selector, tables, readAt, networkId: selector.networkId ?? networkOf(tables, selector) };
  }

  async function look({ resync }: { readonly resync: boolean }, signal: AbortSignal): Promise<Look> {
    const problems: FlannelVpcError[] = [];
    const tolerate =
      <T>(otherwise: T) =>
      (error: unknown): T => {
        signal.throwIfAborted();
        if (!isFlannelVpcError(error)) throw error;
        problems.push(error);
        return otherwise;
      };
    const [list, records, reports] = await Promise.all([
      options.leases.list(signal),
      options.ownership.list(signal),
      options.reports.list(signal).catch(tolerate(new Map<LeaseKey, NodeReport>())),
    ]);
    const concerned = (lease: Lease): boolean => options.backendTypes === 'all' || isOwnBackend(lease, netConf.backend);
    leaseCount = list.leases.length;
    const eligible = list.leases.filter(concerned);
    // Where no route shows that its machine is gone, machines are asked for as often as the tables are read.
    const verifies = resync && provider.capabilities.hidesDeadNextHops === true;
    const read = await readCloud(eligible, records, { signal, verifies, tolerate });
    const monotonic = clock.monotonic();
    const tables = limits.apply(read.tables, monotonic);
    const resolutions = book.resolutions(read.networkId);
    const leased = list.leases.flatMap(({ subnets }) => subnetsOf(subnets));
    const asked = suspects({ networks: netConf.ranges, leases: eligible, leased, resolutions, tables, records });
    const states =
      asked.ids.length === 0
        ? new Map<string, InstanceState>()
        : await provider.instances(asked.ids, signal).catch(tolerate(undefined));
    const terminated = states ? terminatedAmong(asked, states, missed, resync) : new Set<string>();
    const ended = eligible.filter((lease) => terminated.has(asked.byLease.get(lease) ?? ''));
    const over = new Set(ended);
    const { routes, rejected } = desiredRoutes({
      leases: eligible.filter((lease) => !over.has(lease)),
      resolutions,
      networks: netConf.ranges,
    });
    const scope = { kind: 'all' } as const;
    const candidates = leftovers({ networks: netConf.ranges, tables, desired: routes }).filter((leftover) =>
      isCandidate(scope, leftover),
    );
    const input: PlanInput = {
      ...{ networks: netConf.ranges, scope, tables, desired: routes, records },
      leases: weighLeases(memory, { list, candidates, resync, ended, deleted: deletions.keys }),
      ...{ terminatedInstances: terminated, policy: options.policy },
      ...{ capabilities: provider.capabilities, now: clock.now() },
    };
    const hops = new Map(routes.map(({ nextHop }) => [nextHop.nicId, nextHop]));
    return {
      at: clock.now(),
      leases: list.leases,
      selector: read.selector,
      readAt: read.readAt,
      tables: read.tables,
      input,
      plan: planRoutes(input),
      rejected,
      others: list.leases.filter((lease) => !concerned(lease)),
      ended,
      prepares: [...hops.values()].filter(({ forwards }) => !forwards),
      forwarding: provider.capabilities.forwarding,
      limits: limitsOf(read.tables, monotonic),
      reports,
      problems,
    };
  }

  function limitsOf(tables: readonly RouteTable[], monotonic: number): Look['limits'] {
    return new Map(tables.map((table) => [table.id, limits.of(table, monotonic)]));
  }

  return {
    look,
    review(seen, tables, done) {
      const removed = new Set(done.flatMap((step) => ('record' in step ? step.record : [])));
      const routesOf = recordedRoutesIn(tables);
      // A record stays for as long as a route that it makes ours.
      const records = seen.input.records?.filter((record) => !removed.has(record) || routesOf(record).length > 0);
      const monotonic = clock.monotonic();
      const input = { ...seen.input, records, tables: limits.apply(tables, monotonic), now: clock.now() };
      const { closedNics } = book;
      const prepares = seen.prepares.filter(({ nicId }) => closedNics.has(nicId));
      return { ...seen, tables, input, plan: planRoutes(input), prepares, limits: limitsOf(tables, monotonic) };
    },
    deleted: (lease) => deletions.note(lease, leaseCount),
    prepared: (nextHop) => book.prepared(nextHop),
    doubt: (nextHop) => book.doubt(nextHop),
    limits,
  };
}

interface CloudView {
  readonly selector: TableSelector;
  readonly tables: readonly RouteTable[];
  /** Monotonic. */
  readonly readAt: number;
  /** The network that the tables are in; undefined where configured ones are in several. */
  readonly networkId: string | undefined;
}

/** @throws CONFIG_INVALID for a tag in several networks: some of those tables are somebody else's. */
function networkOf(tables: readonly RouteTable[], { tag }: TableSelector): string | undefined {
  const networks = [...new Set(tables.flatMap(({ networkId }) => networkId ?? []))].sort();
  if (networks.length <= 1) return networks[0];
  if (!tag) return undefined;
  throw new FlannelVpcError(
    'CONFIG_INVALID',
    `tables with the tag ${tag.key}=${tag.value} are in several networks: ${networks.join(', ')}`,
    { hint: 'Run this on a machine of the cluster’s network, or name the tables in net-conf (docs/net-conf.md).' },
  );
}

/** Cloud backends, ours and flannel's old ones, write no backend type. A cluster that moves takes its former type's leases along. */
function isOwnBackend({ attributes }: Lease, { type, movesFrom }: BackendConf): boolean {
  const written = attributes.backendType.toLowerCase();
  return ['', type, movesFrom?.type].includes(written) || attributes.node?.movedTo === type;
}

/** What a metadata server says of it, which may be nothing (a Shared VPC on Google Cloud). */
interface OwnNetwork {
  readonly id: string | undefined;
}

/** The network to look for next hops in: the same private address may exist in several. Undefined where no metadata server answers. */
async function networkOfThisMachine(
  provider: CloudProvider,
  clock: Clock,
  logger: Logger,
  signal: AbortSignal,
): Promise<OwnNetwork | undefined> {
  const overdue = () => new FlannelVpcError('METADATA_UNAVAILABLE', 'the metadata server does not answer');
  try {
    const identity = await withDeadline({ clock, ms: identifyMs, signal, error: overdue }, (inner) =>
      provider.identify(inner),
    );
    return { id: identity.nics.find(({ networkId }) => networkId !== undefined)?.networkId };
  } catch (error) {
    signal.throwIfAborted();
    logger.debug('not a machine of the cloud, it seems; next hops are looked for in all its networks', {
      error: error instanceof Error ? error.message : String(error),
    });
    return undefined;
  }
}
