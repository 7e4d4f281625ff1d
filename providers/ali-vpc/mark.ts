/** Our mark on a route entry: its name says whose it is, its description of which pod network. Pure. */
import { type Cidr, cidrContains, formatCidr } from '../../src/core/ip.ts';

/** 1 to 128 characters, not beginning with http:// or https:// (CreateRouteEntry). */
export const markName = 'flannel-vpc';

/** The description of an entry for the destination; 1 to 256 characters. */
export function markDescription(destination: Cidr, networks: readonly Cidr[]): string {
  const network = networks.find((each) => cidrContains(each, destination));
  return network === undefined ? 'pod network' : `pod network ${formatCidr(network)}`;
}

/** Whether an entry carries our mark for one of the pod networks; another cluster's has another description. */
export function isMarked(
  entry: { readonly name: string | undefined; readonly description: string | undefined; readonly destination: Cidr },
  networks: readonly Cidr[],
): boolean {
  return entry.name === markName && entry.description === markDescription(entry.destination, networks);
}
