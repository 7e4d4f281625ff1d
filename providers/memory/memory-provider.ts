/** The provider seam on top of a memory cloud, as one machine sees it. */
import type { Clock } from '../../src/core/clock.ts';
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { families, formatCidr, formatIp, sameIp } from '../../src/core/ip.ts';
import type { Finding } from '../diagnosis.ts';
import type {
  ChangeResult,
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
  TableSelector,
} from '../provider.ts';
import { existingNic, routesAfter, type TargetKind, targetOfNic } from './change-table.ts';
import { diagnoseWorld } from './diagnose.ts';
import type { MemoryChange } from './memory-change.ts';
import { routeState } from './route-state.ts';
import type { Passage, Traffic } from './traffic.ts';
import type { Nic, StoredRoute, Table, World } from './world.ts';

/** What a cloud shares with its providers. */
export interface CloudParts {
  readonly world: World;
  readonly traffic: Traffic;
  readonly clock: Clock;
  readonly settings: {
    readonly capabilities: ProviderCapabilities;
    readonly targets: TargetKind;
    readonly compares: boolean;
    readonly readLagMs: number;
  };
  changed(change: MemoryChange): Promise<void>;
}

export class MemoryProvider implements CloudProvider {
  readonly type = 'memory';
  readonly capabilities: ProviderCapabilities;
  /** There where `batchSize` is above 1. */
  readonly applyBatch?: NonNullable<CloudProvider['applyBatch']>;
  readonly #parts: CloudParts;
  readonly #caller: string;

  constructor(parts: CloudParts, caller: string) {
    this.#parts = parts;
    this.#caller = caller;
    this.capabilities = parts.settings.capabilities;
    if (this.capabilities.batchSize > 1) this.applyBatch = (...args) => this.#batch(...args);
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
      claims.map((claim) => resolveClaim(this.#parts, claim)),
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
    const { forwarding } = this.capabilities;
    if (!forwarding.settable) {
      throw new FlannelVpcError('INVALID', `${forwarding.name} of ${nicId} is set when its instance is made`, {
        hint: `make the instance anew with ${forwarding.name} ${forwarding.wanted}`,
        details: { nicId },
      });
    }
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
    await this.#parts.traffic.pass(call, signal, () => this.#change(change), this.#passage(tableId));
  }

  async diagnose(subject: DiagnosisSubject, signal: AbortSignal): Promise<readonly Finding[]> {
    return await this.#parts.traffic.pass({ action: 'diagnose', caller: this.#caller }, signal, () =>
      diagnoseWorld(this.#parts.world, subject, this.capabilities.forwarding),
    );
  }

  async close(): Promise<void> {}

  #visibleRoutes(table: Table): readonly StoredRoute[] {
    const moment = this.#parts.clock.monotonic() - this.#parts.settings.readLagMs;
    return table.past.find(({ until }) => until > moment)?.routes ?? table.routes;
  }

  /** Change after change: one that is refused stops none. */
  async #batch(
    tableId: string,
    changes: readonly RouteChange[],
    signal: AbortSignal,
  ): Promise<readonly ChangeResult[]> {
    const { batchSize } = this.capabilities;
    if (changes.length === 0) return [];
    const names = new Set(changes.map(({ destination }) => formatCidr(destination)));
    if (names.size > batchSize || names.size < changes.length || changes.some((each) => each.tableId !== tableId)) {
      const hint = `a batch has at most ${batchSize} changes, of one table and each of another destination`;
      throw new FlannelVpcError('INVALID', `a batch for ${tableId} is none`, { hint });
    }
    const call = { action: 'batch', caller: this.#caller, tableId } as const;
    return await this.#parts.traffic.pass(
      call,
      signal,
      (half) => this.#changeAll(half ? changes.slice(0, changes.length / 2) : changes),
      this.#passage(tableId),
    );
  }

  /** Calls that would be refused while another one of them is under way. */
  #passage(tableId: string): Passage {
    const { writesAtOnce } = this.capabilities;
    if (writesAtOnce === 'any') return {};
    return { queue: writesAtOnce === 'one' ? 'all' : tableId };
  }

  async #changeAll(changes: readonly RouteChange[]): Promise<readonly ChangeResult[]> {
    const results: ChangeResult[] = [];
    for (const change of changes) {
      const result = await this.#change(change).catch((error: unknown) => {
        if (!isFlannelVpcError(error)) throw error;
        return error;
      });
      results.push(result ?? undefined);
    }
    return results;
  }

  async #change(change: RouteChange): Promise<void> {
    const { world, clock, settings } = this.#parts;
    const { tableId } = change;
    const table = world.tables.get(tableId);
    if (!table) throw new FlannelVpcError('NOT_FOUND', `there is no table ${tableId}`, { details: { tableId } });
    const routes = routesAfter({ world, ...settings }, table, change);
    if (routes === undefined) return;
    const now = clock.monotonic();
    table.past = [...table.past.filter(({ until }) => until > now - 60_000), { until: now, routes: table.routes }];
    table.routes = routes;
    await this.#parts.changed({ kind: 'route', change });
  }
}

function resolveClaim({ world, settings }: CloudParts, claim: NextHopClaim): Resolution {
  const owners = [...world.nics()].filter(
    (nic) =>
      nic.addresses.some((address) => sameIp(address, claim.address)) &&
      (claim.networkId === undefined || nic.networkId === claim.networkId),
  );
  const [first, ...others] = owners;
  const nic = others.length === 0 ? first : owners.find(({ id }) => id === claim.nicId);
  if (nic) return { kind: 'resolved', nextHop: nextHopOf(nic, settings.targets) };
  const where = claim.networkId === undefined ? '' : ` in ${claim.networkId}`;
  const address = formatIp(claim.address);
  return {
    kind: 'unresolved',
    reason: first
      ? `several interfaces have the address ${address}${where}`
      : `no interface has the address ${address}${where}`,
  };
}

function nextHopOf(nic: Nic, targets: TargetKind): NextHop {
  const { id: nicId, instanceId, subnetId, networkId, forwards, addresses } = nic;
  const nextHop = { nicId, instanceId, subnetId, networkId, forwards };
  if (targets === 'nic') return nextHop;
  const shown = families.flatMap((family) => {
    const target = targetOfNic(nic, targets, family);
    return target ? [[family, target] as const] : [];
  });
  return { ...nextHop, ...(targets === 'address' ? { addresses } : {}), target: Object.fromEntries(shown) };
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
