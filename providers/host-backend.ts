/** The seam to backends that need no cloud but this node's own kernel: from leases to the routes it should have. */

import type { Lease } from '../lease/lease.ts';
import type { GatewayRoute } from '../src/core/gateway-route.ts';
import type { Ip, PerFamily } from '../src/core/ip.ts';

/** What a backend needs to know of the external interface. */
export interface BackendInterface {
  readonly name: string;
  readonly addresses: PerFamily<Ip>;
  readonly publicIps: PerFamily<Ip>;
}

export interface HostBackend {
  /** flannel's `BackendType` of a lease; peers with another one are none of ours. */
  readonly leaseType: string;

  /** @throws CONFIG_INVALID where the backend can't work with the interface. */
  check(external: BackendInterface): void;

  /** The routes to peers. Leases are not believed: whose addresses make no route are left out. Pure. */
  routes(leases: readonly Lease[], own: Pick<Lease, 'subnets'>, external: BackendInterface): readonly GatewayRoute[];
}
