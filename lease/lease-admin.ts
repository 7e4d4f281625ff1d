/** What only operators and the controller do to leases and net-conf. Same promises and errors as `LeaseStore`. */
import type { Cidr, PerFamily } from '../src/core/ip.ts';
import type { Lease, LeaseAttributes } from './lease.ts';

export interface LeaseAdmin {
  /**
   * Ends this very lease: only if it is still as given (its `revision`). True when it was; false when it changed or was gone.
   */
  end(lease: Lease, signal: AbortSignal): Promise<boolean>;

  /**
   * Pins a subnet: a lease without an end. One that stands keeps its value and loses its TTL; a free one is made with these attributes.
   *
   * @returns the reservation. @throws NOT_FOUND for a free subnet without attributes. @throws CONFLICT where the subnet overlaps another lease, or is somebody else's than the attributes say.
   */
  reserve(subnets: PerFamily<Cidr>, attributes: LeaseAttributes | undefined, signal: AbortSignal): Promise<Lease>;

  /**
   * Stores net-conf, only while `expectedRevision` (undefined: none) is what stands.
   *
   * @returns its revision. @throws CONFLICT when another one stands.
   */
  writeNetConf(text: string, expectedRevision: string | undefined, signal: AbortSignal): Promise<string>;
}
