/** A route of this node's kernel: what a backend without a cloud wants, and the host puts in place. */
import type { Cidr, Ip } from './ip.ts';

export interface GatewayRoute {
  readonly destination: Cidr;
  /** A neighbour on the device's link. */
  readonly gateway: Ip;
  /** Name of the interface. */
  readonly device: string;
}
