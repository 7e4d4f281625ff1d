/**
 * What a packet follows ("Routes", routing order): of the routes of one destination those whose next hops are usable, of these
 * the smallest priority, and of several such, each flow one of them. Where none is usable, packets are dropped.
 */
import { compareCidrs, formatCidr } from '../../../src/core/ip.ts';
import type { RouteTarget, VpcRoute } from '../../fabric/vpc-rules.ts';
import type { GceState, Route } from './state.ts';

/** As in `NextHop.nicId`. */
export function nicIdOf(instanceId: string, nicName: string): string {
  return `${instanceId}/${nicName}`;
}

/** The network's static routes and its peers' subnets. Routes with tags are left out: they hold for some instances only. */
export function forwardingOf(state: GceState, network: string): readonly VpcRoute[] {
  const routes = [...state.routes.current.values()].filter(
    (route) => route.network === network && route.tags.length === 0,
  );
  const byDestination = Map.groupBy(routes, ({ destination }) => formatCidr(destination));
  const made = [...byDestination.values()]
    .toSorted(([a], [b]) => compareCidrs((a as Route).destination, (b as Route).destination))
    .map(
      (group): VpcRoute => ({
        destination: formatCidr((group[0] as Route).destination),
        target: targetOf(state, group),
      }),
    );
  const peers = state.peers
    .filter((peer) => peer.network === network)
    .map(({ cidr }): VpcRoute => ({ destination: formatCidr(cidr), target: { kind: 'gateway' } }));
  return [...made, ...peers];
}

function targetOf(state: GceState, routes: readonly Route[]): RouteTarget {
  const usable = routes.flatMap((route) => {
    const target = usableTarget(state, route);
    return target ? { priority: route.priority, target } : [];
  });
  const best = Math.min(...usable.map(({ priority }) => priority));
  const targets = usable.filter(({ priority }) => priority === best).map(({ target }) => target);
  const nicIds = [...new Set(targets.flatMap((target) => (target.kind === 'nic' ? target.nicId : [])))].sort();
  const [nicId] = nicIds;
  if (nicIds.length > 1) return { kind: 'ecmp', nicIds };
  return nicId !== undefined ? { kind: 'nic', nicId } : (targets[0] ?? { kind: 'blackhole' });
}

/** A machine that does not forward is usable: packets reach it, and end there. */
function usableTarget(state: GceState, route: Route): RouteTarget | undefined {
  const { hop, network, destination } = route;
  if (hop.kind === 'gateway' || hop.kind === 'other') return { kind: 'gateway' };
  const instance =
    hop.kind === 'instance' ? state.instance(hop.project, hop.id) : state.holder(network, hop.address)?.instance;
  const nic = instance?.nics.find((one) => one.network === network);
  if (!instance || !nic || instance.status !== 'RUNNING') return undefined;
  if (destination.family === 6 && nic.address6 === undefined) return undefined;
  return { kind: 'nic', nicId: nicIdOf(instance.id, nic.name) };
}
