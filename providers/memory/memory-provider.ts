/** The provider seam on top of a memory cloud, as one machine sees it. */
import type { Clock } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, cidrContains, formatCidr, formatIp, sameCidr, sameIp } from '../../src/core/ip.ts';
import type { Finding } from '../diagnosis.ts';
import type {
  CloudProvider,
  DiagnosisSubject,
  InstanceState,
  MachineIdentity,
  NextHop,
  NextHopClaim,
  ProviderCapabilities,
  Resolution,
  RouteChange,
  RouteTable,
  RouteTarget,
  TableSelector,
} from '../provider.ts';
import { diagnoseWorld } from './diagnose.ts';
import type { MemoryChange } from './memory-change.ts';
import { routeState } from './route-state.ts';
import type { Traffic } from './traffic.ts';
import type { Nic, StoredRoute, Table, World } from './world.ts';

/** What a cloud shares with its providers. */
export interface CloudParts {
  readonly world: World;
  readonly traffic: Traffic;
  readonly clock: Clock;
  readonly settings: {
    readonly capabilities: ProviderCapabilities;
    readonly targets: 'nic' | 'instance';
    readonly readLagMs: number;
  };
  changed(change: MemoryChange): Promise<void>;
}

export class MemoryProvider implements CloudProvider {
  readonly type = 'memory';
  readonly capabilities: ProviderCapabilities;
  readonly #parts: CloudParts;
  readonly #caller: string;

  constructor(parts: CloudParts, caller: string) {
    this.#parts = parts;
    this.#caller = caller;
    this.capabilities = parts.settings.capabilities;
  }

