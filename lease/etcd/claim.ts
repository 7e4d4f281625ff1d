/**
 * Claiming subnets in one transaction.
 *
 * IPv4: the lease's key begins with the IPv4 subnet, so "no key begins so" is compared in etcd itself, whatever IPv6 halves are in
 * play. IPv6: a key of ours, `<prefix>/flannel-vpc/claims/<subnet>`, must not exist; it is written together with the lease, lives on
 * the same etcd lease and names the lease's key, so that one whose lease was deleted by hand is recognised and taken over.
 * Leases of another length: only the list shows them, so while there are any, the claim also demands that no lease was made
 * since the list was read.
 */
import type { ICompare, IKeyValue, IRequestOp } from 'etcd3';
import { type Cidr, families, type PerFamily } from '../../src/core/ip.ts';
import { subnetsOverlap } from '../lease-key.ts';
import type { EtcdClient } from './client.ts';
import type { EntryList, EntryReader, LeaseEntry } from './entries.ts';
import { cidrKeyPart, type EtcdKeys, leaseRangesOf, prefixRange, subnetKeyPart } from './keys.ts';

export interface ClaimRequest {
  readonly subnets: PerFamily<Cidr>;
  readonly value: string;
  /** The etcd lease to live on. */
  readonly etcdLease: string;
  /** What is known to be there. */
  readonly list: EntryList;
  /** Leases to delete in the same step. */
  readonly removes: readonly LeaseEntry[];
  /** An IPv6 claim seen in the way whose lease is gone. */
  readonly orphan: IKeyValue | undefined;
}

export type ClaimOutcome =
  | { readonly kind: 'claimed'; readonly key: string; readonly revision: string }
  | {
      readonly kind: 'lost';
      /** What stands there now, read in the same transaction. */
      readonly list: EntryList;
      /** An IPv6 claim whose lease is gone, to be passed to the next try for the same subnet. */
      readonly orphan: IKeyValue | undefined;
      /** True when nothing in the list explains the loss: this subnet can't be had, for a reason only its keys know. */
      readonly obstructed: boolean;
    };

export interface ClaimContext {
  readonly client: EtcdClient;
  readonly keys: EtcdKeys;
  readonly reader: EntryReader;
}

/** Tries to make the lease. Sent twice, it claims once: the second finds the first. */
export async function claimSubnets(context: ClaimContext, request: ClaimRequest, signal: AbortSignal): Promise<ClaimOutcome> {
  const { client, keys, reader } = context;
  const { subnets, list, removes, orphan } = request;
  const key = `${keys.subnets}${subnetKeyPart(subnets)}`;
  const claimKey = subnets[6] && `${keys.claims}${cidrKeyPart(subnets[6])}`;
  const otherLengths = hasOtherLengths(list, subnets, removes);
  const compare: ICompare[] = [
    ...(subnets[4]
      ? leaseRangesOf(keys, subnets[4], removes.map((entry) => entry.key)).map((range) => absent(range.start, range.end))
      : [absent(Buffer.from(key))]),
    ...removes.map((entry) => unchanged(entry.key, entry.modRevision)),
    ...(claimKey === undefined ? [] : claimCompare(context, claimKey, orphan, removes)),
    ...(otherLengths ? [nothingNewIn(keys, list.revision)] : []),
  ];
  const subnetRange = prefixRange(keys.subnets);
  const answer = await client.txn(
    {
      compare,
      success: [
        ...removes.flatMap((entry) => removal(keys, entry, claimKey)),
        putOf(key, request.value, request.etcdLease),
        ...(claimKey === undefined ? [] : [putOf(claimKey, subnetKeyPart(subnets), request.etcdLease)]),
      ],
      failure: [
        { request_range: { key: subnetRange.start, range_end: subnetRange.end } },
        ...(claimKey === undefined ? [] : [{ request_range: { key: Buffer.from(claimKey) } }]),
      ],
    },
    'claim a subnet',
    signal,
  );
  if (answer.succeeded) return { kind: 'claimed', key, revision: answer.header.revision };
  const [leases, claim] = answer.responses;
  if (!leases) throw new Error('etcd answered a transaction without its reads');
  const now = reader.readAll({ ...leases.response_range, header: answer.header });
  const inTheWay = claim?.response_range.kvs[0];
  const holder = inTheWay && `${keys.subnets}${inTheWay.value.toString()}`;
  const removed = new Set(removes.map((entry) => entry.key));
  const isOrphan = inTheWay !== undefined && !now.entries.some((entry) => entry.key === holder && !removed.has(entry.key));
  const changed = removes.some((entry) => !now.entries.some((e) => e.key === entry.key && e.modRevision === entry.modRevision));
  const explained = isOrphan || changed || otherLengths || overlapsList(now, subnets, removed);
  return { kind: 'lost', list: now, orphan: isOrphan ? inTheWay : undefined, obstructed: !explained };
}

