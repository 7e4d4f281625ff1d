/** Addresses and networks that a test writes as text. */
import { type Cidr, type Ip, parseCidr, parseIp } from '../../src/core/ip.ts';

/** @throws Error for text that is no address. */
export function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (!parsed) throw new Error(`${text} is no address`);
  return parsed;
}

/** @throws Error for text that is no CIDR. */
export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(`${text} is no CIDR`);
  return parsed;
}
