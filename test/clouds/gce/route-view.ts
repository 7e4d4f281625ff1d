/** Routes as the API shows them, with warnings computed at each read from how their next hops stand now. */
import { formatCidr, formatIp } from '../../../src/core/ip.ts';
import { idOf, linkTo, networkPath, timestamp } from './names.ts';
import type { GceState, Instance, InstanceNic, Route } from './state.ts';

interface Warning {
  readonly code: string;
  readonly message: string;
  readonly data?: readonly { readonly key: string; readonly value: string }[];
}

export function instancePath(project: string, id: string): string {
  const [zone, name] = id.split('/');
  return `projects/${project}/zones/${zone}/instances/${name}`;
}

export function routePath(project: string, name: string): string {
  return `projects/${project}/global/routes/${name}`;
}

/** A static route. */
export function showRoute(state: GceState, route: Route): object {
  const { project, name, description, network, destination, priority, tags, number, createdAt, more } = route;
  const warnings = warningsOf(state, route);
  return {
    kind: 'compute#route',
    id: number,
    creationTimestamp: timestamp(createdAt),
    name,
    ...(description === undefined ? {} : { description }),
    network: linkTo(networkPath(network)),
    ...(tags.length === 0 ? {} : { tags }),
    destRange: formatCidr(destination),
    priority,
    ...hopMembers(route),
    ...(warnings.length === 0 ? {} : { warnings }),
    routeType: 'STATIC',
    selfLink: linkTo(routePath(project, name)),
    ...more,
  };
}

function hopMembers({ hop, project }: Route): object {
  switch (hop.kind) {
    case 'instance':
      return { nextHopInstance: linkTo(instancePath(hop.project, hop.id)) };
    case 'address':
      return { nextHopIp: formatIp(hop.address) };
    case 'gateway':
      return { nextHopGateway: linkTo(`projects/${project}/global/gateways/${hop.name}`) };
    case 'other':
      return hop.members;
  }
}

/** The routes that Google makes for a project's networks: their own subnets, and those of their peers. */
export function showSubnetRoutes(state: GceState, project: string): readonly { name: string }[] {
  const made = (name: string, network: string, destRange: string, members: object) => ({
    kind: 'compute#route',
    id: idOf(`${project}/${name}`),
    creationTimestamp: timestamp(Date.UTC(2026, 0, 1)),
    name,
    network: linkTo(networkPath(network)),
    destRange,
    priority: 0,
    ...members,
    selfLink: linkTo(routePath(project, name)),
  });
  const hash = (text: string) => BigInt(idOf(text)).toString(16);
  const own = state.subnets
    .filter(({ network }) => network.startsWith(`${project}/`))
    .flatMap(({ id, network, cidr, cidr6 }) =>
      [cidr, cidr6].map((range) => {
        const destRange = formatCidr(range);
        return made(`default-route-r-${hash(id + destRange)}`, network, destRange, {
          description: `Default local route to the subnetwork ${destRange}.`,
          nextHopNetwork: linkTo(networkPath(network)),
        });
      }),
    );
  const peers = state.peers
    .filter(({ network }) => network.startsWith(`${project}/`))
    .map(({ network, peering, cidr }) => {
      const destRange = formatCidr(cidr);
      return made(`peering-route-${hash(peering + destRange)}`, network, destRange, {
        description: `Auto generated route via peering [${peering}].`,
        nextHopPeering: peering,
      });
    });
  return [...own, ...peers];
}

/** What stands in the way at the next hop, in the order of Google's own checks. */
function warningsOf(state: GceState, route: Route): readonly Warning[] {
  const { hop } = route;
  if (hop.kind === 'address') {
    const holder = state.holder(route.network, hop.address);
    const message = `No instance of the network has the address ${formatIp(hop.address)}.`;
    return holder
      ? machineWarnings(route, holder.instance, holder.nic)
      : [{ code: 'NEXT_HOP_ADDRESS_NOT_ASSIGNED', message }];
  }
  if (hop.kind !== 'instance') return [];
  const instance = state.instance(hop.project, hop.id);
  const path = instancePath(hop.project, hop.id);
  const warning = (code: string, message: string): Warning => ({
    code,
    message,
    data: [{ key: 'instance', value: linkTo(path) }],
  });
  if (!instance) {
    return [warning('NEXT_HOP_INSTANCE_NOT_FOUND', `Next hop instance '${path}' was not found.`)];
  }
  const nic = instance.nics.find(({ network }) => network === route.network);
  if (!nic) {
    return [warning('NEXT_HOP_INSTANCE_NOT_ON_NETWORK', `Next hop instance '${path}' is not on the route's network.`)];
  }
  return machineWarnings(route, instance, nic);
}

function machineWarnings({ destination }: Route, instance: Instance, nic: InstanceNic): readonly Warning[] {
  const path = instancePath(instance.project, instance.id);
  const data = [{ key: 'instance', value: linkTo(path) }];
  const found: Warning[] = [];
  if (instance.status !== 'RUNNING') {
    found.push({ code: 'NEXT_HOP_NOT_RUNNING', message: `Next hop instance '${path}' is not running.`, data });
  }
  if (!instance.canIpForward) {
    const message = `Next hop instance '${path}' cannot forward IP traffic.`;
    found.push({ code: 'NEXT_HOP_CANNOT_IP_FORWARD', message, data });
  }
  if (destination.family === 6 && nic.address6 === undefined) {
    const message = `Next hop instance '${path}' has no IPv6 interface.`;
    found.push({ code: 'NEXT_HOP_INSTANCE_HAS_NO_IPV6_INTERFACE', message, data });
  }
  return found;
}
