/**
 * Routes to single addresses of peers by the way that packets would take without the overlay: while an agent asks whether a peer answers
 * there, and no longer. Pure.
 *
 * A socket that is bound to the interface would not do: the answer of a peer that still sends by the overlay comes in by another one, and
 * the kernel keeps it from such a socket.
 */
import {
  addressBits,
  type Cidr,
  cidrContains,
  cidrContainsIp,
  cidrOf,
  formatCidr,
  type Ip,
  type PerFamily,
  parseCidr,
  parseIp,
} from '../src/core/ip.ts';
import type { PeerNetworkState } from './host.ts';
import type { IpRoute } from './ip-json.ts';

/** By which they are known as ours: a number that iproute2's `rt_protos` has no name for. */
const detourProtocol = '196';

/**
 * The `ip` commands that bring the detours to the state: in the order wanted, then stale ones away. An address that no other route leads
 * to gets none; see {@link standingDetours}.
 */
export function planDetours(state: PeerNetworkState, actual: PerFamily<readonly IpRoute[]>): readonly string[] {
  const wanted = new Map<string, string>();
  for (const address of state.detours ?? []) {
    const words = wayAround(state, address, actual[address.family] ?? []);
    if (words !== undefined) wanted.set(hostText(address), words);
  }
  const standing = ours(state, actual);
  return [
    ...[...wanted]
      .filter(([text, words]) => !standing.some((route) => textOf(route) === text && wordsOf(route) === words))
      .map(([text, words]) => `route replace ${text} ${words} proto ${detourProtocol}`),
    ...standing
      .filter((route) => !wanted.has(textOf(route)))
      .map((route) => `route del ${textOf(route)} ${wordsOf(route)} proto ${detourProtocol}`),
  ];
}

/** Those of the state's addresses whose detour is among the routes. */
export function standingDetours(state: PeerNetworkState, actual: PerFamily<readonly IpRoute[]>): readonly Ip[] {
  const texts = new Set(ours(state, actual).map(textOf));
  return (state.detours ?? []).filter((address) => texts.has(hostText(address)));
}

/** How packets to the address go by routes wider than a subnet, and by no link of the overlay; undefined where they don't, or by several ways. */
function wayAround(
  { networks, links = [] }: PeerNetworkState,
  address: Ip,
  routes: readonly IpRoute[],
): string | undefined {
  const range = networks[address.family];
  // Somebody else's route to this very address stays.
  const taken = routes.some((route) => textOf(route) === hostText(address) && route.protocol !== detourProtocol);
  if (!range || taken) return undefined;
  const [best] = routes
    .flatMap((route) => {
      const covered = destinationOf(route, address.family);
      const usable = covered && cidrContainsIp(covered, address) && covered.length < range.subnetLength;
      return usable && !links.includes(route.dev ?? '') ? [{ route, length: covered.length }] : [];
    })
    .sort((a, b) => b.length - a.length || (a.route.metric ?? 0) - (b.route.metric ?? 0));
  if (!best || best.route.type !== undefined || best.route.dev === undefined || best.route.nexthops) return undefined;
  return wordsOf(best.route);
}

function ours({ networks }: PeerNetworkState, actual: PerFamily<readonly IpRoute[]>): readonly IpRoute[] {
  return ([4, 6] as const).flatMap((family) =>
    (actual[family] ?? []).filter((route) => {
      const destination = destinationOf(route, family);
      const range = networks[family];
      return (
        route.protocol === detourProtocol &&
        destination?.length === addressBits(family) &&
        range !== undefined &&
        cidrContains(range.network, destination)
      );
    }),
  );
}

function wordsOf({ gateway, dev, flags }: IpRoute): string {
  const onLink = flags?.includes('onlink') ? ['onlink'] : [];
  return [...(gateway === undefined ? [] : ['via', gateway]), 'dev', dev, ...onLink].join(' ');
}

/** As in {@link hostText} where it leads to a single address. */
function textOf({ dst }: IpRoute): string {
  const address = parseIp(dst);
  return address ? hostText(address) : dst;
}

function hostText(address: Ip): string {
  return formatCidr(cidrOf(address, addressBits(address.family)));
}

/** `ip` shows the route to all as a word, and those to single addresses without a length. */
function destinationOf({ dst }: IpRoute, family: 4 | 6): Cidr | undefined {
  if (dst === 'default') return parseCidr(family === 4 ? '0.0.0.0/0' : '::/0');
  const address = parseIp(dst);
  return address ? cidrOf(address, addressBits(family)) : parseCidr(dst);
}
