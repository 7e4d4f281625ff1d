/** Network, SubnetLen, SubnetMin and SubnetMax of one family: flannel's checks and defaults (its `pkg/subnet/config.go`). */

import type { SubnetRange } from '../../lease/lease.ts';
import {
  addressBits,
  type Cidr,
  cidrContainsIp,
  cidrOf,
  cidrSize,
  type Family,
  formatCidr,
  formatIp,
  type Ip,
  networkAddress,
  parseCidr,
  parseIp,
  sameIp,
} from '../core/ip.ts';
import { goKind } from './json-syntax.ts';
import { type NetConfProblem, problem } from './problems.ts';

/** Member names and limits of one family. */
interface FamilyRules {
  readonly prefix: '' | 'IPv6';
  /** Longest network prefix that leaves room when SubnetLen is not given. */
  readonly longestNetwork: number;
  /** Up to this network prefix the default subnet length is `wideLength`; above it prefix + 2. */
  readonly wideUpTo: number;
  readonly wideLength: number;
  readonly longestSubnet: number;
  readonly example: string;
}

const rulesOf: Readonly<Record<Family, FamilyRules>> = {
  4: { prefix: '', longestNetwork: 28, wideUpTo: 22, wideLength: 24, longestSubnet: 30, example: '10.244.0.0/16' },
  6: { prefix: 'IPv6', longestNetwork: 124, wideUpTo: 62, wideLength: 64, longestSubnet: 126, example: 'fd42::/48' },
};

export type RangeResult = { readonly range: SubnetRange | undefined; readonly problems: readonly NetConfProblem[] };

/**
 * Checks one family's members; `range` is undefined exactly when there are problems. With `anyLength` Kubernetes hands the subnets out,
 * and the rules for handing them out are none of ours, as in flannel.
 */
export function readRange(
  family: Family,
  members: Readonly<Record<string, unknown>>,
  { anyLength }: { readonly anyLength: boolean },
): RangeResult {
  const rules = rulesOf[family];
  const { problems, report } = createReport(members);
  const network = readNetwork(family, rules, members, report);
  if (anyLength) {
    readTypes(family, rules, members, report);
    const first = network && { family, value: network.address };
    const range = first && { network, subnetLength: network.length, subnetMin: first, subnetMax: first, anyLength };
    return { range: problems.length > 0 ? undefined : range, problems };
  }
  const length = readLength(rules, members, network, report);
  const min = readBound(family, `${rules.prefix}SubnetMin`, members, network, length, report);
  const max = readBound(family, `${rules.prefix}SubnetMax`, members, network, length, report);
  if (!network || length === undefined || problems.length > 0) return { range: undefined, problems };
  const subnetSize = cidrSize({ ...network, length });
  const range: SubnetRange = {
    network,
    subnetLength: length,
    subnetMin: min ?? { family, value: network.address + subnetSize },
    subnetMax: max ?? { family, value: network.address + cidrSize(network) - subnetSize },
  };
  if (range.subnetMax.value < range.subnetMin.value) {
    // flannel starts with this and then says "out of subnets".
    report(
      `${rules.prefix}SubnetMax`,
      'out of subnets: it lies below the first one',
      `${formatIp(range.subnetMin)} or above`,
    );
    return { range: undefined, problems };
  }
  return { range, problems };
}

/** What flannel's JSON decoder refuses among the members of a family that is off: it reads them all the same. */
export function readUnusedFamily(family: Family, members: RawMembers): readonly NetConfProblem[] {
  const rules = rulesOf[family];
  const { problems, report } = createReport(members);
  const name = `${rules.prefix}Network`;
  const value = members[name];
  // An IPv4 CIDR is a network to it there.
  const isIpv4ForIpv6 = family === 6 && typeof value === 'string' && parseCidr(value) !== undefined;
  if (value !== undefined && !isIpv4ForIpv6) readCidr(family, name, value, networkAllowed(family, rules), report);
  readTypes(family, rules, members, report);
  return problems;
}

type Report = (name: string, text: string, allowed: string) => undefined;

function createReport(members: RawMembers): { readonly problems: NetConfProblem[]; readonly report: Report } {
  const problems: NetConfProblem[] = [];
  const report: Report = (name, text, allowed) => {
    problems.push(problem(name, members[name], text, allowed));
    return undefined;
  };
  return { problems, report };
}

type RawMembers = Readonly<Record<string, unknown>>;

