/**
 * Where things are in etcd. flannel's layout below the prefix, and ours below `<prefix>/flannel-vpc/`, which flannel, listing
 * everything that begins with `<prefix>/subnets`, never reads.
 */
import { type Cidr, cidrOf, formatIp, networkAddress, parseIp, type PerFamily } from '../../src/core/ip.ts';

export interface EtcdKeys {
  readonly prefix: string;
  /** Net-conf. */
  readonly config: string;
  /**
   * Folder of the leases, with its slash. flannel lists without one, and so counts `<prefix>/subnets-old/...` as well.
   */
  readonly subnets: string;
  /** Folder of the IPv6 claims: one key for each IPv6 subnet leased by us, since a lease's own key begins with its IPv4 half. */
  readonly claims: string;
  /** Folder of the records of our routes. */
  readonly routes: string;
}

/** Joins like a path: no double and no trailing slashes. */
export function createEtcdKeys(prefix: string): EtcdKeys {
  const clean = prefix.replace(/\/{2,}/g, '/').replace(/\/$/, '');
  return {
    prefix: clean,
    config: `${clean}/config`,
    subnets: `${clean}/subnets/`,
    claims: `${clean}/flannel-vpc/claims/`,
    routes: `${clean}/flannel-vpc/routes/`,
  };
}

/** `10.5.42.0-24`: a network without a slash, as flannel names it. */
export function cidrKeyPart(cidr: Cidr): string {
  return `${formatIp(networkAddress(cidr))}-${cidr.length}`;
}

/**
 * The last part of a lease's key: `10.5.42.0-24`, or `10.5.42.0-24&fd42:0:0:7::-64`. Without IPv4 flannel writes the zero network
 * in its place.
 */
export function subnetKeyPart(subnets: PerFamily<Cidr>): string {
  const v4 = subnets[4] ? cidrKeyPart(subnets[4]) : '0.0.0.0-0';
  return subnets[6] ? `${v4}&${cidrKeyPart(subnets[6])}` : v4;
}

/** flannel's expression (`subnetRegex`), not anchored at the left either, so that both read the same keys as leases. */
const leasePattern = /(\d+\.\d+\.\d+\.\d+)-(\d+)(?:&([a-f\d:]+)-(\d+))?$/;

/** The subnets a key names, host bits masked off; undefined when it is no lease's key. */
export function parseSubnetKey(key: string): PerFamily<Cidr> | undefined {
  const match = leasePattern.exec(key);
  if (!match) return undefined;
  const v4 = parsePart(match[1], match[2], 31);
  if (!v4) return undefined;
  if (match[3] === undefined) return v4.length === 0 ? undefined : { 4: v4 };
  const v6 = parsePart(match[3], match[4], 127);
  if (v6?.family !== 6) return undefined;
  return v4.length === 0 ? { 6: v6 } : { 4: v4, 6: v6 };
}

function parsePart(address: string | undefined, length: string | undefined, maxLength: number): Cidr | undefined {
  const ip = parseIp(address ?? '');
  const bits = Number(length);
  return ip && bits <= maxLength ? cidrOf(ip, bits) : undefined;
}

/** Keys from `start` up to but not including `end`, as bytes; `end` undefined means the one key. */
export interface KeyRange {
  readonly start: Buffer;
  readonly end: Buffer | undefined;
}

/** All keys that begin with the prefix. */
export function prefixRange(prefix: string): KeyRange & { readonly end: Buffer } {
  const start = Buffer.from(prefix);
  const end = Buffer.from(prefix);
  const last = end.length - 1;
  // Our prefixes end in printable ASCII, so the last byte can always be raised by one.
  end[last] = (end[last] ?? 0) + 1;
  return { start, end };
}

/**
 * The ranges that hold every lease of exactly this IPv4 subnet, alone or with an IPv6 half, but for the given keys. A claim
 * compares them with "nothing there": one transaction decides, whichever IPv6 halves are in play.
 */
export function leaseRangesOf(keys: EtcdKeys, subnet: Cidr, except: readonly string[]): readonly KeyRange[] {
  const base = `${keys.subnets}${cidrKeyPart(subnet)}`;
  const single: KeyRange = { start: Buffer.from(base), end: undefined };
  let dual: KeyRange[] = [prefixRange(`${base}&`)];
  for (const key of except) dual = dual.flatMap((range) => withoutKey(range, Buffer.from(key)));
  return except.includes(base) ? dual : [single, ...dual];
}

function withoutKey(range: KeyRange, key: Buffer): readonly KeyRange[] {
  const { start, end } = range;
  if (end === undefined || Buffer.compare(key, start) < 0 || Buffer.compare(key, end) >= 0) return [range];
  const after = Buffer.concat([key, Buffer.from([0])]);
  const parts: KeyRange[] = [
    { start, end: key },
    { start: after, end },
  ];
  return parts.filter((part) => part.end !== undefined && Buffer.compare(part.start, part.end) < 0);
}
