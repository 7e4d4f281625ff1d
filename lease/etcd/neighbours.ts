/** A few leases next to one: two bounded reads, however large the network is. */
import type { Cidr, PerFamily } from '../../src/core/ip.ts';
import type { Lease } from '../lease.ts';
import { leaseKeyOf } from './keys.ts';
import { rangeAfter, rangeBefore } from './operations.ts';
import type { EtcdParts } from './parts.ts';

/** See `LeaseStore.neighbours`. Keys that are no lease count towards the limit of a read, so that fewer may come. */
export async function neighboursOf(
  { client, keys, reader }: Pick<EtcdParts, 'client' | 'keys' | 'reader'>,
  after: PerFamily<Cidr>,
  limit: number,
  signal: AbortSignal,
): Promise<readonly Lease[]> {
  const key = leaseKeyOf(keys, after);
  const found: Lease[] = [];
  for (const range of [rangeAfter(keys.subnets, key), rangeBefore(keys.subnets, key)]) {
    const left = Math.floor(limit) - found.length;
    // To etcd a limit of zero is none.
    if (left < 1) break;
    const answer = await client.range({ ...range, limit: left }, 'read the leases next to ours', signal);
    found.push(...answer.kvs.map((kv) => reader.read(kv)?.lease).filter((lease) => lease !== undefined));
  }
  return found;
}
