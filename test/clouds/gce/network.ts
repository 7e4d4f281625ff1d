/** The network that every simulated project begins with: two subnets, a peer, a VPN, and the default route. */
import { type Cidr, cidrOf, formatCidr, type Ip, networkAddress, nthAddress } from '../../../src/core/ip.ts';
import { cidr as knownCidr } from '../../support/addresses.ts';
import { idOf, linkTo } from './names.ts';
import { GceState, type Route } from './state.ts';

export interface NetworkPlan {
  /** Project of the instances, and its number. */
  readonly project: string;
  readonly projectNumber: string;
  /** Project of the network: the same, or a Shared VPC's host project. */
  readonly owner: string;
  readonly ownerNumber: string;
  readonly region: string;
  readonly subnetCidrs: readonly [string, string];
}

/** Static route to a VPN tunnel, see `CloudWorld.foreignDestination`. */
export const foreignDestination = '172.30.0.0/16';
/** Subnet of a peered network. */
const peerRange = '192.168.77.0/24';
/** Google's documentation tells no number by now; 300 is what it gave for static routes before. */
export const defaultRouteLimit = 300;
/** Google's own default, bytes. */
export const mtu = 1460;

/** Unique local addresses as Google gives them to networks: a /48 of fd20::/20. */
const range6 = 'fd20:a1b:2c3::/48';

export function startState(plan: NetworkPlan): GceState {
  const { project, projectNumber, owner, ownerNumber, region, subnetCidrs } = plan;
  const id = `${owner}/net-1`;
  const state = new GceState({
    projects: new Map([
      [project, projectNumber],
      [owner, ownerNumber],
    ]),
    region,
    zones: [`${region}-b`, `${region}-c`, `${region}-d`],
    routeLimit: defaultRouteLimit,
  });
  state.networks = [{ id, number: idOf(id), mtu, range6 }];
  state.subnets = subnetCidrs.map((text, place) => ({
    id: `${region}/subnet-${place + 1}`,
    network: id,
    cidr: knownCidr(text),
    cidr6: subnet6(place),
    secondary: [],
  }));
  state.peers = [{ network: id, peering: 'peer-1', cidr: knownCidr(peerRange) }];
  state.firewalls = [
    {
      name: 'allow-internal',
      network: id,
      direction: 'INGRESS',
      priority: 65_534,
      sourceRanges: subnetCidrs.map((text) => formatCidr(knownCidr(text))),
      allowed: [{ IPProtocol: 'all' }],
    },
  ];
  for (const route of foreignRoutes(owner, id, region)) state.setRoute(`${owner}/${route.name}`, route);
  return state;
}

function subnet6(place: number): Cidr {
  return cidrOf(nthAddress(knownCidr(range6), BigInt(place) << 64n), 64);
}

/** A route that Google makes with the network, and one of a person's, with properties that no program knows. */
function foreignRoutes(project: string, network: string, region: string): readonly Route[] {
  const common = { project, network, tags: [], createdAt: Date.UTC(2026, 0, 1) };
  return [
    {
      ...common,
      name: 'default-route-8a7b6c5d4e3f2a1b',
      number: idOf('default-route'),
      description: 'Default route to the Internet.',
      destination: knownCidr('0.0.0.0/0'),
      priority: 1000,
      hop: { kind: 'gateway', name: 'default-internet-gateway' },
    },
    {
      ...common,
      name: 'to-the-office',
      number: idOf('to-the-office'),
      description: 'office network, ask Anna before you touch it',
      destination: knownCidr(foreignDestination),
      priority: 900,
      hop: {
        kind: 'other',
        members: { nextHopVpnTunnel: linkTo(`projects/${project}/regions/${region}/vpnTunnels/office-tunnel`) },
      },
      more: { propertyOfTomorrow: { kept: true, list: [1, 'two', { three: 3 }] } },
    },
  ];
}

/** The first address of the subnet's /96 for this machine, with the number of its IPv4 address. */
export function address6Of(cidr6: Cidr, cidr: Cidr, address: Ip): Ip {
  return nthAddress(cidr6, (address.value - networkAddress(cidr).value) << 32n);
}
