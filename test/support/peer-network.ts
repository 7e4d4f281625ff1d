/** The routes to peers that host tests ask for. */
import type { PeerNetworkState } from '../../host/host.ts';
import { cidr, ip } from './addresses.ts';

/** Routes as `[destination, gateway]`, by eth0, within the recorded networks of both families. */
export function routesByEth0(...routes: readonly (readonly [string, string])[]): PeerNetworkState {
  return {
    device: 'eth0',
    networks: {
      4: { network: cidr('10.5.0.0/16'), subnetLength: 24 },
      6: { network: cidr('fd42::/48'), subnetLength: 64 },
    },
    routes: routes.map(([destination, gateway]) => ({
      destination: cidr(destination),
      gateway: ip(gateway),
      device: 'eth0',
    })),
  };
}
