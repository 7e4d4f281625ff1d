/**
 * Faults of what etcd holds, while pods talk and a controller leads: history compacted while a watch lags, space used up, all data lost,
 * and old snapshots restored. Sizes: CI lets the watch miss 1,500 changes and leaves etcd full for 5 s; FAULTS=long 6,000 and 60 s.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ClusterNode } from '../../fabric/cluster.ts';
import { leaseKeyOf, leasePrefix, recordPrefix } from '../../fabric/etcd-places.ts';
import { type EtcdWriter, fillUp, openEtcdWriter } from '../../fabric/etcd-writer.ts';
import { startPing } from '../../fabric/traffic.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import { cloudWrites, interrupted, leaderOf, said, storedLeases, surviveOutage } from './store-faults.ts';
import { expectNothingLost, readyzOf, recordFault } from './survival.ts';

const sizes = { ci: { changes: 1_500, fullMs: 5_000 }, long: { changes: 6_000, fullMs: 60_000 } }[sizeOfRun()];
const noticeMs = 60_000;
const load = '3 nodes, 2 controllers';

let lab: FaultLab;
let writer: EtcdWriter;
/** Joins while etcd is full, and dies later. */
let four: ClusterNode;
/** Joins after the last snapshot, and leaves. */
let six: ClusterNode;

beforeAll(async () => {
  lab = await startFaultLab({
    writer: 'controller',
    controllerArgs: ['--reap-terminated'],
    etcdArgs: [`--quota-backend-bytes=${64 * 1024 * 1024}`],
  });
  writer = openEtcdWriter(lab.cluster.etcd.endpoint);
}, 240_000);

afterAll(async () => {
  writer?.close();
  await lab?.stop();
});

async function leaderNow(): Promise<Awaited<ReturnType<typeof leaderOf>>> {
  await until('one leads', async () => (await leaderOf(lab).catch(() => undefined)) !== undefined, noticeMs);
  return await leaderOf(lab);
}

/** What the hint says after a restore: they take the store as it is. One by one. */
async function startControllersAnew(): Promise<void> {
  for (const { name, kill } of lab.controllers.splice(0)) {
    await kill('SIGTERM');
    await lab.startController(name).logged(/leading: this controller writes|standing by/, noticeMs);
  }
}

async function leasesAre(count: number): Promise<void> {
  const all = async (): Promise<boolean> => (await lab.cluster.etcd.keys(leasePrefix)).length === count;
  await until(`${count} leases stand`, all, noticeMs);
}

test('history compacted while the leader’s watch lags: it reads everything again, and sees what it missed', async () => {
  const leases = await storedLeases(lab);
  const leader = await leaderNow();
  const lagging = [leader.process, ...lab.nodes.map(({ agent }) => agent.process)];
  const key = leaseKeyOf('10.244.220.0/24');
  const since = Date.now();
  const outage = await surviveOutage(lab, async () => {
    for (const each of lagging) each.signal('SIGSTOP');
    // More than etcd keeps for a client that does not read, and the last change takes back what the others made.
    const padded = JSON.stringify({ PublicIP: '192.0.2.1', Pad: 'x'.repeat(8_000) });
    for (let left = sizes.changes; left > 0; left -= 50) {
      await Promise.all(Array.from({ length: Math.min(50, left) }, () => writer.put(key, padded)));
    }
    await writer.delete(key);
    await lab.cluster.etcd.compact();
    for (const each of lagging) each.signal('SIGCONT');
    const compacted = /watch of all leases: etcd compacted past our place; reading everything again/;
    await until('the leader has noticed', async () => said(leader, since, compacted).length === 1, noticeMs);
  });
  expectNothingLost(outage.survival);
  for (const { agent } of lab.nodes) expect(said(agent, outage.since)).toEqual([]);
  expect(await storedLeases(lab)).toEqual(leases);
  expect(cloudWrites(lab)).toEqual([]);
  await recordFault('store', outage.survival, {
    what: 'etcd compacted while the watches of leader and agents lag',
    load: `${load}; ${sizes.changes} changes of 8 kB missed`,
    outcome: 'the leader reads everything again, no write to the cloud',
  });
});

