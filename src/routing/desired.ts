/**
 * Turns leases into the routes they ask for. Pure.
 *
 * Leases come from a store that others may write to, so nothing of one is believed: its subnet must be one of the network's,
 * and its holder is who the cloud says owns the address, not who the lease says.
 */

import type { Lease, LeaseKey } from '../../lease/lease.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import type { NextHop, NextHopClaim, Resolution } from '../../providers/provider.ts';
import { type Cidr, cidrsOverlap, compareCidrs, families, formatCidr, formatIp, type PerFamily } from '../core/ip.ts';
import { insideNetworks, isSubnetOf, type RouteNetworks } from './networks.ts';
import { compareText } from './table-index.ts';

/** One route that should stand in every table. */
export interface DesiredRoute {
  readonly destination: Cidr;
  readonly nextHop: NextHop;
  /** Who holds the lease: instance id, else public IP. */
  readonly holder: string;
  /**
   * Who waits longest, the smaller number, goes first where a table is nearly full: the store's revision of the lease, which outlives
   * a restart of whoever writes.
   */
  readonly since?: number | undefined;
  /** The lease that asks for it. */
  readonly lease?: LeaseKey | undefined;
}

/** Why a lease gets no route. Stable words. */
export type RejectionCode =
  | 'outside-network'
  | 'wrong-length'
  | 'no-address'
  | 'unresolved'
  | 'other-instance'
  | 'overlap';

export interface RejectedSubnet {
  readonly lease: LeaseKey;
  readonly destination: Cidr;
  readonly code: RejectionCode;
  /** One sentence for people, naming what was found and what is allowed. */
  readonly reason: string;
}

export interface DesiredInput {
  readonly leases: readonly Lease[];
  /** What the cloud says about each lease's next hop, by the lease's key. A lease without one counts as unresolved. */
  readonly resolutions: ReadonlyMap<LeaseKey, Resolution>;
  readonly networks: RouteNetworks;
}

export interface DesiredRoutes {
  /** In address order, no two overlapping. */
  readonly routes: readonly DesiredRoute[];
  readonly rejected: readonly RejectedSubnet[];
}

/** The routes these leases ask for, and those refused. Each family of a lease stands for itself. Input order does not matter. */
export function desiredRoutes(input: DesiredInput): DesiredRoutes {
  const accepted: DesiredRoute[] = [];
  const rejected: RejectedSubnet[] = [];
  for (const lease of input.leases) {
    const key = leaseKey(lease.subnets);
    for (const destination of subnetsOf(lease.subnets)) {
      const judged = judge(input, lease, key, destination);
      if ('reason' in judged) rejected.push({ lease: key, destination, ...judged });
      else accepted.push(judged);
    }
  }
  const clashes = overlapsAmong(accepted.map((route) => route.destination));
  const routes: DesiredRoute[] = [];
  for (const route of accepted.sort((a, b) => compareCidrs(a.destination, b.destination))) {
    const other = clashes.get(route.destination);
    if (other === undefined) routes.push(route);
    else
      rejected.push({
        lease: route.lease ?? '',
        destination: route.destination,
        code: 'overlap',
        reason: overlapReason(route.destination, other),
      });
  }
  rejected.sort(
    (a, b) =>
      compareCidrs(a.destination, b.destination) || compareText(a.lease, b.lease) || compareText(a.reason, b.reason),
  );
  return { routes, rejected };
}

/** What a lease says about its holder, for the cloud to check. Undefined for a lease without any address. */
export function nextHopClaim(lease: Lease, networkId: string | undefined): NextHopClaim | undefined {
  const address = families.map((family) => lease.attributes.publicIps[family]).find((ip) => ip !== undefined);
  if (address === undefined) return undefined;
  const { instanceId, nicId } = lease.attributes.node ?? {};
  return { address, instanceId, nicId, networkId };
}

/** The name ownership records use for a holder: the instance the cloud confirmed, else the lease's public IP. */
export function holderName(nextHop: NextHop, publicIps: Lease['attributes']['publicIps']): string {
  if (nextHop.instanceId !== undefined) return nextHop.instanceId;
  const address = publicIps[4] ?? publicIps[6];
  return address === undefined ? nextHop.nicId : formatIp(address);
}

/** This machine's own routes: its subnets by its verified next hop. Subnets that are none of the networks' are left out. */
export function ownRoutes(
  subnets: PerFamily<Cidr>,
  nextHop: NextHop,
  options: { readonly networks: RouteNetworks; readonly publicIps: Lease['attributes']['publicIps'] },
): readonly DesiredRoute[] {
  const holder = holderName(nextHop, options.publicIps);
  return subnetsOf(subnets)
    .filter((destination) => isSubnetOf(options.networks, destination))
    .map((destination) => ({ destination, nextHop, holder }));
}

function judge(
  { resolutions, networks }: DesiredInput,
  lease: Lease,
  key: LeaseKey,
  destination: Cidr,
): DesiredRoute | { readonly code: RejectionCode; readonly reason: string } {
  const network = networks[destination.family];
  if (!network) {
    return {
      code: 'outside-network',
      reason: `the subnet is IPv${destination.family}, which net-conf does not enable`,
    };
  }
  if (!insideNetworks(networks, destination)) {
    return { code: 'outside-network', reason: `the subnet lies outside the network ${formatCidr(network.network)}` };
  }
  if (!isSubnetOf(networks, destination)) {
    return {
      code: 'wrong-length',
      reason: `the subnet's prefix length is ${destination.length}, net-conf has ${network.subnetLength}`,
    };
  }
  if (nextHopClaim(lease, undefined) === undefined) {
    return { code: 'no-address', reason: 'the lease names no address of its host' };
  }
  const resolution = resolutions.get(key);
  if (resolution?.kind !== 'resolved') {
    return { code: 'unresolved', reason: resolution?.reason ?? 'the cloud was not asked about the lease yet' };
  }
  const { nextHop } = resolution;
  const claimed = lease.attributes.node?.instanceId;
  if (claimed !== undefined && nextHop.instanceId !== undefined && claimed !== nextHop.instanceId) {
    return {
      code: 'other-instance',
      reason: `the lease names instance ${claimed}, but its address belongs to ${nextHop.instanceId}`,
    };
  }
  const holder = holderName(nextHop, lease.attributes.publicIps);
  return { destination, nextHop, holder, since: Number(lease.revision), lease: key };
}

/** Every network that shares an address with another, with one it shares with (itself for a repeated one). */
function overlapsAmong(networks: readonly Cidr[]): ReadonlyMap<Cidr, Cidr> {
  const clashes = new Map<Cidr, Cidr>();
  // Sorted by address, shorter first, an overlap is always with the widest open network before it or one inside that.
  let open: Cidr | undefined;
  for (const network of [...networks].sort(compareCidrs)) {
    if (open && cidrsOverlap(open, network)) {
      clashes.set(network, open);
      if (!clashes.has(open)) clashes.set(open, network);
    } else {
      open = network;
    }
  }
  return clashes;
}

function overlapReason(destination: Cidr, other: Cidr): string {
  const what = formatCidr(other);
  return formatCidr(destination) === what
    ? 'another lease claims the same subnet; neither gets a route until one of them is gone'
    : `it overlaps the lease of ${what}; neither gets a route until one of them is gone`;
}
