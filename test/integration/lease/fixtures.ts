/** Short words for leases in tests. */

import type { LeaseAttributes, NodeIdentity, SubnetRange } from '../../../lease/lease.ts';
import type { LeaseRequest } from '../../../lease/lease-store.ts';
import { type Cidr, families, type PerFamily } from '../../../src/core/ip.ts';
import { cidr, ip } from '../../support/addresses.ts';

export { cidr, ip } from '../../support/addresses.ts';

/** `subnets('10.5.1.0/24', 'fd00:1::/64')`, in any order. */
export function subnets(...texts: readonly string[]): PerFamily<Cidr> {
  return Object.fromEntries(texts.map(cidr).map((subnet) => [subnet.family, subnet]));
}

/** Subnets of `length` bits from the one at `first` to the one at `last`, both leasable. */
export function range(network: string, length: number, first: string, last: string): SubnetRange {
  return { network: cidr(network), subnetLength: length, subnetMin: ip(first), subnetMax: ip(last) };
}

export function ranges(...list: readonly SubnetRange[]): PerFamily<SubnetRange> {
  return Object.fromEntries(
    families.flatMap((family) => list.filter((one) => one.network.family === family).map((one) => [family, one])),
  );
}

/** 10.5.1.0/24 to 10.5.255.0/24: flannel's defaults for a /16. */
export const wide = range('10.5.0.0/16', 24, '10.5.1.0', '10.5.255.0');
/** Four subnets: 10.6.0.0/26, .64, .128 and .192. */
export const four = range('10.6.0.0/24', 26, '10.6.0.0', '10.6.0.192');
/** Four IPv6 subnets: fd00:6::/64 to fd00:6:0:3::/64. */
export const four6 = range('fd00:6::/62', 64, 'fd00:6::', 'fd00:6:0:3::');

/** Attributes of a node at this address, or these of different families. */
export function attributes(addresses: string | readonly string[], node?: NodeIdentity): LeaseAttributes {
  const publicIps = Object.fromEntries(
    [addresses]
      .flat()
      .map(ip)
      .map((address) => [address.family, address]),
  );
  return { publicIps, backendType: '', backendData: {}, ...(node ? { node } : {}) };
}

/** A request of the node at that address, from the given ranges. */
export function request(addresses: string | readonly string[], more: Partial<LeaseRequest> = {}): LeaseRequest {
  return {
    ranges: ranges(wide),
    attributes: attributes(addresses),
    previous: {},
    publicIpConfirmed: true,
    ttlSeconds: 86_400,
    ...more,
  };
}

/** A signal that nobody fires. */
export const never = new AbortController().signal;

/** The next values of a stream, taken by hand. */
export function reader<T>(stream: AsyncIterable<T>): { next(): Promise<T>; end(): Promise<void> } {
  const iterator = stream[Symbol.asyncIterator]();
  return {
    async next() {
      const { done, value } = await iterator.next();
      if (done) throw new Error('the stream ended');
      return value;
    },
    async end() {
      await iterator.return?.();
    },
  };
}
