/** Reports, reservations and neighbours in a real etcd: the keys, the etcd leases, what it costs. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { createEtcdKeys, type EtcdKeys } from '../../../lease/etcd/keys.ts';
import { createEtcdStores, type EtcdStores } from '../../../lease/etcd/stores.ts';
import { leaseKey } from '../../../lease/lease-key.ts';
import { type EtcdKey, type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { attributes, four, four6, never, ranges, request, subnets } from './fixtures.ts';
import { recordingLogger } from './recording-logger.ts';

const report = { ready: false, reason: 'no route', since: '2026-01-02T03:04:05.000Z' };
let etcd: EtcdServer;
let keys: EtcdKeys;
let stores: EtcdStores;
let networks = 0;
const logger = recordingLogger();

beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(async () => {
  await etcd?.stop();
});
beforeEach(() => {
  networks += 1;
  const prefix = `/network-${networks}`;
  keys = createEtcdKeys(prefix);
  stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix, logger });
});
afterEach(async () => {
  await stores.close();
});

const keysBelow = async (prefix: string): Promise<readonly Pick<EtcdKey, 'key' | 'lease'>[]> =>
  (await etcd.keys(prefix)).map(({ key, lease }) => ({ key, lease }));

it('keeps a report on the etcd lease of its lease, so that both end together', async () => {
  const lease = await stores.leases.acquire(request('192.0.2.1', { previous: subnets('10.5.42.0/24') }), never);
  await stores.reports.publish(lease, report, never);
  const [stored] = await etcd.keys(keys.subnets);
  expect(await etcd.keys(keys.nodes)).toMatchObject([
    { key: `${keys.prefix}/flannel-vpc/nodes/10.5.42.0-24`, value: JSON.stringify(report), lease: stored?.lease },
  ]);
  await etcd.revoke(stored?.lease ?? '');
  expect(await etcd.keys(keys.prefix)).toEqual([]);
});

it('moves a report to the etcd lease that the lease has moved to, equal or not', async () => {
  const lease = await stores.leases.acquire(request('192.0.2.1'), never);
  await stores.reports.publish(lease, report, never);
  const [stored] = await etcd.keys(keys.subnets);
  await etcd.put(stored?.key ?? '', stored?.value ?? '', 600);
  await stores.reports.publish(lease, report, never);
  const [moved] = await etcd.keys(keys.subnets);
  expect(moved?.lease).not.toBe(stored?.lease);
  expect((await etcd.keys(keys.nodes)).map((each) => each.lease)).toEqual([moved?.lease]);
});

it('makes a reservation with all that hangs on it last, and leaves nothing of it behind', async () => {
  const both = request(['192.0.2.1', 'fd00::1'], { ranges: ranges(four, four6) });
  const lease = await stores.leases.acquire(both, never);
  await stores.reports.publish(lease, report, never);
  const [held] = await etcd.keys(keys.subnets);
  const reserved = await stores.admin.reserve(lease.subnets, undefined, never);
  await etcd.revoke(held?.lease ?? '');
  expect((await keysBelow(keys.subnets)).map((each) => each.lease)).toEqual(['0']);
  expect((await keysBelow(keys.nodes)).map((each) => each.lease)).toEqual(['0']);
  expect(await stores.admin.end(reserved, never)).toBe(true);
  expect(await keysBelow(keys.prefix)).toEqual([]);

  const made = await stores.admin.reserve(
    subnets('10.6.0.64/26', 'fd00:6::/64'),
    attributes(['192.0.2.1', 'fd00::1']),
    never,
  );
  expect(await keysBelow(keys.prefix)).toEqual([
    { key: `${keys.claims}fd00:6::-64`, lease: '0' },
    { key: `${keys.subnets}10.6.0.64-26&fd00:6::-64`, lease: '0' },
  ]);
  expect(await stores.leases.release(made.subnets, never)).toBe(true);
  expect(await keysBelow(keys.prefix)).toEqual([]);
});

it('does not reserve what stands there and is no lease', async () => {
  await etcd.put(`${keys.subnets}10.5.42.0-24`, 'not JSON');
  for (const wanted of ['10.5.42.0/24', '10.5.42.0/25']) {
    await expect(stores.admin.reserve(subnets(wanted), attributes('192.0.2.1'), never)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('somebody unknown'),
    });
  }
});

it('leaves out reports that are none, and says so once', async () => {
  const lease = await stores.leases.acquire(request('192.0.2.1', { previous: subnets('10.5.42.0/24') }), never);
  for (const value of ['not JSON', '{"ready":"yes"}']) {
    await etcd.put(`${keys.nodes}10.5.42.0-24`, value);
    expect(await stores.reports.list(never)).toEqual(new Map());
  }
  await stores.reports.publish(lease, report, never);
  expect(await stores.reports.list(never)).toEqual(new Map([['10.5.42.0/24', report]]));
  expect(logger.lines.filter((line) => line.fields?.['key'] === `${keys.nodes}10.5.42.0-24`)).toHaveLength(2);
});

it('finds a few neighbours among many leases by two small reads', async () => {
  const value = '{"PublicIP":"192.0.2.1","PublicIPv6":null}';
  await Promise.all(
    Array.from({ length: 60 }, (_, index) => etcd.etcdctl('put', `${keys.subnets}10.5.${index}.0-24`, value)),
  );
  const names = (await stores.leases.list(never)).leases.map((lease) => leaseKey(lease.subnets));
  const ranged = () => etcd.metric('grpc_server_handled_total', 'grpc_method="Range"');
  const sent = () => etcd.metric('etcd_network_client_grpc_sent_bytes_total');
  for (const at of [0, 17, 57, 59]) {
    const before = { ranged: await ranged(), sent: await sent() };
    const found = await stores.leases.neighbours(subnets(names[at] ?? ''), 5, never);
    expect((await ranged()) - before.ranged).toBeLessThanOrEqual(2);
    // A list of all would be ten times that.
    expect((await sent()) - before.sent).toBeLessThan(1_500);
    expect(found.map((lease) => leaseKey(lease.subnets))).toEqual([...names, ...names].slice(at + 1, at + 6));
  }
});
