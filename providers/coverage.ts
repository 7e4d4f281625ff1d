/** Whether ranges together hold a network, for those who look at firewalls. Pure. */
import { addressBits, type Cidr, cidrContains, cidrSize, cidrsOverlap } from '../src/core/ip.ts';

/** True when the ranges together hold every address of the network; two halves do as well as the whole. */
export function isCovered(network: Cidr, ranges: readonly Cidr[]): boolean {
  if (ranges.some((range) => cidrContains(range, network))) return true;
  const inside = ranges.filter((range) => cidrsOverlap(range, network));
  if (inside.length === 0 || network.length === addressBits(network.family)) return false;
  const low = { ...network, length: network.length + 1 };
  const high = { ...low, address: low.address + cidrSize(low) };
  return isCovered(low, inside) && isCovered(high, inside);
}
