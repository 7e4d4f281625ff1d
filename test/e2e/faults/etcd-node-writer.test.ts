/**
 * Faults of etcd where each node writes its own route: away, restarted, a lease that ends while its node is cut off, and all data lost.
 * Sizes: CI is away for 15 s and restarts 5 times; FAULTS=long is away for 3 minutes and restarts 20 times.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { leaseKeyOf, leasePrefix, recordPrefix, reportPrefix } from '../../fabric/etcd-places.ts';
import { rigAddress } from '../../fabric/management.ts';
import { startTcpProxy, type TcpProxy } from '../../fabric/tcp-proxy.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import {
  cloudWrites,
  expectFewTries,
  expectSaidOnce,
  said,
  storedLeases,
  surviveLeaseEnd,
  surviveOutage,
  surviveRestarts,
  wentOn,
} from './store-faults.ts';
import { expectNothingLost, readyzOf, recordFault } from './survival.ts';

const sizes = { ci: { awayMs: 15_000, restarts: 5 }, long: { awayMs: 180_000, restarts: 20 } }[sizeOfRun()];
const noticeMs = 45_000;
const load = '3 nodes that write their own routes';

let lab: FaultLab;
/** Between the third node and etcd. */
let cable: TcpProxy;

beforeAll(async () => {
  lab = await startFaultLab({
    writer: 'node',
    async etcdEndpoint({ etcd }) {
      cable = await startTcpProxy(Number(new URL(etcd.endpoint).port), { host: rigAddress, targetHost: rigAddress });
      return (name) => (name === 'three' ? `http://${rigAddress}:${cable.port}` : undefined);
    },
  });
  await until('all have reported', async () => (await lab.cluster.etcd.keys(reportPrefix)).length === lab.nodes.length);
}, 240_000);

afterAll(async () => {
  await lab?.stop();
  await cable?.close();
});

test('etcd killed, and back later: the nodes stay ready, write nothing and say so once', async () => {
  const leases = await storedLeases(lab);
  const outage = await surviveOutage(lab, async () => {
    await lab.cluster.etcd.kill();
    await delay(sizes.awayMs);
    for (const node of lab.nodes) expect(await readyzOf(node)).toEqual({ status: 200, waits: '' });
    await lab.cluster.etcd.restart();
  });
  expectNothingLost(outage.survival);
  expectFewTries(lab, outage);
  for (const { agent } of lab.nodes) {
    await until('its watch goes on', async () => said(agent, outage.since, wentOn).length === 1, noticeMs);
    expectSaidOnce(agent, outage.since);
  }
  expect(await storedLeases(lab)).toEqual(leases);
  expect(cloudWrites(lab)).toEqual([]);
  await recordFault('store', outage.survival, {
    what: 'etcd killed and started again, routes written by each node',
    load: `${load}; away ${sizes.awayMs / 1_000} s`,
    outcome: `${outage.tries.nodes} tries to connect; no write to the cloud, leases as they were`,
  });
});

test('a lease that ends while its node is cut off: made again on the same subnet, its route never gone', async () => {
  // Several checks of the others' routes, each of which sees that the lease is gone.
  const outage = await surviveLeaseEnd(lab, cable, { goneMs: 10_000, noticeMs });
  await recordFault('store', outage.survival, {
    what: 'a lease that ended while its node was cut off from etcd, routes written by each node',
    load: `${load}; 10 s without the lease`,
    outcome: 'the same subnet leased again, no write to the cloud',
  });
});

test('all data lost: leases and records are made again with the same subnets, and no route is touched', async () => {
  const subnets = await Promise.all(lab.nodes.map((node) => node.podSubnet()));
  const outage = await surviveOutage(
    lab,
    async () => {
      await lab.cluster.etcd.lose({ newCluster: true });
      await until(
        'all leases are there again',
        async () => (await lab.cluster.etcd.keys(leasePrefix)).length === lab.nodes.length,
        noticeMs,
      );
      // What an operator has to do; nodes that run need it no more.
      await lab.putNetConf();
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  await until(
    'all records are there again',
    async () => (await lab.cluster.etcd.keys(recordPrefix)).length === 2 * lab.nodes.length,
    noticeMs,
  );
  expect(await Promise.all(lab.nodes.map((node) => node.podSubnet()))).toEqual(subnets);
  const keys = subnets.map((subnet) => leaseKeyOf(subnet)).sort();
  expect(Object.keys(await storedLeases(lab)).sort()).toEqual(keys);
  expect(cloudWrites(lab)).toEqual([]);
  for (const { agent } of lab.nodes) expect(said(agent, outage.since, /./, ['error'])).toEqual([]);
  await recordFault('store', outage.survival, {
    what: 'etcd lost all data and is another cluster, routes written by each node',
    load,
    outcome: 'same subnets leased again, records made again, no write to the cloud; net-conf is stored again by hand',
  });
});

test('etcd killed and restarted many times in a row: nothing leaks', async () => {
  const outage = await surviveRestarts(lab, sizes.restarts);
  for (const { agent } of lab.nodes) expect(said(agent, outage.since, /./, ['error'])).toEqual([]);
  expect(cloudWrites(lab)).toEqual([]);
  await recordFault('store', outage.survival, {
    what: `etcd killed and restarted ${sizes.restarts} times in a row, routes written by each node`,
    load,
    outcome: 'no write to the cloud, nothing leaks',
  });
});
