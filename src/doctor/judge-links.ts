/** This machine's own addresses and routes against the pod networks, and MTUs. Pure. */
import type { IpLink, IpRoute } from '../../host/ip-json.ts';
import {
  addressBits,
  type Cidr,
  cidrContains,
  cidrOf,
  cidrsOverlap,
  formatCidr,
  parseCidr,
  parseInterfaceAddress,
  parseIp,
} from '../core/ip.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

export interface OverlapFacts {
  readonly networks: readonly Cidr[];
  /** This node's own: what a bridge, a runtime or the agent has of them is as it should be. */
  readonly ownSubnets: readonly Cidr[];
  readonly links: readonly IpLink[];
  readonly routes: readonly IpRoute[];
  /** The interface that carries the lease's address. */
  readonly nic: string;
  /** The backend puts routes to peers into this kernel (host-gw, vxlan). */
  readonly kernelRoutes: boolean;
  /** Names of the backend's own devices; default none. */
  readonly ownLinks?: readonly string[];
}

/** Addresses and routes that take pods' traffic another way. */
export function judgeOverlap(facts: OverlapFacts): readonly Finding[] {
  const findings = [...addressFindings(facts), ...bridgeFindings(facts), ...routeFindings(facts)];
  const names = facts.networks.map(formatCidr).join(', ');
  return findings.length > 0
    ? findings
    : [ok('overlap', `no address or route of this machine is in the way of ${names}`)];
}

function addressFindings({ networks, ownSubnets, links }: OverlapFacts): readonly Finding[] {
  return links.flatMap((link) =>
    link.addr_info.flatMap((address): readonly Finding[] => {
      const parsed = parseInterfaceAddress(`${address.local ?? ''}/${address.prefixlen}`);
      if (!parsed) return [];
      const range = cidrOf(parsed.ip, parsed.length);
      const network = networks.find((one) => cidrsOverlap(one, range));
      if (!network || ownSubnets.some((subnet) => cidrContains(subnet, range))) return [];
      return [
        failed(
          `address of ${link.ifname}`,
          `${address.local}/${address.prefixlen} overlaps the pod network ${formatCidr(network)}`,
          `Give ${link.ifname} another range (Docker: "bip" in daemon.json, set to this node's own subnet), or the pods another network.`,
        ),
      ];
    }),
  );
}

/** Two bridges with the node's subnet answer for the same pods. */
function bridgeFindings({ ownSubnets, links }: OverlapFacts): readonly Finding[] {
  const bridges = links.filter(
    (link) =>
      link.linkinfo?.info_kind === 'bridge' &&
      link.addr_info.some(({ local }) => {
        const ip = parseIp(local ?? '');
        return ip && ownSubnets.some((subnet) => cidrContains(subnet, cidrOf(ip, addressBits(ip.family))));
      }),
  );
  if (bridges.length < 2) return [];
  const names = bridges.map(({ ifname }) => ifname).join(' and ');
  const remedy = 'Keep the one the container runtime uses, and leave --bridge out if it is not that one.';
  return [failed('bridges', `${names} both have addresses of this node's subnet`, remedy)];
}

const refusing = new Set(['blackhole', 'unreachable', 'prohibit', 'throw']);

function routeFindings(facts: OverlapFacts): readonly Finding[] {
  const { networks, ownSubnets, routes, nic, kernelRoutes, ownLinks = [] } = facts;
  return routes.flatMap((route): readonly Finding[] => {
    const destination = parseCidr(route.dst) ?? hostRoute(route.dst);
    if (!destination || destination.length === 0) return [];
    const network = networks.find((one) => cidrsOverlap(one, destination));
    if (!network || ownSubnets.some((subnet) => cidrContains(subnet, destination))) return [];
    const inside = cidrContains(network, destination);
    // What the address check says already.
    if (route.protocol === 'kernel') return [];
    const check = `kernel route ${formatCidr(destination)}`;
    const remedy = `Remove it: "ip route del ${formatCidr(destination)}"${route.dev ? ` (by ${route.dev})` : ''}, and whatever makes it.`;
    if (route.type !== undefined && refusing.has(route.type)) {
      return [failed(check, `is a ${route.type} route and stops packets to pods`, remedy)];
    }
    const devices = [route.dev, ...(route.nexthops ?? []).map(({ dev }) => dev)].filter((dev) => dev !== undefined);
    if (kernelRoutes && inside && devices.every((dev) => dev === nic || ownLinks.includes(dev))) return [];
    const by = devices.join(', ') || 'nowhere';
    if (devices.every((dev) => dev === nic)) {
      if (!inside || route.gateway === undefined || destination.length === network.length) return [];
      return [warning(check, `leads to ${route.gateway} past the route tables: left by host-gw?`, remedy)];
    }
    return [failed(check, `takes packets to pods by ${by}, not by ${nic}: left by another network plugin?`, remedy)];
  });
}

function hostRoute(text: string): Cidr | undefined {
  const ip = parseIp(text);
  return ip && cidrOf(ip, addressBits(ip.family));
}

export interface MtuFacts {
  readonly nic: string;
  readonly nicMtu: number;
  /** What the backend's own headers leave of it for pods; default all. */
  readonly podMtu?: number;
  /** FLANNEL_MTU; undefined without subnet.env. */
  readonly fileMtu: number | undefined;
  /** Bridges with this node's subnet. */
  readonly bridges: readonly { readonly name: string; readonly mtu: number }[];
}

/** Pods may use all that the backend's own headers leave of the interface's MTU, and no more. Clouds and host-gw have none. */
export function judgeMtu({ nic, nicMtu, podMtu = nicMtu, fileMtu, bridges }: MtuFacts): readonly Finding[] {
  const findings: Finding[] = [];
  const limit =
    podMtu === nicMtu ? `the ${nicMtu} of ${nic}` : `the ${podMtu} that ${nic} with ${nicMtu} has for a pod's packet`;
  if (fileMtu !== undefined && fileMtu > podMtu) {
    findings.push(
      failed(
        'FLANNEL_MTU',
        `is ${fileMtu}, more than ${limit}: large packets are lost`,
        'Restart the agent: it reads the MTU at its start; then the containers.',
      ),
    );
  } else if (fileMtu !== undefined && fileMtu > 0 && fileMtu < podMtu) {
    findings.push(
      warning(
        'FLANNEL_MTU',
        `is ${fileMtu}, less than ${limit}: packets are smaller than need be`,
        'Restart the agent: it reads the MTU at its start; then the containers.',
      ),
    );
  }
  for (const { name, mtu } of bridges) {
    if (mtu > podMtu)
      findings.push(
        failed(
          `MTU of ${name}`,
          `is ${mtu}, more than ${limit}: large packets are lost`,
          `Run "ip link set ${name} mtu ${podMtu}", and set it where the container runtime is configured.`,
        ),
      );
  }
  return findings.length > 0
    ? findings
    : [ok('MTU', `${nicMtu} of ${nic}${fileMtu === undefined ? '' : `, ${fileMtu} in subnet.env`}`)];
}
