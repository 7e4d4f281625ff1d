/** Addresses of a link as the kernel has them now, without starting a program. */
import { networkInterfaces } from 'node:os';
import { type Ip, parseIp } from '../src/core/ip.ts';

/** Both families. None for a link that is not there, is down, or has no carrier. */
export function addressesOf(device: string): readonly Ip[] {
  return (networkInterfaces()[device] ?? []).flatMap(({ address }) => parseIp(address) ?? []);
}