function readNetwork(family: Family, rules: FamilyRules, members: RawMembers, report: Report): Cidr | undefined {
  const name = `${rules.prefix}Network`;
  const value = members[name];
  const allowed = networkAllowed(family, rules);
  if (value === undefined) {
    return report(name, `please define a correct ${name} parameter in the flannel config`, allowed);
  }
  const cidr = readCidr(family, name, value, allowed, report);
  if (cidr?.address === 0n) {
    return report(name, `please define a correct ${name} parameter in the flannel config`, allowed);
  }
  return cidr;
}

function networkAllowed(family: Family, { example }: FamilyRules): string {
  return `an IPv${family} CIDR such as "${example}"`;
}

function readCidr(family: Family, name: string, value: unknown, allowed: string, report: Report): Cidr | undefined {
  const cidr = typeof value === 'string' ? parseCidr(value) : undefined;
  if (!cidr) return report(name, `invalid CIDR address: ${textOf(value)}`, allowed);
  return cidr.family === family ? cidr : report(name, `invalid IPv${family} CIDR format`, allowed);
}

/** Whether the members are numbers and addresses at all, where it does not matter which. */
function readTypes(family: Family, rules: FamilyRules, members: RawMembers, report: Report): void {
  readUint(`${rules.prefix}SubnetLen`, members, `a whole number up to ${rules.longestSubnet}, or 0`, report);
  for (const name of [`${rules.prefix}SubnetMin`, `${rules.prefix}SubnetMax`]) {
    readAddress(family, name, members[name], `an IPv${family} address`, report);
  }
}

/** 0 where there is none. */
function readUint(name: string, members: RawMembers, allowed: string, report: Report): number | undefined {
  const value = members[name] ?? 0;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  const found = goKind(value, 'whole');
  return report(name, `json: cannot unmarshal ${found} into Go struct field Config.${name} of type uint`, allowed);
}

/** Of either family where the member is IPv6's, as for flannel. Undefined where there is none. */
function readAddress(family: Family, name: string, value: unknown, allowed: string, report: Report): Ip | undefined {
  // To flannel null is no address for IPv4, and none given for IPv6.
  if (value === undefined || (value === null && family === 6)) return undefined;
  const ip = typeof value === 'string' ? parseIp(value) : undefined;
  if (!ip) return report(name, 'invalid IP address format', allowed);
  return family === 4 && ip.family === 6 ? report(name, 'invalid IPv4 address format', allowed) : ip;
}

function readLength(
  rules: FamilyRules,
  members: RawMembers,
  network: Cidr | undefined,
  report: Report,
): number | undefined {
  const name = `${rules.prefix}SubnetLen`;
  const lowest = (network?.length ?? 0) + 2;
  const allowed = `a whole number from ${lowest} to ${rules.longestSubnet}, or 0 for the default`;
  const value = readUint(name, members, allowed, report);
  if (value === undefined) return undefined;
  if (value > rules.longestSubnet)
    return report(name, `SubnetLen must be less than /${rules.longestSubnet + 1}`, allowed);
  if (!network) return undefined;
  if (value > 0) {
    return value < lowest ? report(name, 'network must be able to accommodate at least four subnets', allowed) : value;
  }
  if (network.length > rules.longestNetwork) {
    const subject = rules.prefix === '' ? 'network' : 'IPv6Network';
    return report(
      `${rules.prefix}Network`,
      `${subject} is too small. Minimum useful network prefix is /${rules.longestNetwork}`,
      `a prefix of at most /${rules.longestNetwork}, or a ${name} that fits`,
    );
  }
  return network.length <= rules.wideUpTo ? rules.wideLength : network.length + 2;
}

function readBound(
  family: Family,
  name: string,
  members: RawMembers,
  network: Cidr | undefined,
  length: number | undefined,
  report: Report,
): Ip | undefined {
  const inside = network ? `in ${formatCidr(network)}` : 'of the network';
  const allowed = `the address of a subnet ${inside}`;
  const ip = readAddress(family, name, members[name], allowed, report);
  // flannel treats 0.0.0.0 and :: as not given.
  if (!ip || !network || (ip.value === 0n && ip.family === family)) return undefined;
  if (!cidrContainsIp(network, ip)) {
    return report(name, `${name} is not in the range of the ${family === 4 ? '' : 'IPv6'}Network`, allowed);
  }
  if (length !== undefined && length <= addressBits(family) && !sameIp(networkAddress(cidrOf(ip, length)), ip)) {
    return report(
      name,
      `${name} is not on a SubnetLen boundary: ${formatIp(ip)}`,
      `${allowed}, a multiple of /${length}`,
    );
  }
  return ip;
}

function textOf(value: unknown): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 64);
}
