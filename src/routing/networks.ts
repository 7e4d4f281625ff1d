/** The fence: the only destinations this program ever writes or deletes. */
import { type Cidr, isPartOf, type PerFamily } from '../core/ip.ts';

/** One configured network. A net-conf's `SubnetRange` is one. */
export interface RouteNetwork {
  readonly network: Cidr;
  /** Prefix length of every subnet leased from it. */
  readonly subnetLength: number;
  /** Kubernetes hands subnets out by its own length: any inside the network will do. */
  readonly anyLength?: boolean | undefined;
}

export type RouteNetworks = PerFamily<RouteNetwork>;

/** True when the destination lies inside a configured network and is longer than it: part of it, never all of it. */
export function insideNetworks(networks: RouteNetworks, destination: Cidr): boolean {
  const configured = networks[destination.family];
  return configured !== undefined && isPartOf(configured.network, destination);
}

/** True for a destination that a lease of these networks may have. */
export function isSubnetOf(networks: RouteNetworks, destination: Cidr): boolean {
  const configured = networks[destination.family];
  const fits = configured?.anyLength === true || configured?.subnetLength === destination.length;
  return fits && insideNetworks(networks, destination);
}

/** A CIDR as a map key, several times cheaper than its text. Equal keys mean the same network. */
export type CidrKey = string | number;

export function cidrKey({ family, address, length }: Cidr): CidrKey {
  if (family === 4) return Number(address) * 64 + length;
  // Hexadecimal: V8 prints it without the division that decimal needs.
  return `${length}/${address.toString(16)}`;
}
