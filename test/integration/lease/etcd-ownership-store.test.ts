/** Route records in a real etcd: the seam's promises, the keys, the transactions. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createEtcdKeys } from '../../../lease/etcd/keys.ts';
import { createEtcdStores, type EtcdStores } from '../../../lease/etcd/stores.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { startGrpcGate } from '../../fabric/grpc-gate.ts';
import { cidr, never } from './fixtures.ts';
import { describeOwnershipStore } from './ownership-conformance.ts';
import { recordingLogger } from './recording-logger.ts';

let etcd: EtcdServer;
let networks = 0;

beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(async () => {
  await etcd?.stop();
});

describeOwnershipStore('etcd', async () => {
  networks += 1;
  const prefix = `/network-${networks}`;
  const opened: EtcdStores[] = [];
  const open = (): EtcdStores => {
    const stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix });
    opened.push(stores);
    return stores;
  };
  const { leader } = createEtcdKeys(prefix);
  return {
    async lead() {
      await etcd.delete(leader);
      await etcd.put(leader, '{"holder":"somebody","since":""}');
      return { token: String((await etcd.keys(leader))[0]?.modRevision) };
    },
    leadNobody: () => etcd.delete(leader),
    leases: open().leases,
    clock: systemClock,
    ownership: () => open().ownership,
    revision: () => etcd.revision(),
    close: async () => void (await Promise.all(opened.map((stores) => stores.close()))),
  };
});

const records = ['rtb-1', 'rtb-2'].map((tableId) => ({
  ...{
    tableId,
    destination: cidr('10.5.42.0/24'),
    target: 'eni-1',
    holder: 'i-1',
    writtenAt: '2026-01-02T03:04:05.000Z',
  },
}));

it('keeps records where flannel never looks, without an etcd lease, in one transaction', async () => {
  const stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix: '/coreos.com/network' });
  const transactions = () => etcd.metric('grpc_server_handled_total', 'grpc_method="Txn"');
  const before = await transactions();
  await stores.ownership.claim(records, never);
  expect((await transactions()) - before).toBe(1);
  const value = '{"target":"eni-1","holder":"i-1","writtenAt":"2026-01-02T03:04:05.000Z"}';
  expect(await etcd.keys('/coreos.com/network/flannel-vpc/routes/')).toMatchObject([
    { key: '/coreos.com/network/flannel-vpc/routes/10.5.42.0-24/rtb-1', value, lease: '0' },
    { key: '/coreos.com/network/flannel-vpc/routes/10.5.42.0-24/rtb-2', value, lease: '0' },
  ]);
  expect(await etcd.keys('/coreos.com/network/subnets')).toEqual([]);
  expect((await stores.leases.list(never)).leases).toEqual([]);
  await stores.ownership.claim(records, never);
  expect((await transactions()) - before).toBe(2);
  await stores.close();
});

it('ignores what is no record, says so once, and writes over it when it claims that route', async () => {
  const logger = recordingLogger();
  const keys = createEtcdKeys('/hostile');
  const stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix: '/hostile', logger });
  await etcd.put(`${keys.routes}10.5.42.0-24/rtb-1`, '{"target":7}');
  await etcd.put(`${keys.routes}10.5.42.0-24/%zz`, '{}');
  await etcd.put(`${keys.routes}nonsense`, 'not JSON');
  expect(await stores.ownership.list(never)).toEqual([]);
  expect(await stores.ownership.list(never)).toEqual([]);
  expect(logger.lines.map((line) => line.fields?.['key'])).toHaveLength(3);
  expect(await stores.ownership.claim(records, never)).toEqual({ kind: 'claimed', previous: [] });
  expect(await stores.ownership.list(never)).toHaveLength(2);
  await stores.close();
});

it('does not mark a route while flannel puts a lease for it, nor disturbs a lease made at the same moment', async () => {
  const keys = createEtcdKeys('/race');
  const stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix: '/race' });
  await stores.ownership.claim(records, never);
  await etcd.put(`${keys.subnets}10.5.42.0-24&fd00:1::-64`, '{"PublicIP":"192.0.2.1","PublicIPv6":"fd00::1"}', 60);
  for (const record of await stores.ownership.list(never)) {
    expect(await stores.ownership.beginRemoval(record, Date.now() + 60_000, never)).toBeUndefined();
  }
  await stores.close();
});

it('knows its own mark again when the answer to it was lost', async () => {
  const gate = await startGrpcGate(etcd.endpoint);
  const endpoints = [`http://127.0.0.1:${gate.port}`, etcd.endpoint];
  // The first endpoint is the gate.
  const stores = createEtcdStores({ endpoints, prefix: '/lost', random: () => 0 });
  await stores.ownership.claim(records, never);
  const [record] = await stores.ownership.list(never);
  if (!record) throw new Error('no record');
  const lost = gate.hold(({ when, request }) => when === 'after' && request.includes('removingUntil'));
  const until = Date.now() + 60_000;
  const marked = await stores.ownership.beginRemoval(record, until, never);
  expect(Date.parse(marked?.removingUntil ?? '')).toBe(until);
  if (!marked) throw new Error('not marked');
  await stores.ownership.finishRemoval(marked, never);
  expect(await stores.ownership.list(never)).toHaveLength(records.length - 1);
  lost.release();
  await stores.close();
  await gate.close();
});
