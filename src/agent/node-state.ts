/** What this node should look like, from net-conf, flags, interface and lease. Pure. */

import { resolve } from 'node:path';
import type { CniNetwork } from '../../host/cni-conflist.ts';
import type { ExternalInterface, HostState, SubnetFile } from '../../host/host.ts';
import type { Lease, NodeIdentity } from '../../lease/lease.ts';
import type { LeaseRequest } from '../../lease/lease-store.ts';
import { readableIdentity } from '../../lease/node-identity.ts';
import { backendTypeNamed } from '../../providers/catalog.ts';
import type { CommandBackend } from '../../providers/command-backend.ts';
import type { HostBackend } from '../../providers/host-backend.ts';
import {
  type Cidr,
  cidrOf,
  type Family,
  families,
  formatIp,
  type Ip,
  nthAddress,
  type PerFamily,
  sameCidr,
  sameIp,
} from '../core/ip.ts';
import type { VxlanLink } from '../core/peer-network.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import type { Machine } from './machine.ts';

/** The flags that decide what the kernel gets. */
export interface HostFlags {
  /** `--ip-masq`. */
  readonly ipMasq: boolean;
  /** `--ip-masq-fully-random-disable`, the other way round. */
  readonly randomFully: boolean;
  /** `--iptables-forward-rules`. */
  readonly forwardRules: boolean;
  /** `--ip-blackhole-route`. */
  readonly blackholeRoute: boolean;
  /** `--bridge`, or undefined for none. */
  readonly bridge: string | undefined;
  /** `--probe-port` is not 0. */
  readonly probed: boolean;
}

/** Where somebody else hands the subnets out, net-conf does not say how long they are; this node's own does. */
export function withLengthsOf(netConf: NetConf, { subnets }: Pick<Lease, 'subnets'>): NetConf {
  const ranges = perFamily(netConf.families, (family) => {
    const range = netConf.ranges[family];
    const subnet = subnets[family];
    return range?.anyLength === true && subnet ? { ...range, subnetLength: subnet.length } : range;
  });
  return { ...netConf, ranges };
}

/** The kernel state this node needs while it holds the lease. */
export function hostState(
  netConf: NetConf,
  flags: HostFlags,
  lease: Pick<Lease, 'subnets'>,
  external: ExternalInterface,
  links: readonly VxlanLink[],
  nameservers: readonly Ip[] = [],
): HostState {
  const subnets = netConf.families.flatMap((family) => lease.subnets[family] ?? []);
  return {
    forwarding: netConf.families,
    bridge:
      flags.bridge === undefined
        ? undefined
        : { name: flags.bridge, addresses: subnets.map(gateway), mtu: podMtu(netConf, external) },
    ...(links.length > 0 ? { overlay: { links, subnets: lease.subnets } } : {}),
    rules: {
      renderer: netConf.enableNFTables ? 'nftables' : 'iptables',
      masquerade: flags.ipMasq
        ? {
            randomFully: flags.randomFully,
            nonMasqueradeCidrs: netConf.backend.nonMasqueradeCidrs,
            // Other resolvers answer whoever asks.
            resolvers: usesCloud(netConf) ? nameservers : [],
          }
        : undefined,
      forward: flags.forwardRules,
      families: perFamily(netConf.families, (family) => {
        const network = netConf.ranges[family]?.network;
        const subnet = lease.subnets[family];
        return network && subnet && { network, subnet };
      }),
    },
    blackholeRoutes: flags.blackholeRoute ? subnets : [],
    // Without a cloud no route table stands between nodes, and the kernel stays as flannel leaves it.
    ...(flags.probed && usesCloud(netConf) ? { probe: { subnets, networks: netConf.ranges } } : {}),
  };
}

/**
 * What the backend does in this node's kernel; undefined for clouds and alloc. While the cluster moves to a cloud, that of the backend it
 * comes from: peers go on sending by that, and the lease, the links and the MTU of pods stay as they were.
 */
export function backendOf({ backend }: NetConf): HostBackend | undefined {
  const { type, config } = backend.movesFrom ?? backend;
  return backendTypeNamed(type)?.host?.(config);
}

/** What net-conf's author has this node run; undefined for all backends but extension. */
export function commandsOf({ backend }: NetConf): CommandBackend | undefined {
  return backendTypeNamed(backend.type)?.commands?.(backend.config);
}

/** What pods' interfaces get, bytes: a backend's own headers need room. */
function podMtu(netConf: NetConf, external: ExternalInterface): number {
  return backendOf(netConf)?.mtu(external) ?? external.mtu;
}

/** True for backends whose routes are a cloud's. */
export function usesCloud({ backend }: NetConf): boolean {
  return backendTypeNamed(backend.type)?.load !== undefined;
}

