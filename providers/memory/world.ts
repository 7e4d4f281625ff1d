/** What a cloud made of memory consists of: its description by the caller, and the checked state behind it. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, formatCidr, type Ip, parseCidr, parseIp } from '../../src/core/ip.ts';
import type { InstanceState, RouteEntry, RouteTarget, TableTag } from '../provider.ts';

export interface NetworkSpec {
  readonly id: string;
  /** The network's own ranges; every table gets a local route for each. */
  readonly cidrs: readonly string[];
  readonly subnets: readonly { readonly id: string; readonly cidr: string }[];
}

export interface TableSpec {
  readonly id: string;
  readonly networkId: string;
  /** Serves every subnet that no other table is associated with. One per network. */
  readonly main?: boolean | undefined;
  /** Subnets explicitly associated. */
  readonly subnetIds?: readonly string[] | undefined;
  readonly tags?: readonly TableTag[] | undefined;
  /** Routes of others, standing from the start. */
  readonly routes?: readonly RouteSpec[] | undefined;
  /** Most routes per family; the capabilities' default when absent. */
  readonly routeLimit?: number | undefined;
}

export interface RouteSpec {
  /** A CIDR, or any other text (a prefix list's id). */
  readonly destination: string;
  readonly target: RouteTarget;
  readonly origin?: RouteEntry['origin'] | undefined;
  /** Fixes the state; when absent it follows the target's instance. */
  readonly state?: RouteEntry['state'] | undefined;
  readonly marked?: boolean | undefined;
  readonly handle?: string | undefined;
  readonly preference?: number | undefined;
}

export interface InstanceSpec {
  readonly id: string;
  readonly zone?: string | undefined;
  readonly region?: string | undefined;
  readonly nics: readonly NicSpec[];
}

export interface NicSpec {
  readonly id: string;
  readonly subnetId: string;
  readonly addresses: readonly string[];
  /** Whether it forwards packets that are not its own from the start. Default false, as on AWS. */
  readonly forwards?: boolean | undefined;
}

export interface Network {
  readonly id: string;
  readonly cidrs: readonly Cidr[];
  readonly subnets: readonly { readonly id: string; readonly cidr: Cidr }[];
}

export interface Nic {
  readonly id: string;
  readonly subnetId: string;
  readonly networkId: string;
  readonly instanceId: string;
  readonly addresses: readonly Ip[];
  forwards: boolean;
}

export interface Instance {
  readonly id: string;
  readonly zone: string | undefined;
  readonly region: string | undefined;
  state: InstanceState;
  nics: readonly Nic[];
}

/** A route as kept: `state` is set only where a test fixed it. */
export type StoredRoute = Omit<RouteEntry, 'state'> & { readonly state: RouteEntry['state'] | undefined };

export interface Table {
  readonly id: string;
  readonly networkId: string;
  readonly main: boolean;
  subnetIds: readonly string[];
  readonly tags: readonly TableTag[];
  routeLimit: number | undefined;
  routes: readonly StoredRoute[];
  /** Earlier contents, each with the monotonic time at which it was replaced, oldest first. */
  past: { readonly until: number; readonly routes: readonly StoredRoute[] }[];
}

/** The state. Lookups throw INVALID on ids that a test misspelt. */
export class World {
  readonly networks = new Map<string, Network>();
  readonly tables = new Map<string, Table>();
  readonly instances = new Map<string, Instance>();
  /** By id, those of former instances too: thousands of routes ask for theirs. */
  readonly #nics = new Map<string, Nic>();

  addNetwork(spec: NetworkSpec): void {
    this.networks.set(spec.id, {
      id: spec.id,
      cidrs: spec.cidrs.map(cidr),
      subnets: spec.subnets.map((subnet) => ({ id: subnet.id, cidr: cidr(subnet.cidr) })),
    });
  }

  addTable(spec: TableSpec): void {
    const network = known(this.networks.get(spec.networkId), 'network', spec.networkId);
    const local = network.cidrs.map(
      (destination): StoredRoute => ({
        destination,
        destinationText: formatCidr(destination),
        target: { kind: 'local', id: 'local' },
        state: 'active',
        origin: 'local',
      }),
    );
    this.tables.set(spec.id, {
      id: spec.id,
      networkId: spec.networkId,
      main: spec.main ?? false,
      subnetIds: [...(spec.subnetIds ?? [])],
      tags: spec.tags ?? [],
      routeLimit: spec.routeLimit,
      routes: [...local, ...(spec.routes ?? []).map(storedRoute)],
      past: [],
    });
  }

  addInstance(spec: InstanceSpec): void {
    const nics = spec.nics.map((nic) => this.nicOf(spec.id, nic));
    for (const nic of nics) this.#nics.set(nic.id, nic);
    this.instances.set(spec.id, { id: spec.id, zone: spec.zone, region: spec.region, state: 'running', nics });
  }

  table(id: string): Table {
    return known(this.tables.get(id), 'table', id);
  }

  instance(id: string): Instance {
    return known(this.instances.get(id), 'instance', id);
  }

  /** Every NIC there is; a terminated instance's are gone. */
  *nics(): Generator<Nic> {
    for (const instance of this.instances.values()) yield* instance.nics;
  }

  /** The NIC of this id, while its instance has it. */
  nic(id: string): Nic | undefined {
    const nic = this.#nics.get(id);
    return nic && this.instances.get(nic.instanceId)?.nics.includes(nic) ? nic : undefined;
  }

  /** The instance a target names, itself or by a NIC, while that exists. */
  instanceBehind({ id }: RouteTarget): Instance | undefined {
    const nic = this.nic(id) ?? this.instances.get(id)?.nics[0];
    return nic && this.instances.get(nic.instanceId);
  }

  private nicOf(instanceId: string, spec: NicSpec): Nic {
    const network = [...this.networks.values()].find(({ subnets }) => subnets.some(({ id }) => id === spec.subnetId));
    const { id: networkId } = known(network, 'subnet', spec.subnetId);
    return {
      id: spec.id,
      subnetId: spec.subnetId,
      networkId,
      instanceId,
      addresses: spec.addresses.map(address),
      forwards: spec.forwards ?? false,
    };
  }
}

/** A route of a spec in stored form. */
export function storedRoute(spec: RouteSpec): StoredRoute {
  const destination = parseCidr(spec.destination);
  return {
    destination,
    destinationText: destination ? formatCidr(destination) : spec.destination,
    target: spec.target,
    state: spec.state,
    origin: spec.origin ?? 'static',
    ...(spec.marked === undefined ? {} : { marked: spec.marked }),
    ...(spec.handle === undefined ? {} : { handle: spec.handle }),
    ...(spec.preference === undefined ? {} : { preference: spec.preference }),
  };
}

function known<T>(found: T | undefined, kind: string, id: string): T {
  if (found === undefined) throw new FlannelVpcError('INVALID', `the memory cloud has no ${kind} ${id}`);
  return found;
}

function cidr(text: string): Cidr {
  return known(parseCidr(text), 'such CIDR as', text);
}

function address(text: string): Ip {
  return known(parseIp(text), 'such address as', text);
}
