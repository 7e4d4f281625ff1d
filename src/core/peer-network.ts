/** What a backend without a cloud wants of this node's kernel, as plain data; the host puts it in place. */
import type { Cidr, Ip } from './ip.ts';

/** A route to a peer's subnet. */
export interface GatewayRoute {
  readonly destination: Cidr;
  /** A neighbour on the device's link. */
  readonly gateway: Ip;
  /** Name of the interface. */
  readonly device: string;
  /** The gateway counts as a neighbour on the device although no address of the device says so. */
  readonly onLink?: boolean | undefined;
}

/** The link-layer address of a neighbour that nobody need ask for (`ip neigh … nud permanent`). */
export interface NeighbourEntry {
  readonly address: Ip;
  /** Lower case with colons. */
  readonly mac: string;
  readonly device: string;
}

/** Where a vxlan device sends frames for a link-layer address (`bridge fdb … dst … self permanent`). */
export interface ForwardingEntry {
  readonly mac: string;
  readonly device: string;
  /** The peer's own address. */
  readonly remote: Ip;
}

/** A vxlan device (Linux `ip link … type vxlan`). */
export interface VxlanLink {
  /** Such as `flannel.1`. */
  readonly name: string;
  /** 1 to 16777215. */
  readonly vni: number;
  /** UDP port of peers. */
  readonly port: number;
  /** Kept from an earlier time where there is one; peers know it. */
  readonly mac: string;
  /** The interface it sends by. */
  readonly device: string;
  /** The address it sends from. */
  readonly local: Ip;
  readonly mtu: number;
  readonly learning: boolean;
  /** Group based policy (`gbp`). */
  readonly gbp: boolean;
}