/** Deletes a lease's key and its IPv6 claim, but for a claim that is written anew in the same transaction. */
export function removal(keys: EtcdKeys, entry: Pick<LeaseEntry, 'key' | 'subnets'>, rewrittenClaim?: string): readonly IRequestOp[] {
  const v6 = entry.subnets[6];
  const claim = v6 && `${keys.claims}${cidrKeyPart(v6)}`;
  return [
    { request_delete_range: { key: Buffer.from(entry.key) } },
    ...(claim === undefined || claim === rewrittenClaim ? [] : [{ request_delete_range: { key: Buffer.from(claim) } }]),
  ];
}

/** Holds when the key is still as it was read. */
export function unchanged(key: string, modRevision: string): ICompare {
  return { key: Buffer.from(key), target: 'Mod', result: 'Equal', mod_revision: modRevision };
}

/** Holds when there is no such key, or none in the range: etcd compares an empty range as a key of version 0. */
export function absent(start: Buffer, end?: Buffer): ICompare {
  return { key: start, ...(end ? { range_end: end } : {}), target: 'Version', result: 'Equal', version: '0' };
}

/** Holds when no lease was made after the revision. */
export function nothingNewIn(keys: EtcdKeys, revision: string): ICompare {
  const { start, end } = prefixRange(keys.subnets);
  return {
    key: start,
    range_end: end,
    target: 'Create',
    result: 'Less',
    create_revision: (BigInt(revision) + 1n).toString(),
  };
}

/** A put under an etcd lease ('0': none). */
export function putOf(key: string, value: string, etcdLease: string): IRequestOp {
  return { request_put: { key: Buffer.from(key), value: Buffer.from(value), lease: etcdLease } };
}

function claimCompare(
  { keys }: ClaimContext,
  claimKey: string,
  orphan: IKeyValue | undefined,
  removes: readonly LeaseEntry[],
): readonly ICompare[] {
  if (!orphan || orphan.key.toString() !== claimKey) return [absent(Buffer.from(claimKey))];
  const holder = `${keys.subnets}${orphan.value.toString()}`;
  const removedHere = removes.some((entry) => entry.key === holder);
  return [unchanged(claimKey, orphan.mod_revision), ...(removedHere ? [] : [absent(Buffer.from(holder))])];
}

function hasOtherLengths(list: EntryList, subnets: PerFamily<Cidr>, except: readonly LeaseEntry[]): boolean {
  return list.entries.some(
    (entry) =>
      !except.includes(entry) &&
    families.some((family) => {
      const theirs = entry.subnets[family];
      const ours = subnets[family];
      return theirs !== undefined && ours !== undefined && theirs.length !== ours.length;
    }),
  );
}

function overlapsList(list: EntryList, subnets: PerFamily<Cidr>, except: ReadonlySet<string>): boolean {
  return list.entries.some((entry) => !except.has(entry.key) && subnetsOverlap(entry.subnets, subnets));
}
