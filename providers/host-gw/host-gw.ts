/** flannel's host-gw: each peer's subnet by that peer's own address, for nodes that share a link. */

import { leaseKey } from '../../lease/lease-key.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { compareCidrs, families, formatIp, sameIp } from '../../src/core/ip.ts';
import type { GatewayRoute } from '../../src/core/peer-network.ts';
import { addressObstacle, ofOtherBackend, subnetObstacle } from '../address-obstacle.ts';
import type { HostBackend, PassedOver } from '../host-backend.ts';

export const hostGw: HostBackend = {
  leaseType: 'host-gw',
  needsOnLink: false,

  check({ addresses, publicIps }) {
    for (const family of families) {
      const own = addresses[family];
      const told = publicIps[family];
      if (!own || !told || sameIp(own, told)) continue;
      throw new FlannelVpcError(
        'CONFIG_INVALID',
        "your PublicIP differs from interface IP, meaning that probably you're on a NAT, which is not supported by host-gw backend",
        {
          hint: 'Leave --public-ip out, or use a backend that needs no shared link.',
          details: { publicIp: formatIp(told), interfaceIp: formatIp(own) },
        },
      );
    }
  },

  mtu: ({ mtu }) => mtu,
  links: () => [],
  leaseData: () => ({}),
  storedMacs: () => ({}),

  peers(leases, context) {
    const { own, external } = context;
    const { name, publicIps } = external;
    const routes: GatewayRoute[] = [];
    const passedOver: PassedOver[] = [];
    for (const lease of leases) {
      if (leaseKey(lease.subnets) === leaseKey(own.subnets)) continue;
      if (lease.attributes.backendType !== 'host-gw') {
        passedOver.push(...ofOtherBackend(lease, 'host-gw'));
        continue;
      }
      for (const family of families) {
        const destination = lease.subnets[family];
        const gateway = lease.attributes.publicIps[family];
        const mine = publicIps[family];
        if (!destination || !mine) continue;
        const obstacle = subnetObstacle(destination, context) ?? addressObstacle(gateway, mine);
        if (gateway && obstacle === undefined) routes.push({ destination, gateway, device: name });
        else passedOver.push({ subnet: destination, reason: obstacle ?? '' });
      }
    }
    return {
      routes: routes.sort((a, b) => compareCidrs(a.destination, b.destination)),
      neighbours: [],
      forwarding: [],
      passedOver,
    };
  },
};
