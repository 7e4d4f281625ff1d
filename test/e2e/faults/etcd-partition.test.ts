/**
 * Parts of a cluster that are cut off from etcd while the rest goes on and pods talk: one node, its connections ended and its packets
 * lost; the controller that leads; a node whose lease ends meanwhile. Sizes: in CI each cut lasts as long as a join takes, and 8 s at
 * least; FAULTS=long makes it 60 s at least.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ClusterNode } from '../../fabric/cluster.ts';
import { leaseKeyOf } from '../../fabric/etcd-places.ts';
import { rigAddress } from '../../fabric/management.ts';
import { startTcpProxy, type TcpProxy } from '../../fabric/tcp-proxy.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import {
  cloudWrites,
  expectSaidOnce,
  interrupted,
  said,
  storedLeases,
  surviveLeaseEnd,
  surviveOutage,
  wentOn,
} from './store-faults.ts';
import { expectNothingLost, readyzOf, recordFault } from './survival.ts';

const { leastMs } = { ci: { leastMs: 8_000 }, long: { leastMs: 60_000 } }[sizeOfRun()];
const noticeMs = 60_000;
const load = '3 nodes, 2 controllers';

let lab: FaultLab;
/** Between etcd and the programs of these names. */
const cables = new Map<string, TcpProxy>();

beforeAll(async () => {
  lab = await startFaultLab({
    writer: 'controller',
    // A lease that is gone for a short while must not be missed in two of them.
    controllerArgs: ['--resync=20s', '--reap-terminated'],
    async etcdEndpoint({ etcd }) {
      const port = Number(new URL(etcd.endpoint).port);
      for (const name of ['two', 'three', 'controller-1']) {
        cables.set(name, await startTcpProxy(port, { host: rigAddress, targetHost: rigAddress }));
      }
      return (name) => {
        const cable = cables.get(name);
        return cable && `http://${rigAddress}:${cable.port}`;
      };
    },
  });
}, 240_000);

afterAll(async () => {
  await lab?.stop();
  for (const cable of cables.values()) await cable.close();
});

function cableOf(name: string): TcpProxy {
  const cable = cables.get(name);
  if (!cable) throw new Error(`no cable of ${name}`);
  return cable;
}

async function join(name: string, address: string): Promise<ClusterNode> {
  const node = await lab.cluster.addNode({ name, subnet: 'first', address });
  lab.startAgent(node);
  await node.agent.ready(noticeMs);
  return node;
}

/** Where all tables lead to for the node's subnet. */
async function targetsOf(subnet: string): Promise<readonly (string | undefined)[]> {
  const { world } = lab.cluster;
  return await Promise.all(world.tableIds.map(async (tableId) => (await world.staticRoutes(tableId))[subnet]));
}

let four: ClusterNode;
let fourSubnet: string;

test('one node’s connections are ended: it stays ready and says so once, while another one joins', async () => {
  const [one, two] = lab.nodes;
  const leases = await storedLeases(lab);
  const cable = cableOf('two');
  let tries = 0;
  const outage = await surviveOutage(lab, async () => {
    const before = cable.connections;
    cable.cut();
    const cut = performance.now();
    four = await join('four', lab.nodes[0].node.address.replace(/\d+$/, '14'));
    fourSubnet = await four.podSubnet();
    await delay(Math.max(0, leastMs - (performance.now() - cut)));
    tries = (cable.connections - before) / ((performance.now() - cut) / 1_000);
    expect(await readyzOf(two)).toEqual({ status: 200, waits: '' });
    cable.mend();
  });
  expectNothingLost(outage.survival);
  expect(tries).toBeLessThan(4);
  expect(await targetsOf(fourSubnet)).toEqual([four.instance.nicId, four.instance.nicId]);
  await until('it is back', async () => said(two.agent, outage.since, wentOn).length === 1, noticeMs);
  expectSaidOnce(two.agent, outage.since);
  for (const program of [one.agent, ...lab.controllers]) expect(said(program, outage.since, interrupted)).toEqual([]);
  expect(await storedLeases(lab)).toMatchObject(leases);
  await recordFault('store', outage.survival, {
    what: 'one node cut off from etcd, its connections ended, while another one joins',
    load: `${load}; ${Math.round(outage.seconds)} s`,
    outcome: 'the node stays ready, the new one has its routes, leases as they were',
  });
});

