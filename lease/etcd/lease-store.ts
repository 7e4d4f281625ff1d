/** Leases in etcd v3, in flannel's layout: real flannel and this program can share a network. */
import type { Clock, Random } from '../../src/core/clock.ts';
import { systemClock } from '../../src/core/clock.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import { leaseKey } from '../lease-key.ts';
import type { LeaseStore } from '../lease-store.ts';
import { type AcquireContext, acquireLease, listEntries } from './acquire.ts';
import { absent, removal } from './claim.ts';
import { createEtcdClient, type EtcdClient } from './client.ts';
import { createEntryReader } from './entries.ts';
import { createGrantPool } from './holding.ts';
import { createEtcdKeys, subnetKeyPart } from './keys.ts';
import type { EtcdConnectionOptions } from './options.ts';
import { renewLease } from './renew.ts';
import { toLeaseList, watchAllLeases, watchOwnLease } from './watches.ts';

export interface EtcdStoreOptions extends EtcdConnectionOptions {
  /** `--etcd-prefix`; flannel's default is `/coreos.com/network`. */
  readonly prefix: string;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Longest time a method waits for etcd, milliseconds; default 10 s. */
  readonly deadlineMs?: number;
  /** Pause between full reads while all leases are watched, milliseconds; default 10 minutes. */
  readonly relistMs?: number;
  /** Name of this client in etcd's log; default `flannel-vpc`. */
  readonly userAgent?: string;
  /** A client to share, instead of one made from the options above; `close` leaves it open. */
  readonly client?: EtcdClient;
}

const defaultRelistMs = 10 * 60_000;

/**
 * Makes the store. Nothing is sent before the first call.
 *
 * @throws CONFIG_INVALID for endpoints or certificate files that can't be used.
 */
export function createEtcdLeaseStore(options: EtcdStoreOptions): LeaseStore {
  const { logger = silentLogger, clock = systemClock, random = Math.random, relistMs = defaultRelistMs } = options;
  const keys = createEtcdKeys(options.prefix);
  const client = options.client ?? createEtcdClient({ ...options, clock, random });
  const context: AcquireContext = {
    ...{ client, keys, clock, random, logger },
    reader: createEntryReader({ keys, logger }),
    holdings: new Map(),
    grants: createGrantPool(client, clock),
  };
  return {
    description: `etcd ${client.description}, prefix ${keys.prefix}`,
    async readNetConf(signal) {
      const answer = await client.range({ key: Buffer.from(keys.config) }, 'read net-conf', signal);
      const kv = answer.kvs[0];
      return kv && { text: kv.value.toString(), revision: kv.mod_revision };
    },
    acquire: (request, signal) => acquireLease(context, request, signal),
    renew: (lease, signal) => renewLease(context, lease, signal),
    watchOwn: (lease, signal) => watchOwnLease(context, lease, signal),
    list: async (signal) => toLeaseList(await listEntries(context, signal)),
    watch: (signal) => watchAllLeases(context, { relistMs }, signal),
    async release(subnets, signal) {
      const key = `${keys.subnets}${subnetKeyPart(subnets)}`;
      const answer = await client.txn(
        { compare: [absent(Buffer.from(key))], failure: [...removal(keys, { key, subnets })] },
        `release ${leaseKey(subnets)}`,
        signal,
      );
      context.holdings.delete(leaseKey(subnets));
      return !answer.succeeded;
    },
    async close() {
      if (!options.client) client.close();
    },
  };
}
