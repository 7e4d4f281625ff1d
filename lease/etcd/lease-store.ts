/** Leases in etcd v3, in flannel's layout: real flannel and this program can share a network. */
import { leaseKey } from '../lease-key.ts';
import type { LeaseStore } from '../lease-store.ts';
import { acquireLease, listEntries } from './acquire.ts';
import { createGrantPool, type HoldingParts } from './holding.ts';
import { leaseKeyOf } from './keys.ts';
import { neighboursOf } from './neighbours.ts';
import { ifAbsent, oneKey } from './operations.ts';
import type { EtcdParts } from './parts.ts';
import { renewLease } from './renew.ts';
import { endLeaseOps } from './standing.ts';
import { toLeaseList, type WatchAllOptions, watchAllLeases, watchOwnLease } from './watches.ts';

/** The lease store over a connection that is there. */
export function createEtcdLeaseStore(shared: EtcdParts, options: WatchAllOptions): LeaseStore {
  const { client, keys } = shared;
  const parts: HoldingParts = { ...shared, holdings: new Map(), grants: createGrantPool(client, shared.clock) };
  return {
    allocates: true,
    description: `etcd ${client.description}, prefix ${keys.prefix}`,
    async readNetConf(signal) {
      const answer = await client.range(oneKey(keys.config), 'read net-conf', signal);
      const kv = answer.kvs[0];
      return kv && { text: kv.value.toString(), revision: kv.mod_revision };
    },
    acquire: (request, signal) => acquireLease(parts, request, signal),
    renew: (lease, signal) => renewLease(parts, lease, signal),
    watchOwn: (lease, signal, onOutage) => watchOwnLease(parts, lease, signal, onOutage),
    list: async (signal) => toLeaseList(await listEntries(parts, signal)),
    neighbours: (after, limit, signal) => neighboursOf(parts, after, limit, signal),
    watch: (signal) => watchAllLeases(parts, options, signal),
    async release(subnets, signal) {
      const key = leaseKeyOf(keys, subnets);
      const answer = await client.txn(
        { compare: [ifAbsent(oneKey(key))], failure: [...endLeaseOps(keys, subnets)] },
        `release ${leaseKey(subnets)}`,
        signal,
      );
      parts.holdings.delete(leaseKey(subnets));
      return !answer.succeeded;
    },
    async close() {
      client.close();
    },
  };
}
