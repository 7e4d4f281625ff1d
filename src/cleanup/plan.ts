/** What a clean-up takes out of this node, what of ours it must leave, and what it leaves as not ours. Pure. */

import { planDetours } from '../../host/detours.ts';
import type { SubnetFile } from '../../host/host.ts';
import type { IpLink, IpRoute } from '../../host/ip-json.ts';
import { isMarked } from '../../host/link-mark.ts';
import { planRoutes } from '../../host/peer-network.ts';
import { planProbeAddresses } from '../../host/probe-address.ts';
import {
  type Cidr,
  cidrContains,
  cidrOf,
  families,
  formatCidr,
  type PerFamily,
  parseCidr,
  parseIp,
  sameCidr,
} from '../core/ip.ts';
import type { FoundFile, FoundFiles } from './files.ts';

/** What stands on this node. */
export interface NodeFacts {
  readonly links: readonly IpLink[];
  /** Of the main table, in the families that subnet.env names. */
  readonly routes: PerFamily<readonly IpRoute[]>;
  /** Packet rules of ours (`host/rules-left.ts`). */
  readonly rules: readonly string[];
  readonly files: FoundFiles;
}

/** One thing that goes. */
export interface Removal {
  /** In an operator's words. */
  readonly text: string;
  readonly by:
    | { readonly kind: 'file' | 'folder'; readonly path: string }
    /** Without the leading `ip`. */
    | { readonly kind: 'ip'; readonly command: string }
    /** All rules of ours go at once. */
    | { readonly kind: 'rules' };
  /** Goes when all else has gone: a run after a broken off one learns from it where to look. */
  readonly last?: boolean;
}

/** Something that stays, and why. */
export interface Kept {
  readonly text: string;
  readonly why: string;
}

export interface CleanupPlan {
  /**
   * In the order in which they go: first what hands out addresses, so that no pod starts on a bridge about to go.
   */
  readonly removals: readonly Removal[];
  /** Ours, and in use. */
  readonly inTheWay: readonly Kept[];
  /** Of somebody else, as far as this node tells. */
  readonly foreign: readonly Kept[];
}

/** `bridge`: the one that the agent's flags name, or `''`. */
export function planCleanup(
  facts: NodeFacts,
  { force, bridge }: { readonly force: boolean; readonly bridge: string },
): CleanupPlan {
  const { files, rules } = facts;
  const links = planLinks(facts, force);
  const { subnetFile, folder } = files;
  const last: readonly Removal[] = [
    ...(subnetFile && subnetFile.foreign === undefined ? [file('subnet file', subnetFile.path)] : []),
    ...(folder === undefined ? [] : [{ text: `folder ${folder}`, by: { kind: 'folder' as const, path: folder } }]),
  ];
  const candidates: readonly (readonly [string, FoundFile])[] = [
    ...files.conflists.map((one) => ['CNI conflist', one] as const),
    ...(files.dockerOptions ? [['Docker’s options', files.dockerOptions] as const] : []),
  ];
  return {
    removals: [
      ...candidates.filter(([, { foreign }]) => foreign === undefined).map(([what, { path }]) => file(what, path)),
      ...files.temporary.map((path) => file('unfinished file', path)),
      ...links.removals,
      ...planKernelRoutes(facts),
      ...planAddresses(facts),
      ...rules.map((text): Removal => ({ text, by: { kind: 'rules' } })),
      ...last.map((removal) => ({ ...removal, last: true })),
    ],
    inTheWay: links.inTheWay,
    foreign: [
      ...foreignLinks(facts, bridge),
      ...foreignBlackholes(facts),
      ...[...candidates, ...(subnetFile ? [['subnet file', subnetFile] as const] : [])].flatMap(
        ([what, { path, foreign }]) => (foreign === undefined ? [] : [{ text: `${what} ${path}`, why: foreign }]),
      ),
    ],
  };
}

function file(what: string, path: string): Removal {
  return { text: `${what} ${path}`, by: { kind: 'file', path } };
}

function kindOf({ linkinfo }: IpLink): string {
  return linkinfo?.info_kind ?? 'physical';
}

function planLinks({ links }: NodeFacts, force: boolean): Pick<CleanupPlan, 'removals' | 'inTheWay'> {
  const removals: Removal[] = [];
  const inTheWay: Kept[] = [];
  for (const link of links.filter(isMarked)) {
    const text = `${kindOf(link)} ${link.ifname}`;
    const ports = links.filter(({ master }) => master === link.ifname).map(({ ifname }) => ifname);
    if (ports.length === 0 || force) {
      const withPorts = ports.length > 0 ? `, and the network of what is on it: ${some(ports)}` : '';
      removals.push({ text: `${text}${withPorts}`, by: { kind: 'ip', command: `link del dev ${link.ifname}` } });
    } else {
      inTheWay.push({ text, why: `containers are on it: ${some(ports)}; end them, or give --force` });
    }
  }
  return { removals, inTheWay };
}

