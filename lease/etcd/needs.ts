/** What a call does to which keys, in the words of a role's permissions: for a user whom etcd refuses without saying which was missing. */
import type { IRangeRequest, IRequestOp, ITxnRequest } from 'etcd3';

type Range = Pick<IRangeRequest, 'key' | 'range_end'>;

/** Such as `read /coreos.com/network/config, readwrite /coreos.com/network/subnets/`. */
export function needsOfRange({ key }: Range): string {
  return describe(new Set([place(key)]), new Set());
}

/**
 * The same for a transaction: etcd asks for the rights of both branches. A folder that is written to counts as read too: what we write, we
 * compare or read first.
 */
export function needsOfTxn(request: ITxnRequest): string {
  const reads = new Set<string>();
  const writes = new Set<string>();
  collect(request, reads, writes);
  return describe(reads, writes);
}

function collect(request: ITxnRequest, reads: Set<string>, writes: Set<string>): void {
  for (const { key } of request.compare ?? []) reads.add(place(key));
  for (const each of [...(request.success ?? []), ...(request.failure ?? [])] as readonly IRequestOp[]) {
    if (each.request_range) reads.add(place(each.request_range.key));
    if (each.request_put) writes.add(place(each.request_put.key));
    if (each.request_delete_range) writes.add(place(each.request_delete_range.key));
    if (each.request_txn) collect(each.request_txn, reads, writes);
  }
}

function describe(reads: ReadonlySet<string>, writes: ReadonlySet<string>): string {
  return [
    ...[...reads].filter((key) => !writes.has(key)).map((key) => `read ${key}`),
    ...[...writes].map((key) => `readwrite ${key}`),
  ].join(', ');
}

/** The folder a key is in where roles name it by a prefix (`keys.ts`), else the key. */
function place(key: string | Buffer | undefined): string {
  const text = key?.toString() ?? '';
  return /^.*\/(?:subnets|claims|routes|nodes)\//.exec(text)?.[0] ?? text;
}
