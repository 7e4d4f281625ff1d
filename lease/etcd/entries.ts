/** Keys of etcd read as leases. */
import type { IKeyValue, IRangeResponse } from 'etcd3';
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
  /** Says of a key that it is ignored and why, once for each version of it. */
  logOnce(kv: IKeyValue, problem: string): void;
}

/** How many oddities are remembered as logged; beyond that they may be logged again. */
const rememberedOddities = 1_000;

/** A reader that logs what it can't read, once each. */
export function createEntryReader(options: { readonly keys: EtcdKeys; readonly logger: Logger }): EntryReader {
  const logged = new Set<string>();
  function logOnce(kv: IKeyValue, problem: string): void {
    const key = kv.key.toString();
    const oddity = `${key}@${kv.mod_revision}`;
    if (logged.has(oddity)) return;
    if (logged.size >= rememberedOddities) logged.clear();
    logged.add(oddity);
    options.logger.warn('ignoring a key in etcd', { key, problem });
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
