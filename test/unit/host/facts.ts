/** Values that several host tests use. */
import { type Cidr, type Ip, parseCidr, parseIp } from '../../../src/core/ip.ts';

export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(`not a CIDR: ${text}`);
  return parsed;
}

export function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (!parsed) throw new Error(`not an address: ${text}`);
  return parsed;
}

export const dualStackFamilies = {
  4: { network: cidr('10.5.0.0/16'), subnet: cidr('10.5.42.0/24') },
  6: { network: cidr('fd42::/48'), subnet: cidr('fd42:0:0:7::/64') },
} as const;
