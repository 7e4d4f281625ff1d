/**
 * Records of our routes, at `<prefix>/flannel-vpc/routes/10.5.42.0-24/rtb-1`: outside of everything that begins with
 * `<prefix>/subnets`, which flannel would read as leases.
 */
import type { ICompare } from 'etcd3';
import { backoffMs } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, formatCidr, sameCidr } from '../../src/core/ip.ts';
import type { Lease } from '../lease.ts';
import { microTime } from '../micro-time.ts';
import {
  type ClaimResult,
  lastRemovalUnderWay,
  type OwnershipRecord,
  type OwnershipStore,
  type StoredOwnershipRecord,
} from '../ownership-store.ts';
import { listEntries } from './acquire.ts';
import type { EtcdClient } from './client.ts';
import { fencedTransactions } from './fence.ts';
import { leaseKeyOf } from './keys.ts';
import {
  deleteOp,
  ifAbsent,
  ifNothingNew,
  ifUnchanged,
  oneKey,
  prefixRange,
  putOp,
  rangeAfter,
  rangeBefore,
  readOp,
} from './operations.ts';
import { encodeRecord, readRecord, recordKey } from './ownership-record.ts';
import type { EtcdParts } from './parts.ts';

/** etcd takes 128 operations in a transaction unless told otherwise; more records go in several. */
const recordsPerTransaction = 100;
/** How often records may change under our hands within one call. */
const maxTries = 8;

/** What stands at a record's key. No record where it can't be read: nobody's, and may be written over. */
interface Standing {
  readonly modRevision: string;
  readonly record: StoredOwnershipRecord | undefined;
}

