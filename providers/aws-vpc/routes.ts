/** EC2's shape of a route to ours. Pure. */
import type { Route } from '@aws-sdk/client-ec2';
import { formatCidr, parseCidr } from '../../src/core/ip.ts';
import type { RouteEntry, RouteTarget } from '../provider.ts';

/** One route as the seam shows it. */
export function routeEntry(route: Route): RouteEntry {
  const text = route.DestinationCidrBlock ?? route.DestinationIpv6CidrBlock;
  const destination = text === undefined ? undefined : parseCidr(text);
  return {
    destination,
    destinationText: destination ? formatCidr(destination) : (text ?? route.DestinationPrefixListId ?? ''),
    target: routeTarget(route),
    state: route.State === 'active' || route.State === 'blackhole' ? route.State : 'other',
    origin: routeOrigin(route.Origin),
  };
}

function routeOrigin(origin: string | undefined): RouteEntry['origin'] {
  if (origin === 'CreateRoute') return 'static';
  if (origin === 'CreateRouteTable') return 'local';
  // EnableVgwRoutePropagation, Advertisement (route server), and whatever comes: not written by a call, so not to be touched.
  return 'propagated';
}

function routeTarget(route: Route): RouteTarget {
  if (route.NetworkInterfaceId) {
    const instance = route.InstanceId ? { instanceId: route.InstanceId } : {};
    return { kind: 'nic', id: route.NetworkInterfaceId, ...instance };
  }
  if (route.InstanceId) return { kind: 'instance', id: route.InstanceId, instanceId: route.InstanceId };
  if (route.GatewayId) return gatewayTarget(route.GatewayId);
  if (route.NatGatewayId) return { kind: 'nat', id: route.NatGatewayId };
  if (route.VpcPeeringConnectionId) return { kind: 'peering', id: route.VpcPeeringConnectionId };
  const gateway =
    route.TransitGatewayId ??
    route.EgressOnlyInternetGatewayId ??
    route.LocalGatewayId ??
    route.CarrierGatewayId ??
    route.CoreNetworkArn;
  if (gateway) return { kind: 'gateway', id: gateway };
  return { kind: 'other', id: route.OdbNetworkArn ?? '' };
}

/** `GatewayId` also carries the word `local` and gateway endpoints. */
function gatewayTarget(id: string): RouteTarget {
  if (id === 'local') return { kind: 'local', id };
  return { kind: id.startsWith('vpce-') ? 'endpoint' : 'gateway', id };
}