/**
 * The routes of host-gw, by the same rule that the agent has for routes of former peers (docs/adr/0005), what a killed agent of a node that
 * moved asked a peer by (docs/adr/0009), and the own blackholes.
 */
function planKernelRoutes({ routes, links, files }: NodeFacts): readonly Removal[] {
  const marked = new Set(links.filter(isMarked).map(({ ifname }) => ifname));
  const devices = new Set(families.flatMap((family) => (routes[family] ?? []).flatMap(({ dev }) => dev ?? [])));
  const toPeers = [...devices]
    // With a link of ours its routes go by themselves.
    .filter((device) => !marked.has(device))
    .flatMap((device) => planRoutes({ device, networks: rangesOf(files.subnet), routes: [], links: [] }, routes));
  const detours = planDetours({ device: '', networks: rangesOf(files.subnet), routes: [] }, routes);
  const own = subnetsOf(files.subnet);
  const blackholes = blackholesOf(routes).filter(({ subnet }) => own.some((one) => sameCidr(one, subnet)));
  return [
    ...[...toPeers, ...detours].map((command) => ({ text: command.replace('route del', 'route'), command })),
    ...blackholes.map(({ subnet, metric }) => ({
      text: `blackhole route ${formatCidr(subnet)}`,
      // IPv6 takes any route to the subnet for it, the bridge's first, unless device and metric are named.
      command: `route del blackhole ${formatCidr(subnet)}${subnet.family === 6 ? ` dev lo metric ${metric}` : ''}`,
    })),
  ].map(({ text, command }): Removal => ({ text, by: { kind: 'ip', command } }));
}

function planAddresses({ links, files }: NodeFacts): readonly Removal[] {
  const loopback = links.find(({ ifname }) => ifname === 'lo')?.addr_info ?? [];
  const present = loopback.flatMap(({ local, prefixlen }) => (local === undefined ? [] : [`${local}/${prefixlen}`]));
  return planProbeAddresses({ subnets: [], networks: rangesOf(files.subnet) }, present).map((command) => ({
    text: `probe ${command.replace('address del', 'address').replace(' dev ', ' on ')}`,
    by: { kind: 'ip', command },
  }));
}

/** Links without the mark that do what ours would: flannel's, a runtime's, or of a time before there was a mark. */
function foreignLinks({ links, files }: NodeFacts, bridge: string): readonly Kept[] {
  const own = subnetsOf(files.subnet);
  return links
    .filter((link) => !isMarked(link))
    .filter((link) => {
      const kind = kindOf(link);
      if (kind === 'vxlan' && /^flannel(-v6)?\.\d+$/.test(link.ifname)) return true;
      if (kind !== 'bridge') return false;
      return (
        link.ifname === bridge ||
        link.addr_info.some(({ local, prefixlen }) => {
          const ip = parseIp(local ?? '');
          return ip !== undefined && own.some((subnet) => sameCidr(cidrOf(ip, prefixlen), subnet));
        })
      );
    })
    .map((link) => ({
      text: `${kindOf(link)} ${link.ifname}`,
      why: `it has no mark of ours, so somebody else made it; if it is not needed: ip link delete ${link.ifname}`,
    }));
}

function foreignBlackholes({ routes, files }: NodeFacts): readonly Kept[] {
  const ranges = rangesOf(files.subnet);
  const own = subnetsOf(files.subnet);
  return blackholesOf(routes)
    .filter(({ subnet }) => {
      const range = ranges[subnet.family];
      return range !== undefined && cidrContains(range.network, subnet) && !own.some((one) => sameCidr(one, subnet));
    })
    .map(({ subnet }) => ({
      text: `blackhole route ${formatCidr(subnet)}`,
      why: `it is not of this node’s subnet; if it is not needed: ip route delete blackhole ${formatCidr(subnet)}`,
    }));
}

function blackholesOf(routes: NodeFacts['routes']): readonly { readonly subnet: Cidr; readonly metric: number }[] {
  return families.flatMap((family) =>
    (routes[family] ?? []).flatMap(({ type, dst, metric = 0 }) => {
      const subnet = type === 'blackhole' ? parseCidr(dst) : undefined;
      return subnet ? [{ subnet, metric }] : [];
    }),
  );
}

function subnetsOf(file: SubnetFile | undefined): readonly Cidr[] {
  return families.flatMap((family) => {
    const subnet = file?.subnets[family];
    return subnet ? [cidrOf(subnet.ip, subnet.length)] : [];
  });
}

/** The networks, with the length that this node's subnet has and so all have. */
function rangesOf(file: SubnetFile | undefined): PerFamily<{ readonly network: Cidr; readonly subnetLength: number }> {
  return Object.fromEntries(
    families.flatMap((family) => {
      const [network, subnet] = [file?.networks[family], file?.subnets[family]];
      return network && subnet ? [[family, { network, subnetLength: subnet.length }]] : [];
    }),
  );
}

/** The first few of them. */
function some(names: readonly string[]): string {
  const most = 5;
  return names.length <= most ? names.join(', ') : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}
