/** Compute Engine's shape of a route to ours. Pure. */
import { formatCidr, formatIp, parseCidr, parseIp } from '../../src/core/ip.ts';
import type { RouteEntry, RouteTarget } from '../provider.ts';
import { instanceOfLink, isMarked, type Owner } from './names.ts';
import type { Route } from './schemas.ts';

/** Google's words for a next hop that is not there to take packets. */
const blackholes: readonly string[] = [
  'NEXT_HOP_INSTANCE_NOT_FOUND',
  'NEXT_HOP_NOT_RUNNING',
  'NEXT_HOP_ADDRESS_NOT_ASSIGNED',
];

/** One route as the seam shows it. `project`: the route's own, in which next hop instances are. */
export function routeEntry(route: Route, owner: Owner): RouteEntry {
  const destination = parseCidr(route.destRange ?? '');
  return {
    destination,
    destinationText: destination ? formatCidr(destination) : (route.destRange ?? route.name),
    target: routeTarget(route),
    state: routeState(route),
    origin: routeOrigin(route),
    marked: destination !== undefined && isMarked(owner, destination.family, route),
    handle: route.name,
    ...(route.priority === undefined ? {} : { preference: route.priority }),
  };
}

function routeOrigin({ routeType, nextHopNetwork, nextHopPeering }: Route): RouteEntry['origin'] {
  if (nextHopNetwork !== undefined || routeType === 'SUBNET') return 'local';
  // BGP, TRANSIT and whatever comes: not written by a call, so not to be touched.
  if (nextHopPeering !== undefined || (routeType !== undefined && routeType !== 'STATIC')) return 'propagated';
  return 'static';
}

/** What other instances than those with a tag do not follow, and what is no machine, is of a kind that nobody here touches. */
export function routeTarget(route: Route): RouteTarget {
  if (route.tags.length > 0) return { kind: 'other', id: `for instances tagged ${route.tags.join(', ')}` };
  if (route.nextHopInstance !== undefined) {
    const instance = instanceOfLink(route.nextHopInstance);
    if (!instance) return { kind: 'other', id: route.nextHopInstance };
    return { kind: 'instance', id: instance.id, instanceId: instance.id };
  }
  if (route.nextHopIlb !== undefined) return { kind: 'endpoint', id: lastPart(route.nextHopIlb) };
  if (route.nextHopIp !== undefined) {
    const ip = parseIp(route.nextHopIp);
    return ip ? { kind: 'address', id: formatIp(ip) } : { kind: 'other', id: route.nextHopIp };
  }
  if (route.nextHopNetwork !== undefined) return { kind: 'local', id: lastPart(route.nextHopNetwork) };
  if (route.nextHopPeering !== undefined) return { kind: 'peering', id: route.nextHopPeering };
  const gateway = route.nextHopGateway ?? route.nextHopVpnTunnel ?? route.nextHopInterconnectAttachment;
  if (gateway !== undefined) return { kind: 'gateway', id: lastPart(gateway) };
  return { kind: 'other', id: lastPart(route.nextHopHub ?? '') };
}

function routeState({ warnings }: Route): RouteEntry['state'] {
  const codes = warnings.flatMap(({ code }) => code ?? []);
  if (codes.some((code) => blackholes.includes(code))) return 'blackhole';
  return codes.some((code) => code.startsWith('NEXT_HOP_')) ? 'other' : 'active';
}

function lastPart(link: string): string {
  return link.split('/').at(-1) ?? link;
}
