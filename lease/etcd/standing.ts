/** A lease and what its node says of itself, as they stand at one moment; and how both end. */
import type { IKeyValue, IRequestOp } from 'etcd3';
import type { Cidr, PerFamily } from '../../src/core/ip.ts';
import { leaseKey } from '../lease-key.ts';
import type { LeaseEntry } from './entries.ts';
import { claimKeyOf, type EtcdKeys, leaseKeyOf, reportKeyOf, subnetKeyPart } from './keys.ts';
import { deleteIfOp, deleteOp, oneKey, readOp } from './operations.ts';
import type { EtcdParts } from './parts.ts';

export interface StandingLease {
  readonly entry: LeaseEntry;
  /** Revision at which the key was made; puts over it leave that as it is. */
  readonly madeAt: string;
}

export interface Standing {
  readonly lease: StandingLease | undefined;
  readonly report: IKeyValue | undefined;
}

/** Reads both in one call. */
export async function readStanding(
  { client, keys, reader }: Pick<EtcdParts, 'client' | 'keys' | 'reader'>,
  subnets: PerFamily<Cidr>,
  signal: AbortSignal,
): Promise<Standing> {
  const wanted = [leaseKeyOf(keys, subnets), reportKeyOf(keys, subnets)];
  const success = wanted.map((key) => readOp(oneKey(key)));
  const answer = await client.txn({ compare: [], success, failure: [] }, `read ${leaseKey(subnets)}`, signal);
  const [lease, report] = answer.responses.map((response) => response.response_range.kvs[0]);
  const entry = lease && reader.read(lease);
  return { lease: lease && entry && { entry, madeAt: lease.create_revision }, report };
}

/** True for a report that was made for this very lease, and not for a former one of the same subnets. */
export function isReportOf(report: Pick<IKeyValue, 'mod_revision'>, madeAt: string): boolean {
  return BigInt(report.mod_revision) > BigInt(madeAt);
}

/**
 * Deletes the lease with what hangs on it. On an etcd lease all of that ends by itself, but a day later; what belongs to a reservation
 * would stay for ever.
 */
export function endLeaseOps(keys: EtcdKeys, subnets: PerFamily<Cidr>): readonly IRequestOp[] {
  return [
    deleteOp(leaseKeyOf(keys, subnets)),
    deleteOp(reportKeyOf(keys, subnets)),
    ...(subnets[6] ? [deleteIfOp(claimKeyOf(keys, subnets[6]), subnetKeyPart(subnets))] : []),
  ];
}
