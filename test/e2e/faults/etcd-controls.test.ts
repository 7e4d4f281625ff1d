/** What wrong programs would do in faults of the store turns red what the other tests of etcd show. */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { leaseKeyOf, leasePrefix } from '../../fabric/etcd-places.ts';
import { rigAddress } from '../../fabric/management.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import { cloudWrites, expectFewTries, storedLeases, surviveOutage } from './store-faults.ts';
import { expectNothingLost } from './survival.ts';

let lab: FaultLab;

beforeAll(async () => {
  lab = await startFaultLab({ writer: 'controller', controllers: 1 });
}, 240_000);

afterAll(async () => {
  await lab?.stop();
});

test('a program that tries to connect without a pause is counted', async () => {
  const port = new URL(lab.cluster.etcd.endpoint).port;
  const hammer = `
    const { connect } = require('node:net');
    (function again() { connect(${port}, '${rigAddress}').on('error', () => {}).on('close', () => setTimeout(again, 5)); })();`;
  const outage = await surviveOutage(
    lab,
    async () => {
      await lab.cluster.etcd.kill();
      const storm = lab.nodes[0].node.spawn([process.execPath, '-e', hammer]);
      await delay(3_000);
      await storm.kill('SIGKILL');
      await lab.cluster.etcd.restart();
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  expect(() => expectFewTries(lab, outage)).toThrow();
});

test('an agent that writes its lease again in place of renewing it is seen', async () => {
  const before = await storedLeases(lab);
  const [key = ''] = Object.keys(before);
  const [stored] = await lab.cluster.etcd.keys(key);
  const lease = BigInt(stored?.lease ?? '0').toString(16);
  await lab.cluster.etcd.etcdctl('put', `--lease=${lease}`, '--', key, stored?.value ?? '');
  expect(await storedLeases(lab)).not.toEqual(before);
  expect(Object.keys(await storedLeases(lab))).toEqual(Object.keys(before));
});

test('a controller that believes a store without leases takes routes out, and packets are lost', async () => {
  const [tableId = ''] = lab.cluster.world.tableIds;
  const { instance } = lab.nodes[2];
  const subnet = await lab.nodes[2].podSubnet();
  const [controller] = lab.controllers;
  const outage = await surviveOutage(
    lab,
    async () => {
      controller?.process.signal('SIGSTOP');
      await lab.cluster.etcd.lose();
      await lab.cluster.world.removeRoute(tableId, subnet);
      await delay(1_000);
      await lab.cluster.world.putRoute(tableId, subnet, instance);
      await lab.putNetConf();
      controller?.process.signal('SIGCONT');
    },
    { leaks: false },
  );
  expect(() => expectNothingLost(outage.survival)).toThrow();
  expect(outage.survival.packets.lost).toBeGreaterThan(50);
});

test('a node that takes another subnet than it had is named', async () => {
  const [one] = lab.nodes;
  const key = leaseKeyOf(await one.podSubnet());
  const before = await storedLeases(lab);
  const [stored] = await lab.cluster.etcd.keys(key);
  for (const { process } of [one.agent, ...lab.controllers]) process.signal('SIGSTOP');
  const other = `${leasePrefix}10.244.198.0-24`;
  try {
    await lab.cluster.etcd.delete(key);
    await lab.cluster.etcd.put(other, stored?.value ?? '', 600);
    expect(Object.keys(await storedLeases(lab))).not.toEqual(Object.keys(before));
    expect((await lab.problems()).join('\n')).toContain('no route for the lease 10.244.198.0/24');
  } finally {
    await lab.cluster.etcd.delete(other);
    for (const { process } of [one.agent, ...lab.controllers]) process.signal('SIGCONT');
  }
  await one.agent.logged(/lease restored/, 60_000);
});

test('a controller that heeds no election writes beside the one that leads, and is seen among the writers', async () => {
  const wrong = lab.startController('heedless', { args: ['--leader-elect=false'] });
  await wrong.logged(/leading: this controller writes/);
  lab.cluster.world.resetRequests();
  const [tableId = ''] = lab.cluster.world.tableIds;
  const subnet = await lab.nodes[1].podSubnet();
  const heedless = (): boolean => cloudWrites(lab).some((write) => write.startsWith('controller/heedless '));
  lab.controllers[0]?.process.signal('SIGSTOP');
  await lab.cluster.world.removeRoute(tableId, subnet);
  for (let waited = 0; waited < 30_000 && !heedless(); waited += 200) await delay(200);
  lab.controllers[0]?.process.signal('SIGCONT');
  expect(heedless()).toBe(true);
});