/** The record store over a connection that is there. `transact` carries every write. */
export function createEtcdOwnershipStore(
  parts: EtcdParts,
  transact: EtcdClient['txn'] = parts.client.txn,
): OwnershipStore {
  const { client, keys, clock, random } = parts;

  /** One transaction where nothing or only equal records stand, two where some are replaced. */
  async function claimBatch(records: readonly OwnershipRecord[], signal: AbortSignal): Promise<ClaimResult> {
    let found: ReadonlyMap<string, Standing> = new Map();
    for (let tries = 0; tries < maxTries; tries++) {
      if (tries > 1) await clock.sleep(backoffMs(tries - 2, 20, 1_000, random), signal);
      const writes = records.filter((record) => !stands(found.get(recordKey(keys, record))?.record, record));
      if (writes.length === 0) return { kind: 'claimed', previous: [] };
      const answer = await transact(
        {
          compare: records.map((record) => {
            const key = recordKey(keys, record);
            const standing = found.get(key);
            return standing ? ifUnchanged(key, standing.modRevision) : ifAbsent(oneKey(key));
          }),
          success: writes.map((record) => putOp(recordKey(keys, record), encodeRecord(record), '0')),
          failure: records.map((record) => readOp(oneKey(recordKey(keys, record)))),
        },
        'record our routes',
        signal,
      );
      if (answer.succeeded) {
        const previous = writes
          .map((record) => found.get(recordKey(keys, record))?.record)
          .filter((record) => record !== undefined);
        return { kind: 'claimed', previous };
      }
      const kvs = answer.responses.flatMap((response) => response.response_range.kvs);
      found = new Map(
        kvs.map((kv) => [kv.key.toString(), { modRevision: kv.mod_revision, record: readRecord(keys, kv) }]),
      );
      const marked = [...found.values()].map(({ record }) => record);
      const until = lastRemovalUnderWay(marked, clock.now());
      if (until !== undefined) return { kind: 'removing', until };
    }
    throw new FlannelVpcError('CONFLICT', 'the records of our routes change all the time');
  }

  /**
   * Compares that hold while no lease of the destination exists but the ended one, if that is given and still as it was; undefined
   * when they can't. An IPv6 subnet stands at the end of its lease's key, where no range finds it: all leases are read, and none may
   * have been made since.
   */
  async function comparesForNoLease(
    destination: Cidr,
    ended: Lease | undefined,
    signal: AbortSignal,
  ): Promise<readonly ICompare[] | undefined> {
    const endedKey = ended && leaseKeyOf(keys, ended.subnets);
    const asGiven = ended && endedKey !== undefined ? [ifUnchanged(endedKey, ended.revision)] : [];
    if (destination.family === 4) {
      const lease = leaseKeyOf(keys, { 4: destination });
      const dual = `${lease}&`;
      const alone = endedKey === lease ? [] : [ifAbsent(oneKey(lease))];
      if (!endedKey?.startsWith(dual)) return [...asGiven, ...alone, ifAbsent(prefixRange(dual))];
      return [...asGiven, ...alone, ifAbsent(rangeBefore(dual, endedKey)), ifAbsent(rangeAfter(dual, endedKey))];
    }
    const list = await listEntries(parts, signal);
    const others = list.entries.filter((entry) => entry.key !== endedKey);
    const leased = others.some((entry) => entry.subnets[6] && sameCidr(entry.subnets[6], destination));
    return leased ? undefined : [...asGiven, ifNothingNew(prefixRange(keys.subnets), list.revision)];
  }

  return {
    async claim(records, signal) {
      const previous: StoredOwnershipRecord[] = [];
      for (let first = 0; first < records.length; first += recordsPerTransaction) {
        const result = await claimBatch(records.slice(first, first + recordsPerTransaction), signal);
        if (result.kind === 'removing') return result;
        previous.push(...result.previous);
      }
      return { kind: 'claimed', previous };
    },
    async list(signal) {
      const answer = await client.range(prefixRange(keys.routes), 'list the records of our routes', signal);
      return answer.kvs.flatMap((kv) => {
        const record = readRecord(keys, kv);
        if (!record) parts.reader.logOnce(kv, 'it is no record of a route');
        return record ?? [];
      });
    },
    async beginRemoval(record, until, signal, ended) {
      const key = recordKey(keys, record);
      const mark = { ...record, removingUntil: microTime(until, random) };
      const value = encodeRecord(mark);
      for (let tries = 0; tries < maxTries; tries++) {
        if (tries > 0) await clock.sleep(backoffMs(tries - 1, 20, 1_000, random), signal);
        const noLease = await comparesForNoLease(record.destination, ended, signal);
        if (!noLease) return undefined;
        const answer = await transact(
          {
            compare: [ifUnchanged(key, record.revision), ...noLease],
            success: [putOp(key, value, '0')],
            failure: [readOp(oneKey(key))],
          },
          `mark the route of ${formatCidr(record.destination)} as being removed`,
          signal,
        );
        if (answer.succeeded) return { ...mark, revision: answer.header.revision };
        const standing = answer.responses[0]?.response_range.kvs[0];
        // Ours, where the transaction was sent twice.
        if (standing?.value.toString() === value) return { ...mark, revision: standing.mod_revision };
        const same = standing?.mod_revision === record.revision;
        // IPv4: the compares were exact. IPv6: any new lease fails them, so look again.
        if (!same || record.destination.family === 4) return undefined;
      }
      return undefined;
    },
    async finishRemoval(record, signal) {
      const key = recordKey(keys, record);
      await transact(
        { compare: [ifUnchanged(key, record.revision)], success: [deleteOp(key)], failure: [] },
        `forget the route of ${formatCidr(record.destination)}`,
        signal,
      );
    },
    async cancelRemoval({ removingUntil: _, ...record }, signal) {
      const key = recordKey(keys, record);
      await transact(
        { compare: [ifUnchanged(key, record.revision)], success: [putOp(key, encodeRecord(record), '0')], failure: [] },
        `keep the record of ${formatCidr(record.destination)}`,
        signal,
      );
    },
    fenced: ({ token }) => createEtcdOwnershipStore(parts, fencedTransactions(parts, token)),
  };
}

function stands(standing: StoredOwnershipRecord | undefined, wanted: OwnershipRecord): boolean {
  return (
    standing?.target === wanted.target && standing.holder === wanted.holder && standing.removingUntil === undefined
  );
}
