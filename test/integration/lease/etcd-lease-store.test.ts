/** The seam's promises, kept by a real etcd. */
import { afterAll, beforeAll } from '@jest/globals';
import { createEtcdKeys, leaseKeyOf } from '../../../lease/etcd/keys.ts';
import { createEtcdStores, type EtcdStores } from '../../../lease/etcd/stores.ts';
import { encodeLeaseValue } from '../../../lease/etcd/value.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { describeLeaseStore } from './conformance.ts';

let etcd: EtcdServer;
let networks = 0;

beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(async () => {
  await etcd?.stop();
});

describeLeaseStore('etcd', async () => {
  networks += 1;
  const prefix = `/network-${networks}`;
  const keys = createEtcdKeys(prefix);
  const opened: EtcdStores[] = [];
  return {
    store() {
      const stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix });
      opened.push(stores);
      return stores.leases;
    },
    setNetConf: (text) => etcd.put(keys.config, text),
    putLease: (of, value, ttlSeconds) => etcd.put(leaseKeyOf(keys, of), encodeLeaseValue(value), ttlSeconds),
    deleteLease: (of) => etcd.delete(leaseKeyOf(keys, of)),
    revision: () => etcd.revision(),
    close: async () => void (await Promise.all(opened.map((stores) => stores.close()))),
  };
});
