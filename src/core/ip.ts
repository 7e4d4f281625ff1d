/**
 * IP addresses and CIDRs as values, IPv4 and IPv6 on one code path.
 *
 * Addresses are held as unsigned integers, so that containment, alignment and order are arithmetic. Text is
 * canonical everywhere it leaves this file: dotted decimal for IPv4, RFC 5952 for IPv6 (the form Go prints, and so
 * the form flannel's etcd keys have).
 */
import ipaddr from 'ipaddr.js';

/** IP version. IPv4 and IPv6 share every function that takes one. */
export type Family = 4 | 6;

/** Both families, in the order flannel handles them. */
export const families: readonly Family[] = [4, 6];

/** Number of bits in an address of the family. */
export function addressBits(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** One value for each address family in use. */
export type PerFamily<T> = { readonly [F in Family]?: T };

/** One address. Compare with {@link sameIp}; the object has no identity. */
export interface Ip {
  readonly family: Family;
  /** Unsigned value, below 2^32 or 2^128. */
  readonly value: bigint;
}

/** A network: the host bits of `address` are always zero. */
export interface Cidr {
  readonly family: Family;
  /** Network address as an unsigned value; host bits are zero. */
  readonly address: bigint;
  /** Prefix length in bits, 0 to 32 or 128. */
  readonly length: number;
}

/** "010" is refused: Go and the kernel's tools disagree on what it means. */
const decimalPart = '(0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])';
const dottedDecimal = new RegExp(`^${[decimalPart, decimalPart, decimalPart, decimalPart].join('\\.')}$`);

/**
 * Parses one address in the strict textual form: four decimal parts without leading zeros, or IPv6 without a zone.
 *
 * @returns undefined when the text is no address; the caller knows which field it came from and says so.
 */
export function parseIp(text: string): Ip | undefined {
  const dotted = dottedDecimal.exec(text);
  if (dotted) {
    // Not by the library, which takes ten times as long: a controller reads tens of thousands of routes at each look.
    const value = dotted.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0);
    return { family: 4, value: BigInt(value) };
  }
  if (text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text)) {
    return { family: 6, value: bytesToValue(ipaddr.IPv6.parse(text).toByteArray()) };
  }
  return undefined;
}

/** Parses `address/length`, masking off host bits as flannel does. Undefined when the text is no CIDR. */
export function parseCidr(text: string): Cidr | undefined {
  const parsed = parseInterfaceAddress(text);
  return parsed && cidrOf(parsed.ip, parsed.length);
}

/** Parses `address/length` and keeps the host bits, as in `FLANNEL_SUBNET=10.5.42.1/24`. */
export function parseInterfaceAddress(text: string): { readonly ip: Ip; readonly length: number } | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const ip = parseIp(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (!ip || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return undefined;
  const length = Number(lengthText);
  return length <= addressBits(ip.family) ? { ip, length } : undefined;
}

/** The network of `length` bits that holds the address. */
export function cidrOf(ip: Ip, length: number): Cidr {
  return {
    family: ip.family,
    address: (ip.value >> hostBits(ip.family, length)) << hostBits(ip.family, length),
    length,
  };
}

/** Canonical text of an address. */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    const v = Number(ip.value);
    return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`;
  }
  const bytes: number[] = [];
  for (let shift = 120n; shift >= 0n; shift -= 8n) bytes.push(Number((ip.value >> shift) & 255n));
  return new ipaddr.IPv6(bytes).toRFC5952String();
}

/** Canonical text of a CIDR, such as `10.244.7.0/24`. Equal text means the same network. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIp(networkAddress(cidr))}/${cidr.length}`;
}

/** The network address itself (`10.244.7.0` of `10.244.7.0/24`). */
export function networkAddress(cidr: Cidr): Ip {
  return { family: cidr.family, value: cidr.address };
}

/** The address `offset` places above the network address; offset 1 is what flannel calls the subnet's address. */
export function nthAddress(cidr: Cidr, offset: number | bigint): Ip {
  return { family: cidr.family, value: cidr.address + BigInt(offset) };
}

/** Number of addresses in the network. */
export function cidrSize(cidr: Cidr): bigint {
  return 1n << hostBits(cidr.family, cidr.length);
}

/** True when the address lies in the network; false across families. */
export function cidrContainsIp(cidr: Cidr, ip: Ip): boolean {
  return cidr.family === ip.family && ip.value >= cidr.address && ip.value < cidr.address + cidrSize(cidr);
}

/** True when `inner` lies wholly in `outer` (equal networks do); false across families. */
export function cidrContains(outer: Cidr, inner: Cidr): boolean {
  return inner.length >= outer.length && cidrContainsIp(outer, networkAddress(inner));
}

/** True when `part` lies in `whole` and is not all of it; false across families. */
export function isPartOf(whole: Cidr, part: Cidr): boolean {
  return part.length > whole.length && cidrContains(whole, part);
}

/** True when the two networks share an address. */
export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return cidrContains(a, b) || cidrContains(b, a);
}

export function sameCidr(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.length === b.length && a.address === b.address;
}

export function sameIp(a: Ip, b: Ip): boolean {
  return a.family === b.family && a.value === b.value;
}

/** Total order: IPv4 before IPv6, then by address, then shorter prefixes first. */
export function compareCidrs(a: Cidr, b: Cidr): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  return a.length - b.length;
}

function hostBits(family: Family, length: number): bigint {
  return BigInt(addressBits(family) - length);
}

function bytesToValue(bytes: readonly number[]): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
