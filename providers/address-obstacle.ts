/** Why a peer's lease is no peer to any backend without a cloud, in words for people. */
import type { Lease } from '../lease/lease.ts';
import { type Cidr, cidrsOverlap, families, formatCidr, formatIp, type Ip, isPartOf, sameIp } from '../src/core/ip.ts';
import { plainText } from '../src/core/plain-text.ts';
import type { PassedOver, PeerContext } from './host-backend.ts';

/** Undefined: the peer can be reached by its address. */
export function addressObstacle(theirs: Ip | undefined, mine: Ip): string | undefined {
  if (!theirs) return `its lease has no IPv${mine.family} address`;
  // Its packets would be led back to us.
  return sameIp(theirs, mine) ? `its lease claims ${formatIp(mine)}, which is this node's` : undefined;
}

/**
 * Undefined: the subnet is one of the network's, and none of this node's. Whoever may write leases could otherwise have any packet of the
 * node sent to themselves: `0.0.0.0-1`, or the network that the node itself is in. Its length is free, as with flannel: SubnetLen may
 * have been another when it was leased.
 */
export function subnetObstacle(
  subnet: Cidr,
  { own, networks }: Pick<PeerContext, 'own' | 'networks'>,
): string | undefined {
  const range = networks[subnet.family];
  if (!range) return `IPv${subnet.family} is off in net-conf`;
  if (!isPartOf(range.network, subnet)) return `it is no subnet of ${formatCidr(range.network)}`;
  const mine = own.subnets[subnet.family];
  return mine && cidrsOverlap(mine, subnet) ? `it overlaps ${formatCidr(mine)}, which is this node's` : undefined;
}

/** All subnets of a lease whose node has another backend than `backend`. */
export function ofOtherBackend({ subnets, attributes }: Lease, backend: string): readonly PassedOver[] {
  const { backendType: theirs } = attributes;
  const reason = `its node's backend is ${theirs === '' ? 'a cloud or alloc' : plainText(theirs, 64)}, and not ${backend}`;
  return families.flatMap((family) => (subnets[family] ? [{ subnet: subnets[family], reason }] : []));
}
