/** flannel's rules for the external interface (`pkg/ipmatch/match.go`), over facts that were read before. Pure. */
import { FlannelVpcError } from '../src/core/errors.ts';
import { type Family, formatIp, type Ip, type PerFamily, parseIp, sameIp } from '../src/core/ip.ts';
import { lookUp } from '../src/core/lookup.ts';
import type { ExternalInterface, InterfaceSelection } from './host.ts';

export interface LinkFacts {
  readonly name: string;
  readonly index: number;
  readonly mtu: number;
  readonly addresses: readonly AddressFacts[];
}

export interface AddressFacts {
  readonly ip: Ip;
  /** Came from a router advertisement or DHCP, with a lifetime. */
  readonly dynamic: boolean;
  /** IPv6 privacy address. */
  readonly temporary: boolean;
  readonly deprecated: boolean;
}

export interface NetworkFacts {
  /** By index. */
  readonly links: readonly LinkFacts[];
  /** Interfaces of the default routes of table main, in the kernel's order (lowest metric first). */
  readonly defaultRoutes: PerFamily<readonly string[]>;
  /** Where the kernel sends packets for `--iface-can-reach`; undefined when nowhere, or not asked. */
  readonly reach: { readonly name: string; readonly source: Ip | undefined } | undefined;
}

/** An interface, and the address of it a rule asked for; or why the rule found none. */
type Match = { readonly link: LinkFacts; readonly asked?: Ip | undefined } | string;

interface Candidate {
  /** As the user wrote it. */
  readonly rule: string;
  readonly find: () => Match;
}

/**
 * Chooses the interface. Order: each `--iface` (address or name), each `--iface-regex` (all addresses, then names),
 * `--iface-can-reach`; with none of them the interface of `--public-ip`, else of the default route.
 *
 * Throws CONFIG_INVALID for a public address that is none, INTERFACE_NOT_FOUND with what each rule saw.
 */
export function chooseInterface(selection: InterfaceSelection, facts: NetworkFacts): ExternalInterface {
  const publicIps = parsePublicIps(selection);
  const tried: string[] = [];
  for (const { rule, find } of candidates(selection, publicIps, facts)) {
    const match = find();
    const found = typeof match === 'string' ? match : describe(match.link, match.asked, selection.families, publicIps);
    if (typeof found !== 'string') return found;
    tried.push(`${rule}: ${found}`);
  }
  throw new FlannelVpcError('INTERFACE_NOT_FOUND', `no interface fits: ${tried.join('; ')}`, {
    hint: `Name one with --iface. Here are: ${facts.links.map(linkText).join(', ') || 'none'}.`,
    details: { tried },
  });
}

function candidates(
  selection: InterfaceSelection,
  publicIps: PerFamily<Ip>,
  facts: NetworkFacts,
): readonly Candidate[] {
  const { ifaces, ifaceRegexes, canReach } = selection;
  if (ifaces.length + ifaceRegexes.length > 0 || canReach !== '') {
    return [
      ...ifaces.map((text) => ({ rule: `--iface=${text}`, find: () => byAddressOrName(text, selection, facts) })),
      ...ifaceRegexes.map((text) => ({ rule: `--iface-regex=${text}`, find: () => byRegex(text, selection, facts) })),
      ...(canReach === '' ? [] : [{ rule: `--iface-can-reach=${canReach}`, find: () => byRoute(canReach, facts) }]),
    ];
  }
  const asked = publicIps[4] ?? publicIps[6];
  if (asked)
    return [
      { rule: `--public-ip${asked.family === 6 ? 'v6' : ''}=${formatIp(asked)}`, find: () => byAddress(asked, facts) },
    ];
  return [{ rule: 'default route', find: () => byDefaultRoute(selection.families, facts) }];
}

function byAddressOrName(text: string, { families }: InterfaceSelection, facts: NetworkFacts): Match {
  // flannel's LookupExtIface goes by the default route for an empty text, however it comes by it.
  if (text === '') return byDefaultRoute(families, facts);
  const ip = parseIp(text);
  if (ip) return byAddress(ip, facts);
  const link = facts.links.find((one) => one.name === text);
  return link ? { link } : 'no interface has this name';
}

function byAddress(ip: Ip, facts: NetworkFacts): Match {
  const link = facts.links.find((one) => one.addresses.some((address) => sameIp(address.ip, ip)));
  return link ? { link, asked: ip } : 'no interface has this address';
}

function byRegex(text: string, selection: InterfaceSelection, facts: NetworkFacts): Match {
  if (text === '') return byDefaultRoute(selection.families, facts);
  const regex = compile(text);
  if (typeof regex === 'string') return regex;
  for (const link of facts.links) {
    const asked = selection.families.flatMap((family) => usable(link, family)).find((ip) => regex.test(formatIp(ip)));
    if (asked) return { link, asked };
  }
  const link = facts.links.find((one) => regex.test(one.name));
  return link ? { link } : 'no address and no name matches';
}

function byRoute(text: string, facts: NetworkFacts): Match {
  if (!parseIp(text)) return 'not an IP address';
  const link = facts.links.find((one) => one.name === facts.reach?.name);
  return link ? { link, asked: facts.reach?.source } : 'the kernel has no route to it';
}

