/** A lease in words. */
import type { Lease } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import { families, formatIp } from '../core/ip.ts';
import { printable } from './paint.ts';

/** `10.244.7.0/24 of i-07 (ip-10-0-1-7, 10.0.1.7), reserved`. */
export function describeLease(lease: Lease): string {
  const { node, backendType } = lease.attributes;
  const addresses = families.flatMap((family) => lease.attributes.publicIps[family] ?? []).map(formatIp);
  const known = [node?.instanceId, node?.nodeName, ...addresses].filter((word) => word !== undefined && word !== '');
  const [first, ...rest] = known;
  const holder =
    first === undefined
      ? 'of a node without an address'
      : `of ${first}${rest.length > 0 ? ` (${rest.join(', ')})` : ''}`;
  const backend = backendType === '' ? '' : `, ${backendType}`;
  return printable(`${leaseKey(lease.subnets)} ${holder}${backend}${lease.reserved ? ', reserved' : ''}`);
}
