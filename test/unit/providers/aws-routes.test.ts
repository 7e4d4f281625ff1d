import type { Route } from '@aws-sdk/client-ec2';
import { describe, expect, it } from '@jest/globals';
import { routeEntry } from '../../../providers/aws-vpc/routes.ts';
import { parseCidr } from '../../../src/core/ip.ts';

const written: Route = { DestinationCidrBlock: '10.244.1.0/24', Origin: 'CreateRoute', State: 'active' };

describe('a route of EC2', () => {
  it.each<[string, Route, { kind: string; id: string; instanceId?: string }]>([
    ['a NIC', { NetworkInterfaceId: 'eni-1' }, { kind: 'nic', id: 'eni-1' }],
    [
      'a NIC of an instance',
      { NetworkInterfaceId: 'eni-1', InstanceId: 'i-1' },
      { kind: 'nic', id: 'eni-1', instanceId: 'i-1' },
    ],
    ['an instance alone', { InstanceId: 'i-1' }, { kind: 'instance', id: 'i-1', instanceId: 'i-1' }],
    ['the VPC itself', { GatewayId: 'local' }, { kind: 'local', id: 'local' }],
    ['an internet gateway', { GatewayId: 'igw-1' }, { kind: 'gateway', id: 'igw-1' }],
    ['a VPN gateway', { GatewayId: 'vgw-1' }, { kind: 'gateway', id: 'vgw-1' }],
    ['an endpoint', { GatewayId: 'vpce-1' }, { kind: 'endpoint', id: 'vpce-1' }],
    ['a NAT gateway', { NatGatewayId: 'nat-1' }, { kind: 'nat', id: 'nat-1' }],
    ['a peering', { VpcPeeringConnectionId: 'pcx-1' }, { kind: 'peering', id: 'pcx-1' }],
    ['a transit gateway', { TransitGatewayId: 'tgw-1' }, { kind: 'gateway', id: 'tgw-1' }],
    ['an egress-only gateway', { EgressOnlyInternetGatewayId: 'eigw-1' }, { kind: 'gateway', id: 'eigw-1' }],
    ['a local gateway', { LocalGatewayId: 'lgw-1' }, { kind: 'gateway', id: 'lgw-1' }],
    ['a carrier gateway', { CarrierGatewayId: 'cagw-1' }, { kind: 'gateway', id: 'cagw-1' }],
    ['a core network', { CoreNetworkArn: 'arn:aws:net' }, { kind: 'gateway', id: 'arn:aws:net' }],
    ['something new', {}, { kind: 'other', id: '' }],
  ])('to %s keeps its target apart from the kinds we may replace', (_, target, expected) => {
    expect(routeEntry({ ...written, ...target }).target).toEqual(expected);
  });

  it.each([
    ['active', 'active'],
    ['blackhole', 'blackhole'],
    ['filtered', 'other'],
    [undefined, 'other'],
  ] as const)('in state %s is shown as %s', (state, expected) => {
    expect(routeEntry({ ...written, State: state }).state).toBe(expected);
  });

  it.each([
    ['CreateRoute', 'static'],
    ['CreateRouteTable', 'local'],
    ['EnableVgwRoutePropagation', 'propagated'],
    ['Advertisement', 'propagated'],
    // Not made by a call, as far as is known: not to be touched.
    ['SomethingNew', 'propagated'],
    [undefined, 'propagated'],
  ] as const)('of origin %s is %s', (origin, expected) => {
    expect(routeEntry({ ...written, Origin: origin as Route['Origin'] }).origin).toBe(expected);
  });

  it.each([
    [{ DestinationCidrBlock: '10.244.1.7/24' }, '10.244.1.0/24'],
    [{ DestinationIpv6CidrBlock: 'FD00:0:0:1:0::/64' }, 'fd00:0:0:1::/64'],
  ])('has a canonical destination: %j', (destination, expected) => {
    const entry = routeEntry({ Origin: 'CreateRoute', State: 'active', ...destination });

    expect(entry.destinationText).toBe(expected);
    expect(entry.destination).toEqual(parseCidr(expected));
  });

  it('to a prefix list has no CIDR', () => {
    const entry = routeEntry({
      DestinationPrefixListId: 'pl-1',
      GatewayId: 'vpce-1',
      Origin: 'CreateRoute',
      State: 'active',
    });

    expect(entry).toMatchObject({ destination: undefined, destinationText: 'pl-1' });
  });
});