  async identify(signal: AbortSignal): Promise<MachineIdentity> {
    return await this.#parts.traffic.pass({ action: 'identify', caller: this.#caller }, signal, () => {
      const instance = this.#parts.world.instances.get(this.#caller);
      if (!instance) {
        throw new FlannelVpcError('METADATA_UNAVAILABLE', `the memory cloud has no instance ${this.#caller}`, {
          hint: 'add the instance to the memory cloud',
        });
      }
      const nics = instance.nics.map(({ id, subnetId, networkId, addresses }) => ({
        nicId: id,
        subnetId,
        networkId,
        addresses,
      }));
      return { instanceId: instance.id, zone: instance.zone, region: instance.region, nics };
    });
  }

  async resolve(claims: readonly NextHopClaim[], signal: AbortSignal): Promise<readonly Resolution[]> {
    if (claims.length === 0) return [];
    return await this.#parts.traffic.pass({ action: 'resolve', caller: this.#caller }, signal, () =>
      claims.map((claim) => resolveClaim(this.#parts.world, claim)),
    );
  }

  async instances(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, InstanceState>> {
    if (ids.length === 0) return new Map();
    return await this.#parts.traffic.pass({ action: 'instances', caller: this.#caller }, signal, () => {
      const found = ids.flatMap((id) => this.#parts.world.instances.get(id) ?? []);
      return new Map(found.map(({ id, state }) => [id, state]));
    });
  }

  async prepare(nextHop: NextHop, signal: AbortSignal): Promise<void> {
    const { nicId } = nextHop;
    await this.#parts.traffic.pass({ action: 'prepare', caller: this.#caller, nicId }, signal, async () => {
      existingNic(this.#parts.world, nicId).forwards = true;
      await this.#parts.changed({ kind: 'forwards', nicId });
    });
  }

  async tables(selector: TableSelector, signal: AbortSignal): Promise<readonly RouteTable[]> {
    return await this.#parts.traffic.pass({ action: 'tables', caller: this.#caller }, signal, () =>
      selectTables(this.#parts.world, selector).map((table) => ({
        id: table.id,
        networkId: table.networkId,
        routes: this.#visibleRoutes(table).map((route) => ({ ...route, state: routeState(this.#parts.world, route) })),
        ...(table.routeLimit === undefined ? {} : { routeLimit: table.routeLimit }),
        association: associationOf(table, selector.subnetIds),
      })),
    );
  }

  async apply(change: RouteChange, signal: AbortSignal): Promise<void> {
    const { action, tableId } = change;
    const call = { action, caller: this.#caller, tableId, destination: formatCidr(change.destination) };
    await this.#parts.traffic.pass(call, signal, async () => {
      const table = this.#parts.world.tables.get(tableId);
      if (!table) throw new FlannelVpcError('NOT_FOUND', `there is no table ${tableId}`, { details: { tableId } });
      const routes = this.#routesAfter(table, change);
      if (routes === undefined) return;
      const now = this.#parts.clock.monotonic();
      table.past = [...table.past.filter(({ until }) => until > now - 60_000), { until: now, routes: table.routes }];
      table.routes = routes;
      await this.#parts.changed({ kind: 'route', change });
    });
  }

  async diagnose(subject: DiagnosisSubject, signal: AbortSignal): Promise<readonly Finding[]> {
    return await this.#parts.traffic.pass({ action: 'diagnose', caller: this.#caller }, signal, () =>
      diagnoseWorld(this.#parts.world, subject),
    );
  }

  async close(): Promise<void> {}

  #visibleRoutes(table: Table): readonly StoredRoute[] {
    const moment = this.#parts.clock.monotonic() - this.#parts.settings.readLagMs;
    return table.past.find(({ until }) => until > moment)?.routes ?? table.routes;
  }

  /** The table's routes once the change is made; undefined when there is nothing to do. */
  #routesAfter(table: Table, change: RouteChange): readonly StoredRoute[] | undefined {
    const standing = table.routes.filter(({ destination }) => destination && sameCidr(destination, change.destination));
    const written = standing.filter(({ origin }) => origin === 'static');
    if (change.action === 'delete') return this.#routesAfterDelete(table, change, written);
    this.#checkDestination(table, change.destination);
    const target = this.#targetOf(change.nextHop);
    const route: StoredRoute = {
      destination: change.destination,
      destinationText: formatCidr(change.destination),
      target,
      state: undefined,
      origin: 'static',
      ...(this.capabilities.marksRoutes ? { marked: true } : {}),
    };
    const details = { tableId: table.id, destination: route.destinationText };
    if (change.action === 'replace') {
      if (!this.capabilities.replacesInPlace)
        throw new FlannelVpcError('INVALID', 'this cloud does not replace routes', { details });
      const replaced = written[0];
      if (!replaced)
        throw new FlannelVpcError('CONFLICT', `there is no route ${route.destinationText} in ${table.id}`, { details });
      return table.routes.map((other) => (other === replaced ? route : other));
    }
    const clash = this.capabilities.coexistingRoutes
      ? written.find((other) => other.target.id === target.id)
      : written[0];
    if (clash) {
      throw new FlannelVpcError('CONFLICT', `the route ${route.destinationText} already exists in ${table.id}`, {
        details,
      });
    }
    this.#checkQuota(table, change.destination);
    return [...table.routes, route];
  }

  #routesAfterDelete(
    table: Table,
    change: RouteChange & { readonly action: 'delete' },
    written: readonly StoredRoute[],
  ): readonly StoredRoute[] | undefined {
    // As on AWS the key is table and CIDR; only where routes coexist does the target tell them apart.
    const doomed = this.capabilities.coexistingRoutes
      ? written.filter(({ target }) => target.id === change.expected.id)
      : written;
    return doomed.length === 0 ? undefined : table.routes.filter((route) => !doomed.includes(route));
  }

  #targetOf(nextHop: NextHop): RouteTarget {
    const nic = existingNic(this.#parts.world, nextHop.nicId);
    const { instanceId } = nic;
    return this.#parts.settings.targets === 'nic'
      ? { kind: 'nic', id: nic.id, instanceId }
      : { kind: 'instance', id: instanceId, instanceId };
  }

  #checkDestination(table: Table, destination: Cidr): void {
    if (!this.capabilities.families.includes(destination.family)) {
      throw new FlannelVpcError('INVALID', `this cloud has no IPv${destination.family} routes`);
    }
    const own = this.#parts.world.networks.get(table.networkId)?.cidrs.find((cidr) => cidrContains(cidr, destination));
    if (own) {
      throw new FlannelVpcError(
        'INVALID',
        `the route ${formatCidr(destination)} lies inside the network's own range ${formatCidr(own)}`,
        { hint: 'choose a pod network outside every range of the VPC', details: { tableId: table.id } },
      );
    }
  }

  #checkQuota(table: Table, { family }: Cidr): void {
    const limit = table.routeLimit ?? this.capabilities.defaultRouteLimit;
    const used = table.routes.filter(
      ({ destination, origin }) => destination?.family === family && origin !== 'propagated',
    ).length;
    if (used < limit) return;
    throw new FlannelVpcError('QUOTA_EXCEEDED', `table ${table.id} is full: ${used} of ${limit} routes`, {
      hint: 'ask for a higher quota, or use a shorter subnet length',
      details: { limit, used, tableId: table.id },
    });
  }
}

