/** Whose lease is it? The one rule for matching a lease to a node, for every store. */
import { families, sameIp } from '../src/core/ip.ts';
import type { LeaseAttributes } from './lease.ts';

/**
 * What a lease is to a node:
 * - `ours`: same instance id; or same public address, and the lease names no instance (flannel wrote it, or an operator);
 * - `former`: our public address, but another instance's id (or an id where we give none). Whoever that was is gone if the
 *   address is really ours now, which only the metadata server, the cloud or the kernel can say;
 * - `other`: somebody else's.
 */
export type Kinship = 'ours' | 'former' | 'other';

/** Tells what the lease with these attributes is to the node with those. */
export function kinship(node: LeaseAttributes, lease: LeaseAttributes): Kinship {
  const mine = node.node?.instanceId;
  const theirs = lease.node?.instanceId;
  if (mine !== undefined && mine === theirs) return 'ours';
  if (!samePublicIp(node, lease)) return 'other';
  return theirs === undefined ? 'ours' : 'former';
}

/**
 * IPv4 decides where both have one, as in flannel; IPv6 otherwise. flannel compares IPv4 alone, and so takes every IPv6-only
 * lease (public IP 0.0.0.0) for its own.
 */
export function samePublicIp(a: LeaseAttributes, b: LeaseAttributes): boolean {
  for (const family of families) {
    const left = a.publicIps[family];
    const right = b.publicIps[family];
    if (left && right) return sameIp(left, right);
  }
  return false;
}
