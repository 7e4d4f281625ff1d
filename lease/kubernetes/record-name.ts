/** The name of a route's record: one for each destination and table, and fit for a Kubernetes object (RFC 1123 subdomain). */
import { createHash } from 'node:crypto';
import { formatIp, networkAddress } from '../../src/core/ip.ts';
import type { OwnershipRecord } from '../ownership-store.ts';

/** `10.244.7.0-24.rtb-0ab`; IPv6 in hexadecimal; a table id that is no such name by its hash. */
export function recordName({ tableId, destination }: Pick<OwnershipRecord, 'tableId' | 'destination'>): string {
  const { family, address, length } = destination;
  const network = family === 4 ? formatIp(networkAddress(destination)) : address.toString(16).padStart(32, '0');
  const table = /^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?$/.test(tableId)
    ? tableId
    : `x${createHash('sha256').update(tableId).digest('hex').slice(0, 24)}`;
  return `${network}-${length}.${table}`;
}
