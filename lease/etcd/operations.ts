/** The few words of etcd's transactions that are used here. */
import type { ICompare, IRangeRequest, IRequestOp } from 'etcd3';

/** One key, or all keys from it up to but not including an end: what etcd takes wherever it takes keys. */
export interface KeyRange {
  readonly key: Buffer;
  readonly range_end?: Buffer;
}

export function oneKey(key: string): KeyRange {
  return { key: Buffer.from(key) };
}

/** All keys that begin with the prefix. */
export function prefixRange(prefix: string): KeyRange {
  const end = Buffer.from(prefix);
  const last = end.length - 1;
  // Our prefixes end in printable ASCII, so the last byte can always be raised by one.
  end[last] = (end[last] ?? 0) + 1;
  return { key: Buffer.from(prefix), range_end: end };
}

/** A put under an etcd lease ('0': none). */
export function putOp(key: string, value: string, etcdLease: string): IRequestOp {
  return { request_put: { key: Buffer.from(key), value: Buffer.from(value), lease: etcdLease } };
}

export function deleteOp(key: string): IRequestOp {
  return { request_delete_range: oneKey(key) };
}

/** Deletes the key if it still has this value. */
export function deleteIfOp(key: string, value: string): IRequestOp {
  const same: ICompare = { ...oneKey(key), target: 'Value', result: 'Equal', value: Buffer.from(value) };
  return { request_txn: { compare: [same], success: [deleteOp(key)], failure: [] } };
}

export function readOp(range: IRangeRequest): IRequestOp {
  return { request_range: range };
}

/** All keys of the folder that come after the key, in byte order. */
export function rangeAfter(prefix: string, key: string): KeyRange {
  const { range_end } = prefixRange(prefix);
  return { key: Buffer.from(`${key}\0`), ...(range_end ? { range_end } : {}) };
}

/** All keys of the folder that come before the key. */
export function rangeBefore(prefix: string, key: string): KeyRange {
  return { key: Buffer.from(prefix), range_end: Buffer.from(key) };
}

/** Holds while the key is the one made at this revision, however often it was put over since. */
export function ifMadeAt(key: string, createRevision: string): ICompare {
  return { ...oneKey(key), target: 'Create', result: 'Equal', create_revision: createRevision };
}

/** Holds when the key is still as it was read. */
export function ifUnchanged(key: string, modRevision: string): ICompare {
  return { ...oneKey(key), target: 'Mod', result: 'Equal', mod_revision: modRevision };
}

/** Holds when nothing is there: etcd compares an empty range as one key with zeros everywhere. */
export function ifAbsent(range: KeyRange): ICompare {
  return { ...range, target: 'Version', result: 'Equal', version: '0' };
}

/** Holds when no key was made after the revision. */
export function ifNothingNew(range: KeyRange, revision: string): ICompare {
  return { ...range, target: 'Create', result: 'Less', create_revision: (BigInt(revision) + 1n).toString() };
}

/** Holds when no key was put after the revision. A deletion goes unnoticed. */
export function ifNothingPut(range: KeyRange, revision: string): ICompare {
  return { ...range, target: 'Mod', result: 'Less', mod_revision: (BigInt(revision) + 1n).toString() };
}

/** Holds unless the key lives on this etcd lease. */
export function unlessOn(key: string, etcdLease: string): ICompare {
  return { ...oneKey(key), target: 'Lease', result: 'NotEqual', lease: etcdLease };
}