function byDefaultRoute(families: readonly Family[], facts: NetworkFacts): Match {
  const names = families.map((family) => ({ family, name: facts.defaultRoutes[family]?.[0] }));
  const without = names.find(({ name }) => name === undefined);
  if (without || !names[0]) return `there is no IPv${without?.family ?? 4} default route`;
  if (names.some(({ name }) => name !== names[0]?.name)) {
    return `the default routes use different interfaces (${names.map(({ family, name }) => `IPv${family} ${name}`).join(', ')})`;
  }
  const link = facts.links.find((one) => one.name === names[0]?.name);
  return link ? { link } : `its interface ${names[0].name} has gone`;
}

/**
 * Go's regular expressions (re2) differ from ours in what users write here only in a leading `(?i)`, in classes such as `[[:digit:]]`,
 * which mean something else here, and in `\A` and `\z`.
 */
function compile(text: string): RegExp | string {
  const flags = /^\(\?([ims]+)\)/.exec(text);
  try {
    return new RegExp(ecmaScript(flags ? text.slice(flags[0].length) : text), flags?.[1] ?? '');
  } catch (error) {
    return `not a regular expression (${error instanceof Error ? error.message : error})`;
  }
}

const posixClasses: Readonly<Record<string, string>> = {
  ...{ alnum: 'a-zA-Z0-9', alpha: 'a-zA-Z', digit: '0-9', lower: 'a-z' },
  ...{ upper: 'A-Z', word: '\\w', xdigit: '0-9a-fA-F' },
};

/** Bracketed classes are taken whole, so that a `[:digit:]` is only looked for where it is one. */
function ecmaScript(re2: string): string {
  return re2.replace(/\\(.)|\[(?:\\.|\[:\w+:\]|\[(?!:\w+:\])|[^\]\\[])*\]/gs, (part: string, escaped?: string) => {
    if (escaped === 'A') return '(?<![^])';
    if (escaped === 'z') return '(?![^])';
    return escaped === undefined
      ? part.replace(/\[:(\w+):\]/g, (name: string, posix: string) => lookUp(posixClasses, posix) ?? name)
      : part;
  });
}

function describe(
  link: LinkFacts,
  asked: Ip | undefined,
  families: readonly Family[],
  publicIps: PerFamily<Ip>,
): ExternalInterface | string {
  const addresses: { 4?: Ip; 6?: Ip } = {};
  const outside: { 4?: Ip; 6?: Ip } = {};
  for (const family of families) {
    const own = asked?.family === family ? asked : (toldIpv6(link, family, publicIps) ?? usable(link, family)[0]);
    if (!own) return `${link.name} has no usable IPv${family} address`;
    addresses[family] = own;
    outside[family] = publicIps[family] ?? own;
  }
  return { name: link.name, index: link.index, mtu: link.mtu, addresses, publicIps: outside };
}

/** Of several IPv6 addresses of the link the one that `--public-ipv6` names: flannel's host-gw asks of IPv4's alone that it be the best. */
function toldIpv6(link: LinkFacts, family: Family, { 6: told }: PerFamily<Ip>): Ip | undefined {
  return family === 6 && told && link.addresses.some(({ ip }) => sameIp(ip, told)) ? told : undefined;
}

/** Addresses of the family, best first: global before link-local, permanent before dynamic, lasting before temporary. */
function usable(link: LinkFacts, family: Family): readonly Ip[] {
  return link.addresses
    .filter(({ ip, deprecated }) => ip.family === family && !deprecated && reachOf(ip) !== 'none')
    .map((one, order) => ({
      ip: one.ip,
      rank: [reachOf(one.ip) === 'link', one.dynamic, one.temporary].reduce((sum, worse) => sum * 2 + Number(worse), 0),
      order,
    }))
    .sort((a, b) => a.rank - b.rank || a.order - b.order)
    .map(({ ip }) => ip);
}

/** Loopback, multicast and unspecified addresses are good for nothing here. */
function reachOf(ip: Ip): 'global' | 'link' | 'none' {
  if (ip.family === 4) {
    const first = ip.value >> 24n;
    if (ip.value >> 16n === 0xa9fen) return 'link';
    return first === 127n || first >= 224n || ip.value === 0n ? 'none' : 'global';
  }
  if (ip.value >> 118n === 0xfe80n >> 6n) return 'link';
  return ip.value <= 1n || ip.value >> 120n === 0xffn ? 'none' : 'global';
}

function parsePublicIps({ publicIp }: InterfaceSelection): PerFamily<Ip> {
  const result: { 4?: Ip; 6?: Ip } = {};
  for (const family of [4, 6] as const) {
    const text = publicIp[family] ?? '';
    if (text === '') continue;
    const ip = parseIp(text);
    if (ip?.family !== family) {
      const flag = family === 4 ? '--public-ip' : '--public-ipv6';
      throw new FlannelVpcError('CONFIG_INVALID', `${flag}=${text} is no IPv${family} address`, {
        hint: `Give an address such as ${family === 4 ? '192.0.2.10' : '2001:db8::10'}, or leave the flag out.`,
      });
    }
    result[family] = ip;
  }
  return result;
}

function linkText({ name, addresses }: LinkFacts): string {
  return addresses.length === 0 ? name : `${name} (${addresses.map(({ ip }) => formatIp(ip)).join(' ')})`;
}
