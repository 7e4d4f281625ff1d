/** Leases in etcd v3, in flannel's layout: real flannel and this program can share a network. */
import { leaseKey } from '../lease-key.ts';
import type { LeaseStore } from '../lease-store.ts';
import { type AcquireContext, acquireLease, listEntries } from './acquire.ts';
import { absent, removal } from './claim.ts';
import { createGrantPool } from './holding.ts';
import { subnetKeyPart } from './keys.ts';
import type { EtcdParts } from './parts.ts';
import { renewLease } from './renew.ts';
import { toLeaseList, watchAllLeases, type WatchAllOptions, watchOwnLease } from './watches.ts';

/** The lease store over a connection that is there. */
export function createEtcdLeaseStore(parts: EtcdParts, options: WatchAllOptions): LeaseStore {
  const { client, keys } = parts;
  const context: AcquireContext = { ...parts, holdings: new Map(), grants: createGrantPool(client, parts.clock) };
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
    watch: (signal) => watchAllLeases(context, options, signal),
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
      client.close();
    },
  };
}
