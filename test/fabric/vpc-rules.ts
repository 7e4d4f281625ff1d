/** What the router of a VPC is told, as text for `ip -batch` and `nft -f`. Pure. */

/** A network interface of an instance, plugged into a port of the router. */
export interface Port {
  readonly nicId: string;
  readonly subnetId: string;
  /** Link of the router that leads to the NIC. */
  readonly link: string;
  /** IPv4 address of the NIC. */
  readonly address: string;
  readonly address6?: string | undefined;
  /**
   * Whether the cloud lets it send from and receive for addresses that are not its own: EC2's source/dest check is off, Google's
   * canIpForward or Azure's IP forwarding is on.
   */
  readonly forwards: boolean;
}

/** Where a route of a table leads. `gateway` is the way to the outside, for any kind of gateway. */
export type RouteTarget =
  | { readonly kind: 'nic'; readonly nicId: string }
  /** Several routes of one destination and one preference: each flow goes to one of them, by a hash of its addresses and ports. */
  | { readonly kind: 'ecmp'; readonly nicIds: readonly string[] }
  | { readonly kind: 'gateway' }
  | { readonly kind: 'blackhole' };

export interface VpcRoute {
  /** Such as `10.244.3.0/24` or `fd42::/64`. The VPC's own (local) routes are not listed: they hold anyway. */
  readonly destination: string;
  readonly target: RouteTarget;
}

/** What a security group lets in. */
export interface IngressRule {
  /** A network, or the addresses of the group's own members: of their NICs, and not of what else they forward. */
  readonly from: string | 'members';
  readonly protocol: 'all' | 'icmp' | 'tcp' | 'udp';
  /** The first and the last one; all when absent. */
  readonly ports?: readonly [first: number, last: number];
}

/** The usual group of a cluster: members take everything from each other, and whatever comes from these networks. */
export function usualGroup(allowedNetworks: readonly string[]): readonly IngressRule[] {
  return ['members', ...allowedNetworks].map((from) => ({ from, protocol: 'all' }));
}

/** The router's link to the outside, and the outside's address on it. */
export const outsideLink = 'outside';
export const outsideGateway = '203.0.113.10';
export const outsideGateway6 = '2001:db8:ffff::10';

/** Table that every port's traffic passes first: the NICs of the VPC, and nothing else within it. */
export const localTable = 100;

/** The kernel's words for one route. A NIC that is gone is a blackhole, as in EC2; of several, those that are there share the flows. */
export function kernelRoute(route: VpcRoute, ports: ReadonlyMap<string, Port>): string {
  const { destination, target } = route;
  const six = destination.includes(':');
  if (target.kind === 'gateway') {
    return `${destination} via ${six ? outsideGateway6 : outsideGateway} dev ${outsideLink} onlink`;
  }
  const nicIds = target.kind === 'nic' ? [target.nicId] : target.kind === 'ecmp' ? target.nicIds.toSorted() : [];
  const hops = nicIds
    .map((nicId) => ports.get(nicId))
    .flatMap((port) => {
      const address = six ? port?.address6 : port?.address;
      return address === undefined ? [] : [`via ${address} dev ${port?.link} onlink`];
    });
  if (hops.length === 0) return `blackhole ${destination}`;
  return `${destination} ${hops.length === 1 ? hops[0] : hops.map((hop) => `nexthop ${hop}`).join(' ')}`;
}

/**
 * The `ip` commands that turn one content of a table into another. A destination that stays is replaced in place, so a
 * packet meets its old route or its new one, never none.
 */
export function routeChanges(
  table: number,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  const commands: string[] = [];
  for (const [destination, route] of after) {
    if (before.get(destination) !== route) commands.push(`route replace table ${table} ${route}`);
  }
  for (const destination of before.keys()) {
    if (!after.has(destination)) commands.push(`route del ${destination} table ${table}`);
  }
  return commands;
}

/** Why the router dropped a packet; each has a counter. */
export const dropReasons = ['source_check', 'destination_check', 'security_group', 'not_a_node'] as const;
export type DropReason = (typeof dropReasons)[number];

/**
 * The filter: checks of each NIC, then the security group. Rules are made anew in one transaction, and counters live on.
 * Answers to what was let out come in, as in every cloud.
 */
export function filterText(ports: readonly Port[], ingress: readonly IngressRule[]): string {
  const nodes = ports.map((port) => port.address);
  const nodes6 = ports.flatMap((port) => port.address6 ?? []);
  const rules = [
    ...ports
      .filter((port) => !port.forwards)
      .flatMap(({ link, address, address6 = noAddress6 }) => [
        `iifname "${link}" ip saddr != ${address} counter name source_check drop`,
        `iifname "${link}" ip6 saddr != ${address6} counter name source_check drop`,
        `oifname "${link}" ip daddr != ${address} counter name destination_check drop`,
        `oifname "${link}" ip6 daddr != ${address6} counter name destination_check drop`,
      ]),
    // The gateway translates addresses of instances, and knows no others.
    `oifname "${outsideLink}" ip saddr != ${anyOf(nodes)} counter name not_a_node drop`,
    `oifname "${outsideLink}" ip6 saddr != ${anyOf(nodes6, noAddress6)} counter name not_a_node drop`,
    'ct state established,related accept',
    `oifname "${outsideLink}" accept`,
    ...ingress.flatMap(({ from, ...what }) => {
      if (from !== 'members') return [`${from.includes(':') ? 'ip6' : 'ip'} saddr ${from} ${trafficText(what)}accept`];
      return [
        `ip saddr ${anyOf(nodes)} ${trafficText(what)}accept`,
        `ip6 saddr ${anyOf(nodes6, noAddress6)} ${trafficText(what)}accept`,
      ];
    }),
    'counter name security_group drop',
  ];
  return [
    'add table inet vpc',
    ...dropReasons.map((reason) => `add counter inet vpc ${reason}`),
    'add chain inet vpc forward { type filter hook forward priority 0; policy drop; }',
    'flush chain inet vpc forward',
    ...rules.map((rule) => `add rule inet vpc forward ${rule}`),
    '',
  ].join('\n');
}

/** What nft matches it by, and a blank after it. */
function trafficText({ protocol, ports }: Omit<IngressRule, 'from'>): string {
  if (protocol === 'all') return '';
  if (protocol === 'icmp') return 'meta l4proto { icmp, ipv6-icmp } ';
  return ports ? `${protocol} dport ${ports.join('-')} ` : `meta l4proto ${protocol} `;
}

/** Nobody sends from it, and nothing is sent to it. */
const noAddress6 = '::';

/** An anonymous set; nft has no empty one, and nobody sends from the address that stands in for it. */
function anyOf(addresses: readonly string[], nobody = '0.0.0.0'): string {
  return `{ ${addresses.length === 0 ? nobody : [...new Set(addresses)].join(', ')} }`;
}
