/** Names and comparisons of the subnets of a lease. */
import { type Cidr, cidrsOverlap, families, formatCidr, type PerFamily } from '../src/core/ip.ts';
import type { LeaseKey } from './lease.ts';

/** The lease's name within its network: its subnets, IPv4 first, such as `10.244.7.0/24,fd00:1::/64`. */
export function leaseKey(subnets: PerFamily<Cidr>): LeaseKey {
  return subnetsOf(subnets).map(formatCidr).join(',');
}

/** The lease's subnets as a list, IPv4 first. */
export function subnetsOf(subnets: PerFamily<Cidr>): readonly Cidr[] {
  return families.map((family) => subnets[family]).filter((subnet) => subnet !== undefined);
}

/** True when the two share an address in either family. */
export function subnetsOverlap(a: PerFamily<Cidr>, b: PerFamily<Cidr>): boolean {
  return families.some((family) => {
    const left = a[family];
    const right = b[family];
    return left !== undefined && right !== undefined && cidrsOverlap(left, right);
  });
}
