/**
 * Where things are in etcd. flannel's layout below the prefix, and ours below `<prefix>/flannel-vpc/`, which flannel, listing
 * everything that begins with `<prefix>/subnets`, never reads.
 */
import { posix } from 'node:path';
import { type Cidr, cidrOf, formatIp, networkAddress, type PerFamily, parseIp } from '../../src/core/ip.ts';

export interface EtcdKeys {
  readonly prefix: string;
  /** Net-conf. */
  readonly config: string;
  /**
   * Folder of the leases, with its slash. flannel lists without one, and so counts `<prefix>/subnets-old/...` as well.
   */
  readonly subnets: string;
  /** Folder of the IPv6 claims: see `claim.ts`. */
  readonly claims: string;
  /** Folder of the records of our routes. */
  readonly routes: string;
  /** Folder of what nodes say of themselves. */
  readonly nodes: string;
  /** Who leads among the controllers. */
  readonly leader: string;
}

/** Joins as Go's `path.Join`: no double and no trailing slashes, no `.` and `..`; below an empty prefix nothing begins with a slash. */
export function createEtcdKeys(prefix: string): EtcdKeys {
  const config = posix.join(prefix, 'config');
  return {
    prefix: config.slice(0, -'/config'.length),
    config,
    subnets: posix.join(prefix, 'subnets/'),
    claims: posix.join(prefix, 'flannel-vpc/claims/'),
    routes: posix.join(prefix, 'flannel-vpc/routes/'),
    nodes: posix.join(prefix, 'flannel-vpc/nodes/'),
    leader: posix.join(prefix, 'flannel-vpc/leader'),
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

/** The key of the lease of these subnets. */
export function leaseKeyOf(keys: EtcdKeys, subnets: PerFamily<Cidr>): string {
  return `${keys.subnets}${subnetKeyPart(subnets)}`;
}

/** The key that says which lease took this IPv6 subnet: see `claim.ts`. */
export function claimKeyOf(keys: EtcdKeys, subnet: Cidr): string {
  return `${keys.claims}${cidrKeyPart(subnet)}`;
}

/** The key of what the node that holds these subnets says of itself. */
export function reportKeyOf(keys: EtcdKeys, subnets: PerFamily<Cidr>): string {
  return `${keys.nodes}${subnetKeyPart(subnets)}`;
}

/** flannel's expression (`subnetRegex`), not anchored at the left either, so that both read the same keys as leases. */
const leasePattern = /(\d+\.\d+\.\d+\.\d+)-(\d+)(?:&([a-f\d:]+)-(\d+))?$/;

/** Characters at a key's end that are looked at: the expression takes the square of their number in steps, and a key may have a million. */
const longestName = 160;

/** The subnets a key names, host bits masked off; undefined when it is no lease's key. */
export function parseSubnetKey(key: string): PerFamily<Cidr> | undefined {
  const end = key.slice(-longestName);
  const match = leasePattern.exec(end);
  // A match that begins where the name was cut has a number of a hundred digits in it, which is none of an address.
  if (!match || (match.index === 0 && end !== key)) return undefined;
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
