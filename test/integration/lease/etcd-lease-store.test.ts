/** The seam's promises, kept by a real etcd. */
import { afterAll, beforeAll } from '@jest/globals';
import { createEtcdKeys, leaseKeyOf } from '../../../lease/etcd/keys.ts';
import { createEtcdStores } from '../../../lease/etcd/stores.ts';
import { encodeLeaseValue } from '../../../lease/etcd/value.ts';
import type { Stores } from '../../../lease/stores.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { describeAdministration } from './administration-conformance.ts';
import { describeLeaseStore, type LeaseWorld } from './conformance.ts';

let etcd: EtcdServer;
let networks = 0;

beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(async () => {
  await etcd?.stop();
});

async function makeWorld(): Promise<LeaseWorld> {
  networks += 1;
  const prefix = `/network-${networks}`;
  const keys = createEtcdKeys(prefix);
  const opened: Stores[] = [];
  const stores = (): Stores => {
    const each = createEtcdStores({ endpoints: [etcd.endpoint], prefix });
    opened.push(each);
    return each;
  };
  return {
    stores,
    store: () => stores().leases,
    setNetConf: (text) => etcd.put(keys.config, text),
    putLease: (of, value, ttlSeconds) => etcd.put(leaseKeyOf(keys, of), encodeLeaseValue(value), ttlSeconds),
    deleteLease: (of) => etcd.delete(leaseKeyOf(keys, of)),
    revision: () => etcd.revision(),
    close: async () => void (await Promise.all(opened.map((each) => each.close()))),
  };
}

describeLeaseStore('etcd', makeWorld);
describeAdministration('etcd', makeWorld);
