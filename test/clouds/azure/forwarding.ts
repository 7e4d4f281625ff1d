/** What the data path makes of a route. */
import { formatCidr, formatIp, parseCidr, parseIp } from '../../../src/core/ip.ts';
import type { VpcRoute } from '../../fabric/vpc-rules.ts';
import { shorten } from './ids.ts';
import { canonicalPrefix } from './route-rules.ts';
import type { AzureState, StoredRoute } from './state.ts';

/** The address it leads to, in canonical text. */
export function nextHopOf({ properties }: StoredRoute): string | undefined {
  const { nextHopIpAddress } = properties;
  const ip = typeof nextHopIpAddress === 'string' ? parseIp(nextHopIpAddress) : undefined;
  return ip && formatIp(ip);
}

export function leadsTo({ properties }: StoredRoute, prefix: string): boolean {
  return canonicalPrefix(String(properties['addressPrefix'])) === prefix;
}

/** An address that nobody has, or whose machine is off, swallows packets: the cloud says nothing of it. */
export function forwardingOf(state: AzureState, route: StoredRoute): readonly VpcRoute[] {
  const cidr = parseCidr(String(route.properties['addressPrefix']));
  // A service tag is no destination of the fabric.
  if (!cidr) return [];
  const destination = formatCidr(cidr);
  const { nextHopType } = route.properties;
  if (nextHopType === 'Internet' || nextHopType === 'VirtualNetworkGateway') {
    return [{ destination, target: { kind: 'gateway' } }];
  }
  const address = nextHopOf(route);
  const nic = address === undefined ? undefined : state.ownerOf(address);
  const machine = nic && state.machines.get(shorten(nic.machineId));
  if (!nic || machine?.power !== 'running') return [{ destination, target: { kind: 'blackhole' } }];
  return [{ destination, target: { kind: 'nic', nicId: shorten(nic.id) } }];
}