test('space used up: who must write says what to do, all else goes on, and so does the rest after a disarm', async () => {
  const { etcd, world } = lab.cluster;
  const leases = await storedLeases(lab);
  const leader = await leaderNow();
  const full = /etcd takes no writes: compact and defragment it, then disarm its alarm/;
  four = await lab.cluster.addNode({ name: 'four', subnet: 'first', address: `${prefixOfFirst()}14` });
  const outage = await surviveOutage(
    lab,
    async () => {
      const filler = await fillUp(writer, '/filler/');
      // A node that joins needs a lease, and there is room for none.
      lab.startAgent(four);
      await four.agent.logged(full, noticeMs);
      expect((await readyzOf(four)).waits).toMatch(/database space exceeded/);
      await delay(sizes.fullMs);
      for (const node of lab.nodes) expect(await readyzOf(node)).toEqual({ status: 200, waits: '' });
      expect(await storedLeases(lab)).toEqual(leases);
      expect(await leaderOf(lab)).toBe(leader);
      // What its hint says.
      for (const key of filler) await writer.delete(key);
      await etcd.compact();
      await etcd.etcdctl('defrag', '--command-timeout=60s');
      await etcd.etcdctl('alarm', 'disarm');
      await four.agent.ready(noticeMs);
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  expect(four.agent.log().filter((line) => full.test(JSON.stringify(line)))).toHaveLength(1);
  expect(await storedLeases(lab)).toMatchObject(leases);
  const { nicId } = four.instance;
  const subnet = await four.podSubnet();
  for (const tableId of world.tableIds) expect((await world.staticRoutes(tableId))[subnet]).toBe(nicId);
  await recordFault('store', outage.survival, {
    what: 'etcd full: its quota used up, then compacted, defragmented and its alarm disarmed',
    load: `${load}; a node joins meanwhile; ${Math.round(outage.seconds)} s`,
    outcome: 'leases stay and the leader leads on; the node that joins says what to do, and joins after it was done',
  });
});

test('all data lost: living nodes lease their subnets again, and the route of one that can’t is left alone', async () => {
  const subnets = await Promise.all(lab.nodes.map((node) => node.podSubnet()));
  const { world, etcd } = lab.cluster;
  const fourSubnet = await four.podSubnet();
  const pod = await four.addPod('pod');
  await four.agent.kill('SIGKILL');
  const before = await Promise.all(world.tableIds.map((tableId) => world.staticRoutes(tableId)));
  const ping = startPing({ from: lab.pods[0], to: pod });
  await ping.flowing();
  const outage = await surviveOutage(
    lab,
    async () => {
      await etcd.lose({ newCluster: true });
      await leasesAre(lab.nodes.length);
      // Some resyncs long, with net-conf lost as well.
      await delay(6_000);
      for (const node of lab.nodes) expect(await readyzOf(node)).toEqual({ status: 200, waits: '' });
      const foreign = (await (await leaderNow()).report()).problems.filter(({ code }) => code === 'foreign');
      expect(foreign.map(({ text }) => text.includes(fourSubnet))).toEqual([true, true]);
      // What an operator has to do: store net-conf again, and start what was down.
      await lab.putNetConf();
      lab.startAgent(four);
      await four.agent.ready(noticeMs);
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  expect(await Promise.all(lab.nodes.map((node) => node.podSubnet()))).toEqual(subnets);
  expect(await four.podSubnet()).toBe(fourSubnet);
  expect(Object.keys(await storedLeases(lab)).sort()).toEqual([...subnets, fourSubnet].map(leaseKeyOf).sort());
  const records = 2 * (lab.nodes.length + 1);
  await until('all routes are recorded', async () => (await etcd.keys(recordPrefix)).length === records, noticeMs);
  expect(await Promise.all(world.tableIds.map((tableId) => world.staticRoutes(tableId)))).toEqual(before);
  expect(cloudWrites(lab)).toEqual([]);
  for (const { agent } of lab.nodes) expect(said(agent, outage.since, /./, ['error'])).toEqual([]);
  expect((await ping.stop()).lost).toBe(0);
  await recordFault('store', outage.survival, {
    what: 'etcd lost all data and is another cluster, routes written by a controller',
    load: `${load}, and one node whose agent is down`,
    outcome:
      'same subnets leased again, routes recorded again, no write to the cloud; net-conf is stored again by hand',
  });
});

test.each([
  ['the same cluster', false],
  ['another cluster', true],
])(
  'a snapshot from before a node joined, restored as %s: its lease is made again, and no route goes',
  async (as, newCluster) => {
    const { etcd } = lab.cluster;
    const backup = await etcd.backup();
    const name = newCluster ? 'six' : 'five';
    const joined = await lab.cluster.addNode({
      ...{ name, subnet: 'second', address: lab.nodes[2].node.address.replace(/\d+$/, newCluster ? '16' : '15') },
    });
    if (newCluster) six = joined;
    lab.startAgent(joined);
    await joined.agent.ready(noticeMs);
    await until('all is right', async () => (await lab.problems()).length === 0, noticeMs);
    const subnet = await joined.podSubnet();
    const leases = Object.keys(await storedLeases(lab));
    const outage = await surviveOutage(
      lab,
      async () => {
        await etcd.restore(backup, { newCluster });
        await leasesAre(leases.length);
        await delay(6_000);
      },
      { leaks: false },
    );
    expectNothingLost(outage.survival);
    expect(said(joined.agent, outage.since, /lease restored/)).toHaveLength(1);
    expect(await joined.podSubnet()).toBe(subnet);
    expect(Object.keys(await storedLeases(lab))).toEqual(leases);
    expect(cloudWrites(lab)).toEqual([]);
    await recordFault('store', outage.survival, {
      what: `etcd restored from before a node joined, as ${as}`,
      load: `${load}, 2 nodes more`,
      outcome: 'the lease made again on the same subnet, no write to the cloud',
    });
  },
);

test('on another cluster the routes of a node that leaves are held, and it is said what to do, until that is done', async () => {
  const { etcd } = lab.cluster;
  const subnet = await six.podSubnet();
  await six.destroy();
  const held = async (): Promise<readonly string[]> =>
    (await (await leaderNow()).report()).problems.flatMap(({ code, hint }) =>
      code === 'store-changed' ? [hint ?? ''] : [],
    );
  await until('its lease is ended', async () => (await etcd.keys(leaseKeyOf(subnet))).length === 0, noticeMs);
  await until('it is said', async () => (await held()).length === 2, noticeMs);
  expect((await held())[0]).toMatch(/a controller that is started anew takes it as it is/);
  const outage = await surviveOutage(
    lab,
    async () => {
      await startControllersAnew();
    },
    { leaks: false, settleMs: 90_000 },
  );
  expectNothingLost(outage.survival);
  expect(cloudWrites(lab).map((write) => write.split(' ')[1])).toEqual(['DeleteRoute', 'DeleteRoute']);
  await recordFault('store', outage.survival, {
    what: 'a node leaves after etcd became another cluster',
    load: `${load}, 2 nodes more`,
    outcome: 'its routes are held and it is said why, until the controllers are started anew',
  });
});

test('a snapshot from before a node left, restored: its lease comes back, is ended again, and nothing else is touched', async () => {
  const { etcd, world } = lab.cluster;
  const backup = await etcd.backup();
  const subnet = await four.podSubnet();
  const leases = Object.keys(await storedLeases(lab));
  await four.destroy();
  const gone = async (): Promise<boolean> => (await etcd.keys(leaseKeyOf(subnet))).length === 0;
  await until('its lease is ended', gone, noticeMs);
  await until('its routes are gone', async () => (await lab.problems()).length === 0, noticeMs);
  const since = Date.now();
  // It may be there for a moment only.
  const endedAgain = async (): Promise<boolean> =>
    (await gone()) && lab.controllers.some((each) => said(each, since, /^lease ended: its machine/).length > 0);
  const outage = await surviveOutage(
    lab,
    async () => {
      await etcd.restore(backup);
      await until('it is ended again', endedAgain, noticeMs);
      // Until then the records of its routes are kept as well.
      await startControllersAnew();
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  expect(Object.keys(await storedLeases(lab))).toEqual(leases.filter((key) => key !== leaseKeyOf(subnet)));
  for (const tableId of world.tableIds) expect(await world.staticRoutes(tableId)).not.toHaveProperty(subnet);
  expect(cloudWrites(lab)).toEqual([]);
  await recordFault('store', outage.survival, {
    what: 'etcd restored from before a node left',
    load: `${load}, a node more`,
    outcome:
      'the lease of the terminated node ended again, its records once the controllers are started anew; no write to the cloud',
  });
});

test('all programs hear of etcd, and nothing has leaked', async () => {
  const { since, survival } = await surviveOutage(lab, async () => await delay(2_000));
  expectNothingLost(survival);
  for (const each of [...lab.controllers, ...lab.nodes.map(({ agent }) => agent)]) {
    expect(said(each, since, interrupted)).toEqual([]);
  }
});

function prefixOfFirst(): string {
  return lab.nodes[0].node.address.replace(/\d+$/, '');
}
