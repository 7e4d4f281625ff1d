/** Keys of etcd read as leases. */
import { createHash } from 'node:crypto';
import type { IKeyValue, IRangeResponse } from 'etcd3';
import type { Clock } from '../../src/core/clock.ts';
import type { Logger } from '../../src/core/log.ts';
import type { Occupant } from '../selection.ts';
import { type EtcdKeys, parseSubnetKey } from './keys.ts';
import { decodeLeaseValue, isUnreadable } from './value.ts';

/** One key below `subnets/` that names subnets. */
export interface LeaseEntry extends Occupant {
  readonly key: string;
  readonly value: string;
  /** Revision of the last change of this key; decimal text. */
  readonly modRevision: string;
  /** Id of the etcd lease it ends with; '0' for none, a reservation. */
  readonly etcdLease: string;
}

/** All leases at one revision, in byte order of their keys. */
export interface EntryList {
  readonly entries: readonly LeaseEntry[];
  readonly revision: string;
  readonly storeId: string;
}

export interface EntryReader {
  /** Undefined when the key names no subnets. The entry has no lease when its value can't be read. */
  read(kv: IKeyValue): LeaseEntry | undefined;
  readAll(response: IRangeResponse): EntryList;
  /** Says of a key that it is ignored and why, once for each version of it, and not of more than some in a minute. */
  logOnce(kv: IKeyValue, problem: string): void;
}

/** How many oddities are remembered as logged; beyond that they may be logged again. */
const rememberedOddities = 1_000;
/** Most lines about oddities in a minute: whoever may write to etcd could fill this node's disk otherwise. */
const linesPerMinute = 10;
const minuteMs = 60_000;
/** What is shown of a key, characters: etcd takes keys of a megabyte. */
const longestKey = 200;

/** A reader that logs what it can't read, once each. */
export function createEntryReader(options: {
  readonly keys: EtcdKeys;
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'monotonic'>;
}): EntryReader {
  const logged = new Set<string>();
  let minute = { since: Number.NEGATIVE_INFINITY, lines: 0, unsaid: 0 };

  function logOnce(kv: IKeyValue, problem: string): void {
    const key = kv.key.toString();
    const oddity = `${createHash('sha256').update(kv.key).digest('base64')}@${kv.mod_revision}`;
    if (logged.has(oddity)) return;
    if (logged.size >= rememberedOddities) logged.clear();
    logged.add(oddity);
    const now = options.clock.monotonic();
    if (now - minute.since >= minuteMs) {
      if (minute.unsaid > 0) options.logger.warn('ignored more keys in etcd than are named', { more: minute.unsaid });
      minute = { since: now, lines: 0, unsaid: 0 };
    }
    minute.lines += 1;
    if (minute.lines > linesPerMinute) minute.unsaid += 1;
    else options.logger.warn('ignoring a key in etcd', { key: shortened(key), problem });
  }

  function read(kv: IKeyValue): LeaseEntry | undefined {
    const key = kv.key.toString();
    const subnets = parseSubnetKey(key);
    if (!subnets) {
      logOnce(kv, 'its name is not like 10.5.42.0-24');
      return undefined;
    }
    const value = kv.value.toString();
    const attributes = decodeLeaseValue(value);
    const entry = { key, subnets, value, modRevision: kv.mod_revision, etcdLease: kv.lease };
    if (isUnreadable(attributes)) {
      logOnce(kv, attributes.problem);
      return { ...entry, lease: undefined };
    }
    return { ...entry, lease: { subnets, attributes, reserved: kv.lease === '0', revision: kv.mod_revision } };
  }
  return {
    logOnce,
    read,
    readAll: (response) => ({
      entries: response.kvs.map(read).filter((entry) => entry !== undefined),
      revision: response.header.revision,
      storeId: response.header.cluster_id,
    }),
  };
}

function shortened(key: string): string {
  return key.length > longestKey ? `${key.slice(0, longestKey)}…` : key;
}
