/**
 * Claiming one of several subnets in one transaction: "if nothing stands in the way of the first, put it; else if nothing stands in
 * the way of the second, put that; ...; else say what is there". So a node that joins together with hundreds of others nearly always
 * has its lease after one transaction.
 *
 * The subnets were chosen as free from a list of leases, so only what appeared after it can stand in the way:
 * - IPv4: a lease whose key begins with the IPv4 subnet, whatever its IPv6 half.
 * - IPv6: a key of ours, `<prefix>/flannel-vpc/claims/<subnet>`, put together with each lease, since no range of lease keys holds
 *   exactly those with one IPv6 half. An older one is left over from a lease that has gone; it ends with its etcd lease.
 * - The same for the other lengths that the list has.
 */
import type { ICompare, IRequestOp, ITxnRequest, ITxnResponse } from 'etcd3';
import { type Cidr, cidrOf, formatIp, networkAddress, type PerFamily } from '../../src/core/ip.ts';
import { netConfChanged } from '../failures.ts';
import { subnetsOf } from '../lease-key.ts';
import type { EntryList, LeaseEntry } from './entries.ts';
import { claimKeyOf, type EtcdKeys, leaseKeyOf, subnetKeyPart } from './keys.ts';
import {
  deleteOp,
  ifNothingNew,
  ifNothingPut,
  ifUnchanged,
  type KeyRange,
  oneKey,
  prefixRange,
  putOp,
  readOp,
  unlessOn,
} from './operations.ts';
import type { EtcdParts } from './parts.ts';

export interface ClaimRequest<C extends { readonly subnets: PerFamily<Cidr> }> {
  /** Best first; at least one. */
  readonly candidates: readonly C[];
  readonly value: string;
  /** The etcd lease to live on; '0' for a reservation, which never ends. */
  readonly etcdLease: string;
  /** What the candidates were chosen from. */
  readonly list: EntryList;
  /** Leases to delete in the same step. */
  readonly removes: readonly LeaseEntry[];
  /** See `LeaseRequest`. */
  readonly netConfRevision?: string | undefined;
}

export type ClaimOutcome<C> =
  | { readonly kind: 'claimed'; readonly candidate: C; readonly key: string; readonly revision: string }
  /** Nothing was written. The list is what stands there now, read in the same transaction. */
  | { readonly kind: 'lost'; readonly list: EntryList };

/** Tries to make the lease. Sent twice it claims once. Throws CONFLICT when net-conf has changed. */
export async function claimSubnets<C extends { readonly subnets: PerFamily<Cidr> }>(
  parts: Pick<EtcdParts, 'client' | 'keys' | 'reader'>,
  request: ClaimRequest<C>,
  signal: AbortSignal,
): Promise<ClaimOutcome<C>> {
  const { client, keys, reader } = parts;
  const answer = await client.txn(claimTransaction(keys, request), 'claim a subnet', signal);
  const netConf = answer.responses[1]?.response_range?.kvs[0];
  if (!answer.succeeded && request.netConfRevision !== undefined && netConf?.mod_revision !== request.netConfRevision) {
    throw netConfChanged();
  }
  // Walks down the else-branches to the candidate that was put, or to the list.
  let branch: ITxnResponse = answer;
  for (const candidate of request.candidates) {
    const inner = branch.responses[0]?.response_txn;
    if (!inner) break;
    if (inner.succeeded) {
      return { kind: 'claimed', candidate, key: leaseKeyOf(keys, candidate.subnets), revision: answer.header.revision };
    }
    branch = inner;
  }
  const found = branch.responses[0]?.response_range;
  if (!found) throw new Error('etcd answered a claim without its list');
  return { kind: 'lost', list: reader.readAll({ ...found, header: answer.header }) };
}

function claimTransaction(keys: EtcdKeys, request: ClaimRequest<{ readonly subnets: PerFamily<Cidr> }>): ITxnRequest {
  const { candidates, value, etcdLease, list, removes, netConfRevision } = request;
  const elseRead = [readOp(prefixRange(keys.subnets))];
  const tries = candidates.reduceRight<IRequestOp[]>((otherwise, { subnets }) => {
    const key = leaseKeyOf(keys, subnets);
    const success = [
      ...removes.filter((entry) => entry.key !== key).map((entry) => deleteOp(entry.key)),
      putOp(key, value, etcdLease),
      ...(subnets[6] ? [putOp(claimKeyOf(keys, subnets[6]), subnetKeyPart(subnets), etcdLease)] : []),
    ];
    return [{ request_txn: { compare: ifNothingInTheWay(keys, subnets, request), success, failure: otherwise } }];
  }, elseRead);
  return {
    compare: [
      // A copy of this very transaction may have been carried out before, its answer lost. Without an etcd lease nothing tells the
      // copy from others (nor from nothing); it then loses, and finds its own reservation in the list.
      ...(etcdLease === '0' ? [] : candidates.map(({ subnets }) => unlessOn(leaseKeyOf(keys, subnets), etcdLease))),
      ...removes.map((entry) => ifNothingPut(oneKey(entry.key), list.revision)),
      ...(netConfRevision === undefined ? [] : [ifUnchanged(keys.config, netConfRevision)]),
    ],
    success: tries,
    failure: [...elseRead, readOp(oneKey(keys.config))],
  };
}

/** More shorter lengths than this in one network, and any new lease counts as standing in the way: etcd limits the operations. */
const maxShorterLengths = 3;

function ifNothingInTheWay(
  keys: EtcdKeys,
  subnets: PerFamily<Cidr>,
  { list, removes }: Pick<ClaimRequest<never>, 'list' | 'removes'>,
): ICompare[] {
  const { revision } = list;
  const others = list.entries.filter((entry) => !removes.includes(entry));
  const compares = subnetsOf(subnets).flatMap((subnet) => {
    const lengths = new Set(others.map((entry) => entry.subnets[subnet.family]?.length ?? subnet.length));
    const shorter = [...lengths].filter((length) => length < subnet.length);
    if (shorter.length > maxShorterLengths) return [ifNothingNew(prefixRange(keys.subnets), revision)];
    const longer = [...lengths].some((length) => length > subnet.length);
    return [
      ...[subnet.length, ...shorter].flatMap((length) =>
        ifNoLeaseOf(keys, cidrOf(networkAddress(subnet), length), revision),
      ),
      ...(longer ? [ifNothingNew(rangeAround(keys, subnet), revision)] : []),
    ];
  });
  return subnets[4] ? compares : [ifNothingNew(oneKey(leaseKeyOf(keys, subnets)), revision), ...compares];
}

/** No lease of exactly this subnet, alone or as a half. */
function ifNoLeaseOf(keys: EtcdKeys, subnet: Cidr, revision: string): readonly ICompare[] {
  // Put over one that is left over, a claim is new all the same, so not its creation is compared.
  if (subnet.family === 6) return [ifNothingPut(oneKey(claimKeyOf(keys, subnet)), revision)];
  const key = leaseKeyOf(keys, { 4: subnet });
  return [ifNothingNew(oneKey(key), revision), ifNothingNew(prefixRange(`${key}&`), revision)];
}

/** Lease keys among which are all that lie within the subnet: from /24 on those of its /24, else simply all. */
function rangeAround(keys: EtcdKeys, subnet: Cidr): KeyRange {
  if (subnet.family === 6 || subnet.length < 24) return prefixRange(keys.subnets);
  const text = formatIp(networkAddress(subnet));
  return prefixRange(`${keys.subnets}${text.slice(0, text.lastIndexOf('.') + 1)}`);
}
