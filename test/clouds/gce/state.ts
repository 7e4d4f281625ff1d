/** What the simulated Compute Engine knows. Values are replaced, never changed. */
import { type Cidr, cidrContains, type Ip, sameIp } from '../../../src/core/ip.ts';
import { ChangeListeners } from '../simulator/change-listeners.ts';
import { History } from '../simulator/history.ts';

export interface Network {
  /** `PROJECT/NETWORK`. */
  readonly id: string;
  readonly number: string;
  readonly mtu: number;
  readonly range6: string;
}

export interface Subnet {
  /** `REGION/SUBNETWORK`, unique in the network's project. */
  readonly id: string;
  /** `PROJECT/NETWORK`. */
  readonly network: string;
  readonly cidr: Cidr;
  readonly cidr6: Cidr;
  /** Alias ranges. */
  readonly secondary: readonly Cidr[];
}

/** Those of Google's states that are modelled. TERMINATED is what others call stopped: the instance is still there. */
export type InstanceStatus = 'PROVISIONING' | 'STAGING' | 'RUNNING' | 'STOPPING' | 'TERMINATED' | 'SUSPENDED';

export interface InstanceNic {
  /** `nic0`, … */
  readonly name: string;
  readonly network: string;
  readonly subnet: string;
  readonly address: Ip;
  readonly address6: Ip | undefined;
  readonly mac: string;
}

export interface Instance {
  readonly project: string;
  /** `ZONE/NAME`. */
  readonly id: string;
  readonly number: string;
  readonly status: InstanceStatus;
  readonly canIpForward: boolean;
  readonly nics: readonly InstanceNic[];
  /** What its service account's tokens may reach. */
  readonly scopes: readonly string[];
  /** Network tags. */
  readonly tags: readonly string[];
  readonly createdAt: number;
}

export type NextHop =
  | { readonly kind: 'instance'; readonly project: string; readonly id: string }
  | { readonly kind: 'address'; readonly address: Ip }
  | { readonly kind: 'gateway'; readonly name: string }
  /** Members of the route's JSON as they are: VPN tunnels, peerings. */
  | { readonly kind: 'other'; readonly members: Readonly<Record<string, string>> };

export interface Route {
  readonly project: string;
  /** Unique in the project. */
  readonly name: string;
  readonly number: string;
  readonly description: string | undefined;
  /** `PROJECT/NETWORK`. */
  readonly network: string;
  readonly destination: Cidr;
  readonly priority: number;
  readonly tags: readonly string[];
  readonly hop: NextHop;
  readonly createdAt: number;
  /** Members of its JSON that no program knows. */
  readonly more?: object | undefined;
}

export interface Firewall {
  readonly name: string;
  readonly network: string;
  readonly direction: 'INGRESS' | 'EGRESS';
  readonly priority: number;
  readonly sourceRanges?: readonly string[];
  readonly sourceTags?: readonly string[];
  readonly targetTags?: readonly string[];
  readonly targetServiceAccounts?: readonly string[];
  readonly disabled?: boolean;
  /** A rule has one of the two. */
  readonly allowed?: readonly Traffic[];
  readonly denied?: readonly Traffic[];
}

interface Traffic {
  readonly IPProtocol: string;
  readonly ports?: readonly string[];
}

export class GceState {
  /** Ids and numbers. */
  readonly projects: ReadonlyMap<string, string>;
  readonly region: string;
  readonly zones: readonly string[];
  networks: readonly Network[] = [];
  subnets: readonly Subnet[] = [];
  /** Subnets of peered networks. */
  peers: readonly { readonly network: string; readonly peering: string; readonly cidr: Cidr }[] = [];
  instances: readonly Instance[] = [];
  firewalls: readonly Firewall[] = [];
  /** Static ones, by `PROJECT/NAME`. */
  readonly routes = new History<ReadonlyMap<string, Route>>(new Map());
  readonly listeners = new ChangeListeners();
  /** Most static routes of a network. */
  routeLimit: number;

  constructor(options: Pick<GceState, 'projects' | 'region' | 'zones' | 'routeLimit'>) {
    this.projects = options.projects;
    this.region = options.region;
    this.zones = options.zones;
    this.routeLimit = options.routeLimit;
  }

  instance(project: string, id: string): Instance | undefined {
    return this.instances.find((instance) => instance.project === project && instance.id === id);
  }

  /** The NIC of any instance that has the address in the network. */
  holder(network: string, address: Ip): { readonly instance: Instance; readonly nic: InstanceNic } | undefined {
    for (const instance of this.instances) {
      const nic = instance.nics.find(
        (one) =>
          one.network === network &&
          (sameIp(one.address, address) || (one.address6 !== undefined && sameIp(one.address6, address))),
      );
      if (nic) return { instance, nic };
    }
    return undefined;
  }

  /** The range of the network, or of one that it peers with, in which the range lies. */
  rangeAround(network: string, range: Cidr): Cidr | undefined {
    const own = this.subnets
      .filter((subnet) => subnet.network === network)
      .flatMap(({ cidr, cidr6, secondary }) => [cidr, cidr6, ...secondary]);
    const theirs = this.peers.filter((peer) => peer.network === network).map(({ cidr }) => cidr);
    return [...own, ...theirs].find((outer) => cidrContains(outer, range));
  }

  setInstance(project: string, id: string, change: (instance: Instance) => Instance | undefined): void {
    this.instances = this.instances.flatMap((instance) =>
      instance.project === project && instance.id === id ? (change(instance) ?? []) : instance,
    );
  }

  setRoute(key: string, route: Route | undefined): void {
    const routes = new Map(this.routes.current);
    if (route) routes.set(key, route);
    else routes.delete(key);
    this.routes.set(routes);
  }
}