test('the leader is cut off: it stops before the other one writes, which serves a node that joins', async () => {
  const [first, second] = lab.controllers;
  if (!first || !second) throw new Error('two controllers are needed');
  const cable = cableOf('controller-1');
  let readyz: readonly (string | null | number)[] = [];
  let five: ClusterNode | undefined;
  const outage = await surviveOutage(
    lab,
    async () => {
      cable.blackhole();
      five = await join('five', lab.nodes[0].node.address.replace(/\d+$/, '15'));
      await until('it knows no leader', async () => (await first.get('/readyz')).status === 503, noticeMs);
      const { status, headers } = await first.get('/readyz');
      readyz = [status, headers.get('X-Flannel-VPC-Waiting-For')];
      cable.mend();
      await until('it stands by', async () => (await first.get('/readyz')).status === 200, noticeMs);
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  expect(readyz).toEqual([503, expect.stringMatching(/^leader: can't read who leads/)]);
  const gaveUp = first.log().find(({ msg }) => msg === 'no longer leading; nothing more is written');
  const took = second.log().find(({ msg }) => msg === 'leading: this controller writes the routes');
  expect(Date.parse(gaveUp?.time ?? '')).toBeLessThanOrEqual(Date.parse(took?.time ?? ''));
  expect(cloudWrites(lab).length).toBeGreaterThanOrEqual(2);
  expect(cloudWrites(lab).filter((write) => !write.startsWith('controller/controller-2 '))).toEqual([]);
  const nicId = five?.instance.nicId;
  expect(await targetsOf((await five?.podSubnet()) ?? '')).toEqual([nicId, nicId]);
  expect(said(first, outage.since, /no longer leading/)).toHaveLength(1);
  await recordFault('store', outage.survival, {
    what: 'the leading controller cut off from etcd while a node joins',
    load: `${load}, term 12 s; ${Math.round(outage.seconds)} s`,
    outcome: 'the leader gives up first, every write is the other one’s',
  });
});

test('a lease ends while its node is cut off: it is made again on the same subnet before its route is missed', async () => {
  const outage = await surviveLeaseEnd(lab, cableOf('three'), { goneMs: 3_000, noticeMs });
  await recordFault('store', outage.survival, {
    what: 'a lease that ended while its node was cut off from etcd, routes written by a controller',
    load: `${load}, resync 20 s; 3 s without the lease`,
    outcome: 'the same subnet leased again, no write to the cloud',
    why: 'none: a route goes after two resyncs without its lease, which are five minutes each unless told otherwise',
  });
});

test('one node’s packets to etcd are lost: others join and leave, and its routes stay', async () => {
  const [, two] = lab.nodes;
  const leases = await storedLeases(lab);
  const cable = cableOf('two');
  const outage = await surviveOutage(
    lab,
    async () => {
      cable.blackhole();
      const cut = performance.now();
      await four.destroy();
      await until(
        'its routes are gone',
        async () => (await targetsOf(fourSubnet)).every((target) => !target),
        noticeMs,
      );
      await delay(Math.max(0, leastMs - (performance.now() - cut)));
      expect(await readyzOf(two)).toEqual({ status: 200, waits: '' });
      cable.mend();
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  expect(said(two.agent, outage.since, interrupted).length).toBeLessThanOrEqual(2);
  const { [leaseKeyOf(fourSubnet)]: _, ...others } = leases;
  expect(await storedLeases(lab)).toEqual(others);
  await recordFault('store', outage.survival, {
    what: 'one node cut off from etcd, its packets lost, while another one is terminated',
    load: `${load}; ${Math.round(outage.seconds)} s`,
    outcome: 'the terminated node loses lease and routes, all other routes and leases as they were',
  });
});
