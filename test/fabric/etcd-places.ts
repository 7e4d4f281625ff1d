/** Where things stand in etcd below flannel's default prefix, as tests look at them from outside. */

export const leasePrefix = '/coreos.com/network/subnets/';
export const recordPrefix = '/coreos.com/network/flannel-vpc/routes/';
export const reportPrefix = '/coreos.com/network/flannel-vpc/nodes/';

/** Key of the lease of a subnet such as `10.244.7.0/24`. */
export function leaseKeyOf(subnet: string): string {
  return `${leasePrefix}${subnet.replace('/', '-')}`;
}

/** The subnet of such a key. */
export function subnetOfKey(key: string): string {
  return key.slice(leasePrefix.length).replace('-', '/');
}

/** Prefix of the records of a subnet's routes, one for each table. */
export function recordsOf(subnet: string): string {
  return `${recordPrefix}${subnet.replace('/', '-')}/`;
}
