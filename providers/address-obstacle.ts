/** Why a peer's lease is no peer to any backend without a cloud, in words for people. */
import type { Lease } from '../lease/lease.ts';
import { families, formatIp, type Ip, sameIp } from '../src/core/ip.ts';
import type { PassedOver } from './host-backend.ts';

/** Undefined: the peer can be reached by its address. */
export function addressObstacle(theirs: Ip | undefined, mine: Ip): string | undefined {
  if (!theirs) return `its lease has no IPv${mine.family} address`;
  // Its packets would be led back to us.
  return sameIp(theirs, mine) ? `its lease claims ${formatIp(mine)}, which is this node's` : undefined;
}

/** All subnets of a lease whose node has another backend than `backend`. */
export function ofOtherBackend({ subnets, attributes }: Lease, backend: string): readonly PassedOver[] {
  const { backendType: theirs } = attributes;
  const reason = `its node's backend is ${theirs === '' ? 'a cloud or alloc' : theirs}, and not ${backend}`;
  return families.flatMap((family) => (subnets[family] ? [{ subnet: subnets[family], reason }] : []));
}
