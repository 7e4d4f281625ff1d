/** The seam to backends that need no cloud but this node's own kernel: from leases to the links, routes and entries it should have. Pure. */

import type { Lease, SubnetRange } from '../lease/lease.ts';
import type { Cidr, Ip, PerFamily } from '../src/core/ip.ts';
import type { ForwardingEntry, GatewayRoute, NeighbourEntry, VxlanLink } from '../src/core/peer-network.ts';

/** What a backend needs to know of the external interface. */
export interface BackendInterface {
  readonly name: string;
  /** Bytes. */
  readonly mtu: number;
  readonly addresses: PerFamily<Ip>;
  readonly publicIps: PerFamily<Ip>;
}

/** What a peer list is judged by besides the leases. */
export interface PeerContext {
  readonly external: BackendInterface;
  readonly own: Pick<Lease, 'subnets'>;
  /** The pod networks. A lease of anything else would lead packets of this node's own elsewhere. */
  readonly networks: PerFamily<Pick<SubnetRange, 'network'>>;
  /** Networks whose hosts are reached by the external interface without a gateway. Read only for `DirectRouting`. */
  readonly onLink: readonly Cidr[];
}

/** All entries for peers that should stand, and no others on the links that are the backend's own. */
export interface PeerEntries {
  readonly routes: readonly GatewayRoute[];
  readonly neighbours: readonly NeighbourEntry[];
  readonly forwarding: readonly ForwardingEntry[];
}

/** A peer's subnet that nothing stands for, and why. */
export interface PassedOver {
  readonly subnet: Cidr;
  /** In words, after "no entry:". */
  readonly reason: string;
}

/** What the leases come to. */
export interface PeerVerdict extends PeerEntries {
  /** Everything of the leases that makes no entry, but for this node's own. */
  readonly passedOver: readonly PassedOver[];
}

export interface HostBackend {
  /** flannel's `BackendType` of a lease; peers with another one are none of ours. */
  readonly leaseType: string;

  /** @throws CONFIG_INVALID where the backend can't work with the interface. */
  check(external: BackendInterface): void;

  /** What pods' interfaces get, bytes. */
  mtu(external: BackendInterface): number;

  /**
   * Links of the backend's own, which must stand before a lease is taken, since its data names them. `macs`: what an earlier lease of
   * this node says, or new ones, by family.
   */
  links(external: BackendInterface, macs: PerFamily<string>): readonly VxlanLink[];

  /** flannel's `BackendData` and `BackendV6Data` for these links as they stand. */
  leaseData(links: readonly VxlanLink[]): PerFamily<unknown>;

  /** Link-layer addresses in the data of an earlier lease of this node; what does not parse is left out. */
  storedMacs(data: PerFamily<unknown>): PerFamily<string>;

  /** Whether `PeerContext.onLink` is looked at. */
  readonly needsOnLink: boolean;

  /** What should stand for peers. Leases are not believed: whose data makes no entry are left out. */
  peers(leases: readonly Lease[], context: PeerContext): PeerVerdict;
}