function resolveClaim(world: World, claim: NextHopClaim): Resolution {
  const owners = [...world.nics()].filter(
    (nic) =>
      nic.addresses.some((address) => sameIp(address, claim.address)) &&
      (claim.networkId === undefined || nic.networkId === claim.networkId),
  );
  const [first, ...others] = owners;
  const nic = others.length === 0 ? first : owners.find(({ id }) => id === claim.nicId);
  if (nic) return { kind: 'resolved', nextHop: nextHopOf(nic) };
  const where = claim.networkId === undefined ? '' : ` in ${claim.networkId}`;
  const address = formatIp(claim.address);
  return {
    kind: 'unresolved',
    reason: first
      ? `several interfaces have the address ${address}${where}`
      : `no interface has the address ${address}${where}`,
  };
}

function nextHopOf(nic: Nic): NextHop {
  const { id: nicId, instanceId, subnetId, networkId, forwards } = nic;
  return { nicId, instanceId, subnetId, networkId, forwards };
}

function existingNic(world: World, nicId: string): Nic {
  const nic = world.nic(nicId);
  if (nic) return nic;
  throw new FlannelVpcError('NOT_FOUND', `there is no interface ${nicId}`, { details: { nicId } });
}

function selectTables(world: World, selector: TableSelector): readonly Table[] {
  if (selector.tableIds.length > 0) {
    return [...new Set(selector.tableIds)].map((id) => {
      const table = world.tables.get(id);
      if (table) return table;
      throw new FlannelVpcError('NOT_FOUND', `there is no table ${id}`, { details: { tableId: id } });
    });
  }
  const candidates = [...world.tables.values()].filter(
    ({ networkId }) => selector.networkId === undefined || networkId === selector.networkId,
  );
  const { tag } = selector;
  if (tag) {
    const tagged = candidates.filter(({ tags }) =>
      tags.some(({ key, value }) => key === tag.key && value === tag.value),
    );
    if (tagged.length > 0) return tagged;
    throw new FlannelVpcError('NOT_FOUND', `no table has the tag ${tag.key}=${tag.value}`, {
      hint: 'tag every table that serves nodes',
      details: { tag: `${tag.key}=${tag.value}` },
    });
  }
  const chosen = new Set<Table>();
  for (const subnetId of selector.subnetIds) {
    const table =
      candidates.find(({ subnetIds }) => subnetIds.includes(subnetId)) ?? candidates.find(({ main }) => main);
    if (!table) throw new FlannelVpcError('NOT_FOUND', `no table serves subnet ${subnetId}`, { details: { subnetId } });
    chosen.add(table);
  }
  for (const table of candidates) if (selector.alsoIds?.includes(table.id)) chosen.add(table);
  return [...chosen];
}

function associationOf(table: Table, subnetIds: readonly string[]): RouteTable['association'] {
  if (table.subnetIds.some((id) => subnetIds.includes(id))) return 'explicit';
  return table.main ? 'main' : undefined;
}
