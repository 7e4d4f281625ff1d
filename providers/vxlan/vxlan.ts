/**
 * flannel's vxlan: each peer's subnet by a vxlan device, for nodes that reach each other by IP alone. Lease data is flannel's, so that
 * flannel's nodes and ours share one network.
 *
 * A peer's subnet is routed to the subnet's own first address on the device; the peer's link-layer address (`VtepMAC` of its lease)
 * stands beside it as a neighbour, and that address leads to the peer's own IP. So no frame is ever flooded and nobody is asked.
 */
import * as z from 'zod';
import type { Lease } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import {
  type Cidr,
  cidrContainsIp,
  compareCidrs,
  type Family,
  families,
  formatCidr,
  nthAddress,
  type PerFamily,
} from '../../src/core/ip.ts';
import type { ForwardingEntry, GatewayRoute, NeighbourEntry, VxlanLink } from '../../src/core/peer-network.ts';
import { addressObstacle, ofOtherBackend, subnetObstacle } from '../address-obstacle.ts';
import type { BackendInterface, HostBackend, PassedOver, PeerContext, PeerVerdict } from '../host-backend.ts';
import type { VxlanConfig } from './config.ts';

/** Bytes of outer headers: 14 Ethernet + 8 vxlan + 8 UDP + 20 or 40 IP. */
const overhead: Readonly<Record<Family, number>> = { 4: 50, 6: 70 };

/**
 * What a lease says, untrusted: flannel's `vxlanLeaseAttrs`. Up to 0.12 it had no VNI, and flannel never looks at it. A multicast or
 * zero address is no device's.
 */
const leaseData = z.object({
  VNI: z.int().min(0).max(0xff_ff_ff).nullish(),
  VtepMAC: z
    .string()
    .transform((text) => text.toLowerCase())
    .refine((text) => /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(text) && text !== '00:00:00:00:00:00'),
});

/** The backend for this configuration. */
export function vxlan(config: VxlanConfig): HostBackend {
  const deviceMtu = (external: BackendInterface, family: Family): number =>
    (config.mtu ?? external.mtu) - overhead[family];

  return {
    leaseType: 'vxlan',
    needsOnLink: config.directRouting,

    check(external) {
      for (const family of families) {
        const mtu = deviceMtu(external, family);
        if (!external.addresses[family] || mtu >= leastMtu[family]) continue;
        throw new FlannelVpcError('CONFIG_INVALID', `an MTU of ${mtu} is too small for IPv${family} over vxlan`, {
          hint: `Give Backend.MTU at least ${leastMtu[family] + overhead[family]}, or use an interface with a larger MTU.`,
          details: { interface: external.name, mtu: external.mtu },
        });
      }
    },

    // flannel tells IPv4's also where the IPv6 device has less.
    mtu: (external) => deviceMtu(external, 4),

    links: (external, macs) =>
      families.flatMap((family): VxlanLink[] => {
        const local = external.addresses[family];
        const mac = macs[family];
        if (!local || mac === undefined) return [];
        const { vni, port, learning, gbp } = config;
        const device = { device: external.name, local, mtu: deviceMtu(external, family) };
        return [{ name: linkName(family, vni), vni, port, mac, learning, gbp, ...device }];
      }),

    leaseData: (links) =>
      Object.fromEntries(links.map(({ local, vni, mac }) => [local.family, { VNI: vni, VtepMAC: mac }])),

    storedMacs: (data) =>
      Object.fromEntries(
        families.flatMap((family) => {
          const parsed = leaseData.safeParse(data[family]);
          return parsed.success ? [[family, parsed.data.VtepMAC]] : [];
        }),
      ),

    peers: (leases, context) => peerEntries(config, leases, context),
  };
}

/** RFC 791 and RFC 8200: what every link must carry. */
const leastMtu: Readonly<Record<Family, number>> = { 4: 576, 6: 1_280 };

/** flannel's names of its devices. */
function linkName(family: Family, vni: number): string {
  return family === 4 ? `flannel.${vni}` : `flannel-v6.${vni}`;
}

function peerEntries({ vni, directRouting }: VxlanConfig, leases: readonly Lease[], context: PeerContext): PeerVerdict {
  const { own, external, onLink } = context;
  const ownKey = leaseKey(own.subnets);
  const routes: GatewayRoute[] = [];
  const neighbours: NeighbourEntry[] = [];
  const forwarding: ForwardingEntry[] = [];
  const passedOver: PassedOver[] = [];
  const macs = new Map<string, Cidr>();
  for (const lease of [...leases].sort((a, b) => compareKeys(leaseKey(a.subnets), leaseKey(b.subnets)))) {
    if (leaseKey(lease.subnets) === ownKey) continue;
    if (lease.attributes.backendType !== 'vxlan') {
      passedOver.push(...ofOtherBackend(lease, 'vxlan'));
      continue;
    }
    for (const family of families) {
      const destination = lease.subnets[family];
      const remote = lease.attributes.publicIps[family];
      if (!destination || !external.publicIps[family]) continue;
      const obstacle = subnetObstacle(destination, context) ?? addressObstacle(remote, external.publicIps[family]);
      if (!remote || obstacle !== undefined) {
        passedOver.push({ subnet: destination, reason: obstacle ?? '' });
        continue;
      }
      if (directRouting && onLink.some((network) => cidrContainsIp(network, remote))) {
        routes.push({ destination, gateway: remote, device: external.name });
        continue;
      }
      const data = leaseData.safeParse(lease.attributes.backendData[family]);
      if (!data.success) {
        passedOver.push({
          subnet: destination,
          reason: 'its lease has no VNI and link-layer address that can be used',
        });
        continue;
      }
      const { VtepMAC: mac, VNI: theirs } = data.data;
      const isOther = (theirs ?? vni) !== vni;
      // Two peers of one link-layer address: the second would take the first one's packets away.
      const holder = macs.get(`${family} ${mac}`);
      if (isOther || holder) {
        const reason = isOther
          ? `its lease has VNI ${theirs}, and net-conf ${vni}`
          : `its link-layer address ${mac} is that of another peer${holder ? `, ${formatCidr(holder)}` : ''}`;
        passedOver.push({ subnet: destination, reason });
        continue;
      }
      macs.set(`${family} ${mac}`, destination);
      const device = linkName(family, vni);
      const gateway = nthAddress(destination, 0);
      routes.push({ destination, gateway, device, onLink: true });
      neighbours.push({ address: gateway, mac, device });
      forwarding.push({ mac, device, remote });
    }
  }
  routes.sort((a, b) => compareCidrs(a.destination, b.destination));
  return { routes, neighbours, forwarding, passedOver };
}

function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A new link-layer address: locally administered, of one device. `byte` gives numbers from 0 to 255. */
export function newMac(byte: () => number): string {
  const bytes = Array.from({ length: 6 }, byte);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return bytes.map((value) => value.toString(16).padStart(2, '0')).join(':');
}

/** By family, for those that have none yet. */
export function macsFor(known: PerFamily<string>, byte: () => number): PerFamily<string> {
  return { 4: known[4] ?? newMac(byte), 6: known[6] ?? newMac(byte) };
}
