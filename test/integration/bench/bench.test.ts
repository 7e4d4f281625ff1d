/** The measurements of `make bench` in a small size: they still work, and the counts they are about keep their budgets. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cloudCalls } from '../../bench/cloud-calls.ts';
import { crowd } from '../../bench/crowd.ts';
import { addForeignRules, type IdleResult, idle } from '../../bench/idle.ts';
import { createLab, flannelVpc, type Lab } from '../../bench/lab.ts';
import { peerNetwork } from '../../bench/peer-network.ts';
import { peerSection } from '../../bench/peer-report.ts';
import {
  cloudMemorySection,
  cloudSection,
  idleSection,
  machineSection,
  startUpSection,
  stormSection,
  transactionBudget,
} from '../../bench/report.ts';
import { type Scale, scale } from '../../bench/scale.ts';
import { crowdSection, fillSection, steadySection, throttledSection } from '../../bench/scale-report.ts';
import { scarceBucket, throttled } from '../../bench/scale-throttled.ts';
import { bareNode, masqueradeIptables, startUp } from '../../bench/start-up.ts';
import { type StormResult, storm } from '../../bench/storm.ts';
import { type StoreStormResult, storeStorm } from '../../bench/storm-stores.ts';
import { overs, tableText } from '../../bench/table.ts';

describe('an aws-vpc node', () => {
  it('joins, restarts and takes its routes back within the budget of EC2 calls, without a gap', async () => {
    const calls = await cloudCalls(1_000);
    const sections = [cloudSection(calls)];
    expect(overs(sections)).toEqual([]);
    expect(calls.join.byAction).toMatchObject({ CreateRoute: 2, ModifyNetworkInterfaceAttribute: 1 });
    expect(calls.move.byAction).toMatchObject({ ReplaceRoute: 2 });
    expect(calls.memory.rss).toBeGreaterThan(calls.memory.privateDirty);
    expect(tableText([...sections, cloudMemorySection(calls)])).toContain('resident memory');
  });
});

describe('a join storm in small', () => {
  let agents: StormResult;
  let stores: StoreStormResult;
  beforeAll(async () => {
    agents = await storm(flannelVpc, 6, '10.5.0.0/20');
    stores = await storeStorm(30, { network: '10.6.0.0/16', first: '10.6.1.0', last: '10.6.30.0' });
  });

  it('of real agents gives each a lease for two reads, one grant and few transactions', () => {
    expect(agents).toMatchObject({ leases: 6, ready: 6, exits: 0, doubles: 0 });
    expect(agents.requests).toMatchObject({ Range: 12, LeaseGrant: 6 });
    expect(agents.requests['Txn']).toBeLessThanOrEqual(6 * transactionBudget(6, 15) + 3);
    expect(agents.agentsCpu).toBeGreaterThan(0);
    expect(agents.lastLease).toBeGreaterThan(0);
  });

  it('of stores alone on as many subnets leaves none out', () => {
    expect(stores.leases).toBe(30);
    expect(stores.requests).toMatchObject({ LeaseGrant: 30 });
  });

  it('stands in the table', () => {
    expect(tableText([stormSection(agents, 15, { ...stores, leases: 6 }, undefined)])).toContain('leases');
  });
});

describe('an agent on a host with rules of others', () => {
  let lab: Lab;
  let quiet: IdleResult;
  beforeAll(async () => {
    lab = await createLab();
    await addForeignRules(lab, 50, 'iptables');
    quiet = await idle(lab, flannelVpc, masqueradeIptables, { settleSeconds: 1, seconds: 6 });
  });
  afterAll(async () => {
    await lab?.stop();
  });

  it('asks etcd nothing while idle but to keep its lease, and writes no log', () => {
    expect(Object.keys(quiet.requests).filter((method) => method !== 'LeaseKeepAlive')).toEqual([]);
    expect(quiet.logLines).toBe(0);
    // One reading of the rules in six seconds, and whatever threads that takes.
    expect(quiet.started).toBeLessThanOrEqual(20);
    expect(tableText([idleSection('in small', quiet, undefined, undefined)])).toContain('etcd requests');
  });

  it('starts, restarts and ends with 0', async () => {
    const result = await startUp(lab, flannelVpc, masqueradeIptables, 2);
    expect(result.first.count).toBe(2);
    expect([...result.codes]).toEqual([0]);
    const bare = await bareNode(lab, 1);
    expect(tableText([machineSection(bare), startUpSection(masqueradeIptables, result, result)])).toContain(
      'ratio 1.00',
    );
  });
});

describe('peers without a cloud, in small', () => {
  it.each([
    ['host-gw', 0],
    ['vxlan', 0],
    ['extension', 2],
  ] as const)('all stand in the kernel, and change: %s by a few programs and %d for each', async (backend, each) => {
    const result = await peerNetwork(flannelVpc, backend, { leases: 300, changes: 100, idleSeconds: 1 });
    // Far below one for each peer: one batch, and Node's own threads.
    expect(result.first.started).toBeLessThan(150 + 300 * each);
    expect(result.changed.started).toBeLessThan(50 + 100 * each);
    expect(result.first.cpu).toBeGreaterThan(0);
    expect(tableText([peerSection(result, result)])).toContain('300 leases');
  });
});

describe('a controller of many leases, in small', () => {
  let result: Scale;
  beforeAll(async () => {
    result = await scale({ leases: 30, tables: 4, resyncs: 2, resyncSeconds: 4, single: 2, together: 5 });
  });

  it('writes each route once, each check once, and reads no more than a few times', () => {
    const section = fillSection(result);
    expect(overs([section])).toEqual([]);
    expect(result.fill.calls).toMatchObject({ CreateRoute: 120, ModifyNetworkInterfaceAttribute: 30 });
    expect(result.fill.peakMemory).toBeGreaterThan(50);
    expect(tableText([section])).toContain('30 leases on 4 tables');
  });

  it('reads the tables once a resync, and writes nothing at a restart', () => {
    const section = steadySection(result);
    expect(overs([section])).toEqual([]);
    expect(result.steady.resyncCalls).toEqual({ DescribeRouteTables: 2 });
    expect(result.steady.togetherCalls).toMatchObject({ CreateRoute: 20, ModifyNetworkInterfaceAttribute: 5 });
    expect([result.steady.single.length, result.steady.together.length]).toEqual([2, 5]);
    expect(tableText([section])).toContain('lease to routes');
  });
});

describe('a controller on an EC2 that refuses most of its calls', () => {
  it('writes every route, and tries none without end', async () => {
    const result = await throttled(8, scarceBucket);
    expect(overs([throttledSection(result, 'in small', 3)])).toEqual([]);
    expect(result.routes).toBe(16);
    expect(result.refused).toBeGreaterThan(0);
  });
});

describe('an agent among others that join', () => {
  it('neither asks nor hears of them', async () => {
    const result = await crowd(30, { settleSeconds: 1, seconds: 2 });
    expect(overs([crowdSection(30, result)])).toEqual([]);
    expect(result.watchAnswers).toBe(0);
  });
});