/** What subnet.env says for this lease. The subnet's address is its second one, as in flannel. */
export function subnetFile(
  netConf: NetConf,
  flags: Pick<HostFlags, 'ipMasq'>,
  lease: Pick<Lease, 'subnets'>,
  external: ExternalInterface,
): SubnetFile {
  return {
    networks: perFamily(netConf.families, (family) => netConf.ranges[family]?.network),
    subnets: perFamily(netConf.families, (family) => {
      const subnet = lease.subnets[family];
      return subnet && gateway(subnet);
    }),
    mtu: podMtu(netConf, external),
    ipMasq: flags.ipMasq,
  };
}

/** What a CNI conflist for the bridge of {@link hostState} says. */
export function cniNetwork(
  netConf: NetConf,
  bridge: string,
  file: string,
  { subnets }: Pick<Lease, 'subnets'>,
  external: ExternalInterface,
): CniNetwork {
  return {
    bridge,
    mtu: podMtu(netConf, external),
    subnets: perFamily(netConf.families, (family) => subnets[family]),
    networks: perFamily(netConf.families, (family) => netConf.ranges[family]?.network),
    subnetFile: resolve(file),
  };
}

/** What the backend adds to a lease. */
export interface LeaseBackend {
  /** flannel's `BackendType`; `''` for alloc and the clouds. */
  readonly type: string;
  /** flannel's `BackendData` and `BackendV6Data`; empty where the backend has none. */
  readonly data: PerFamily<unknown>;
  /** Who this is in the cloud, if there is one. */
  readonly node: NodeIdentity | undefined;
}

/** What to ask the store for. Identity goes into the lease only where a cloud told it. */
export function leaseRequest(
  netConf: NetConf,
  external: ExternalInterface,
  subnets: Pick<LeaseRequest, 'previous' | 'inUse' | 'held'>,
  backend: LeaseBackend,
  ttlSeconds: number,
  netConfRevision: string,
): LeaseRequest {
  return {
    ranges: netConf.ranges,
    attributes: {
      publicIps: publicIpsOf(external, backend),
      backendType: backend.type,
      backendData: backend.data,
      node: backend.node,
    },
    ...subnets,
    publicIpConfirmed: families.every((family) => {
      const claimed = external.publicIps[family];
      if (claimed === undefined) return true;
      const onInterface = external.addresses[family];
      return (
        (onInterface !== undefined && sameIp(onInterface, claimed)) ||
        (backend.node?.addresses?.includes(formatIp(claimed)) ?? false)
      );
    }),
    ttlSeconds,
    netConfRevision,
  };
}

/** flannel's alloc writes one address, the IPv4 one where there is one, and its values stay equal to flannel's. */
function publicIpsOf({ publicIps }: ExternalInterface, { type, node }: LeaseBackend): PerFamily<Ip> {
  return type === '' && node === undefined && publicIps[4] ? { 4: publicIps[4] } : publicIps;
}

/** The lease's `FlannelVPC` member for this machine. */
export function nodeIdentity(
  { identity, address, nic }: Machine,
  nodeName: string,
  { backend }: NetConf,
): NodeIdentity {
  return readableIdentity(
    {
      instanceId: identity.instanceId,
      nicId: nic?.nicId,
      subnetId: nic?.subnetId,
      zone: identity.zone,
      nodeName,
      addresses: identity.nics.flatMap(({ addresses }) => addresses.map(formatIp)),
      ...(backend.movesFrom ? { movedTo: backend.type } : {}),
    },
    [address, ...(nic?.addresses ?? [])].map(formatIp),
  );
}

/**
 * True where subnet.env waits for a probe: a controller writes the routes, and only a probe tells this node that they stand. A subnet
 * that was published before has containers on it already.
 */
export function waitsForProbe(
  { backend }: NetConf,
  earlier: SubnetFile | undefined,
  { subnets }: Pick<Lease, 'subnets'>,
): boolean {
  if (backend.writer !== 'controller') return false;
  const published = previousSubnets(earlier);
  return !families.every((family) => {
    const [before, now] = [published[family], subnets[family]];
    return now === undefined || (before !== undefined && sameCidr(before, now));
  });
}

/** subnet.env's subnets as networks: the lease this node had before. */
export function previousSubnets(file: SubnetFile | undefined): PerFamily<Cidr> {
  return perFamily(families, (family) => {
    const subnet = file?.subnets[family];
    return subnet && cidrOf(subnet.ip, subnet.length);
  });
}

function gateway(subnet: Cidr): { readonly ip: Ip; readonly length: number } {
  return { ip: nthAddress(subnet, 1), length: subnet.length };
}

function perFamily<T>(wanted: readonly Family[], valueFor: (family: Family) => T | undefined): PerFamily<T> {
  const result: { [F in Family]?: T } = {};
  for (const family of wanted) {
    const value = valueFor(family);
    if (value !== undefined) result[family] = value;
  }
  return result;
}
