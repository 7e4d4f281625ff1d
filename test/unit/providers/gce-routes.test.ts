import { describe, expect, it } from '@jest/globals';
import { ownerMark, routeName } from '../../../providers/gce/names.ts';
import { routeEntry } from '../../../providers/gce/routes.ts';
import { routeSchema } from '../../../providers/gce/schemas.ts';
import { cidr } from '../../support/addresses.ts';

const owner = { tableId: 'prj-1/default', networks: [cidr('10.244.0.0/16')] };
const api = 'https://www.googleapis.com/compute/v1/projects/prj-1';
const plain = { name: 'r-1', destRange: '10.244.1.0/24', priority: 1000, routeType: 'STATIC' };
const entry = (fields: object) => routeEntry(routeSchema.parse({ ...plain, ...fields }), owner);

describe('a route of Compute Engine', () => {
  it.each<[string, object, object]>([
    [
      'an instance',
      { nextHopInstance: `${api}/zones/europe-west1-b/instances/vm-1` },
      { kind: 'instance', id: 'europe-west1-b/vm-1', instanceId: 'europe-west1-b/vm-1' },
    ],
    ['an address', { nextHopIp: '10.0.0.2' }, { kind: 'address', id: '10.0.0.2' }],
    ['an IPv6 address', { nextHopIp: 'FD20:0:0:0::2' }, { kind: 'address', id: 'fd20::2' }],
    [
      'the internet',
      { nextHopGateway: `${api}/global/gateways/default-internet-gateway` },
      { kind: 'gateway', id: 'default-internet-gateway' },
    ],
    ['a VPN tunnel', { nextHopVpnTunnel: `${api}/regions/r/vpnTunnels/t` }, { kind: 'gateway', id: 't' }],
    [
      'an interconnect',
      { nextHopInterconnectAttachment: `${api}/regions/r/interconnectAttachments/a` },
      { kind: 'gateway', id: 'a' },
    ],
    ['a load balancer', { nextHopIlb: '10.0.0.9' }, { kind: 'endpoint', id: '10.0.0.9' }],
    [
      'a load balancer that shows its address too',
      { nextHopIlb: 'x/lb', nextHopIp: '10.0.0.9' },
      { kind: 'endpoint', id: 'lb' },
    ],
    ['the network itself', { nextHopNetwork: `${api}/global/networks/default` }, { kind: 'local', id: 'default' }],
    ['a peering', { nextHopPeering: 'peer-1' }, { kind: 'peering', id: 'peer-1' }],
    ['a hub', { nextHopHub: 'https://networkconnectivity.googleapis.com/x/hubs/h' }, { kind: 'other', id: 'h' }],
    ['something new', {}, { kind: 'other', id: '' }],
    [
      'an instance, for some instances only',
      { nextHopInstance: `${api}/zones/europe-west1-b/instances/vm-1`, tags: ['db'] },
      { kind: 'other', id: 'for instances tagged db' },
    ],
  ])('to %s keeps its target apart from the kinds we may replace', (_, fields, expected) => {
    expect(entry(fields).target).toEqual(expected);
  });

  it.each([
    [[], 'active'],
    [['NEXT_HOP_INSTANCE_NOT_FOUND'], 'blackhole'],
    [['NEXT_HOP_NOT_RUNNING'], 'blackhole'],
    [['NEXT_HOP_ADDRESS_NOT_ASSIGNED'], 'blackhole'],
    [['NEXT_HOP_CANNOT_IP_FORWARD'], 'other'],
    [['NEXT_HOP_INSTANCE_NOT_ON_NETWORK'], 'other'],
    [['NEXT_HOP_INSTANCE_HAS_NO_IPV6_INTERFACE'], 'other'],
    [['NEXT_HOP_CANNOT_IP_FORWARD', 'NEXT_HOP_NOT_RUNNING'], 'blackhole'],
    [['EXPERIMENTAL_TYPE_USED'], 'active'],
  ] as const)('with the warnings %j is %s', (codes, state) => {
    expect(entry({ warnings: codes.map((code) => ({ code, message: 'so' })) }).state).toBe(state);
  });

  it.each([
    ['STATIC', {}, 'static'],
    [undefined, {}, 'static'],
    ['SUBNET', {}, 'local'],
    [undefined, { nextHopNetwork: `${api}/global/networks/default` }, 'local'],
    [undefined, { nextHopPeering: 'peer-1' }, 'propagated'],
    ['BGP', {}, 'propagated'],
    ['TRANSIT', {}, 'propagated'],
    ['NEW_KIND', {}, 'propagated'],
  ] as const)('of type %s with %j is %s', (routeType, fields, origin) => {
    expect(entry({ routeType, ...fields }).origin).toBe(origin);
  });

  it('carries its name, its priority and whether it is ours', () => {
    const target = { kind: 'instance', id: 'europe-west1-b/vm-1' } as const;
    const name = routeName(owner, cidr('10.244.1.0/24'), target, 990);
    const ours = {
      name,
      priority: 990,
      description: ownerMark(owner, 4),
      nextHopInstance: `${api}/zones/europe-west1-b/instances/vm-1`,
    };

    expect(entry(ours)).toMatchObject({
      handle: name,
      preference: 990,
      marked: true,
      destination: cidr('10.244.1.0/24'),
    });
    expect(entry({ ...ours, description: 'mine' })).toMatchObject({ handle: name, marked: false });
    expect(entry({ nextHopInstance: `${api}/zones/z-a/instances/vm` })).toMatchObject({ handle: 'r-1', marked: false });
  });

  it('shows its range in canonical form', () => {
    expect(entry({ destRange: 'FD00:244:0:1:0::/64' }).destinationText).toBe('fd00:244:0:1::/64');
  });
});
