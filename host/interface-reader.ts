/** Reads what {@link chooseInterface} decides on: links, default routes, and the route to one address if asked. */
import { isAbortError } from '../src/core/errors.ts';
import { type Family, type Ip, parseIp } from '../src/core/ip.ts';
import { isProgramMissing, type Run } from './exec.ts';
import type { InterfaceSelection } from './host.ts';
import type { AddressFacts, LinkFacts, NetworkFacts } from './interface-choice.ts';
import { type IpLink, type IpRoute, readLinks, readRoutes } from './ip-json.ts';

/** One `ip` process, plus one for each default route or for the route asked for, side by side. */
export async function readNetworkFacts(
  run: Run,
  selection: InterfaceSelection,
  signal: AbortSignal,
): Promise<NetworkFacts> {
  const [links, ipv4, ipv6, reach] = await Promise.all([
    readLinks(run, signal),
    readDefaults(run, 4, selection, signal),
    readDefaults(run, 6, selection, signal),
    readReach(run, selection.canReach, signal),
  ]);
  return {
    links: links.map(linkFacts).sort((a, b) => a.index - b.index),
    defaultRoutes: { ...(ipv4 && { 4: ipv4 }), ...(ipv6 && { 6: ipv6 }) },
    reach,
  };
}

async function readDefaults(
  run: Run,
  family: Family,
  selection: InterfaceSelection,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  if (!selection.families.includes(family) || !mayUseDefaultRoute(selection)) return undefined;
  const routes = await readRoutes(run, family, ['show', 'default'], signal);
  return routes.flatMap((route) => devicesOf(route).slice(0, 1));
}

function mayUseDefaultRoute({ ifaces, ifaceRegexes, canReach, publicIp }: InterfaceSelection): boolean {
  const rules = [...ifaces, ...ifaceRegexes];
  if (rules.length > 0 || canReach !== '') return rules.includes('');
  return Object.values(publicIp).every((text) => text === '');
}

async function readReach(run: Run, target: string, signal: AbortSignal): Promise<NetworkFacts['reach']> {
  const ip = parseIp(target);
  if (!ip) return undefined;
  let routes: readonly IpRoute[];
  try {
    routes = await readRoutes(run, ip.family, ['get', target], signal);
  } catch (error) {
    // `ip route get` fails for an address without a route; the chooser then says so.
    if (isAbortError(error) || isProgramMissing(error)) throw error;
    return undefined;
  }
  const [route] = routes;
  const name = route && devicesOf(route)[0];
  return name === undefined ? undefined : { name, source: parseIp(route?.prefsrc ?? '') };
}

function devicesOf(route: IpRoute): readonly string[] {
  // `ip route get` says "local" for an address of this host's.
  if (route.type !== undefined && route.type !== 'unicast' && route.type !== 'local') return [];
  const devices = [route.dev, ...(route.nexthops ?? []).map((hop) => hop.dev)];
  return devices.filter((dev): dev is string => dev !== undefined);
}

function linkFacts(link: IpLink): LinkFacts {
  return {
    name: link.ifname,
    index: link.ifindex,
    mtu: link.mtu,
    addresses: link.addr_info.flatMap((address): readonly AddressFacts[] => {
      const ip: Ip | undefined = parseIp(address.local ?? '');
      if (!ip) return [];
      const { dynamic = false, temporary = false, deprecated = false } = address;
      return [{ ip, dynamic, temporary, deprecated }];
    }),
  };
}
