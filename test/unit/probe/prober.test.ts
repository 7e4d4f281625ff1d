/** Whole rounds, over a network of memory: who is asked, when, and what is said of it. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { NodeIdentity } from '../../../lease/lease.ts';
import type { OwnedLease } from '../../../lease/lease-store.ts';
import { createMemoryStores } from '../../../lease/memory/stores.ts';
import { createMemoryWorld, type MemoryWorld } from '../../../lease/memory/world.ts';
import type { Stores } from '../../../lease/stores.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';
import { createMemoryLab, type ProbeLab } from './lab.ts';

let clock: TestClock;
let world: MemoryWorld;
let stores: Stores;
let lab: ProbeLab;
const signal = new AbortController().signal;

beforeEach(() => {
  clock = createTestClock();
  world = createMemoryWorld(clock);
  stores = createMemoryStores(world);
  lab = createMemoryLab(clock, world);
});

afterEach(async () => await lab.stop());

/** Its lease alone: a node that is gone, or runs something else. */
function leased(third: number, node?: NodeIdentity): OwnedLease {
  return lab.lease(third, node);
}

async function reported(lease: OwnedLease, ready: boolean): Promise<void> {
  await stores.reports.publish(lease, { ready, reason: '', since: '' }, signal);
}

describe('a fresh node', () => {
  test('is ready alone, and learns of the second by its probe, without a list', async () => {
    const one = lab.start(1);
    await clock.advance(100);
    expect(one.verdict()).toEqual({ state: 'alone', reason: 'no peer' });
    const listed = lab.lists();
    const two = lab.start(2);
    await clock.advance(2_000);
    expect([one.verdict().state, two.verdict().state]).toEqual(['proven', 'proven']);
    // Two's own first look.
    expect(lab.lists() - listed).toBe(1);
  });

  test('asks one of each group, and lists no more while they answer', async () => {
    for (const third of [1, 2, 3, 4]) lab.start(third, { zone: third % 2 === 0 ? 'even' : 'odd' });
    await clock.advance(5_000);
    const lists = lab.lists();
    const sent = lab.network.sent();
    await clock.advance(600_000);
    expect(lab.lists()).toBe(lists);
    // Two groups each, every 30 seconds: 4 × 2 × 20, and jitter.
    expect(lab.network.sent() - sent).toBeGreaterThan(120);
    expect(lab.network.sent() - sent).toBeLessThan(220);
  });

  test('is not ready while the nodes of a group, which are well, do not answer; and is as soon as they do', async () => {
    const old = lab.start(1);
    await reported(old.lease, true);
    lab.network.up.add('10.0.0.1');
    lab.network.unreachable.add('10.244.2.0');
    const fresh = lab.start(2);
    await clock.advance(300_000);
    expect(fresh.verdict()).toMatchObject({ state: 'unreachable', reason: expect.stringContaining('10.244.1.0') });
    lab.network.unreachable.clear();
    await clock.advance(20_000);
    expect(fresh.verdict().state).toBe('proven');
  });

  test('waits for another fresh one however long the routes take', async () => {
    for (const address of ['10.244.1.0', '10.244.2.0']) lab.network.unreachable.add(address);
    const both = [lab.start(1), lab.start(2)];
    for (const { lease } of both) await reported(lease, false);
    for (const address of ['10.0.0.1', '10.0.0.2']) lab.network.up.add(address);
    // The first has seen no peer and is ready; once it has heard of the second, it stays so.
    await clock.advance(240_000);
    expect(both[1]?.verdict().state).toBe('unreachable');
    lab.network.unreachable.clear();
    await clock.advance(40_000);
    expect(both.map((node) => node.verdict().state)).toEqual(['proven', 'proven']);
  });

  test('among leases of dead nodes is ready after half a minute, and says what is not proven', async () => {
    for (const third of [1, 2, 3]) await reported(leased(third, { zone: 'z' }), true);
    const fresh = lab.start(9, { zone: 'z' });
    await clock.advance(25_000);
    expect(fresh.verdict().state).toBe('waiting');
    await clock.advance(25_000);
    expect(fresh.verdict()).toEqual({ state: 'unproven', reason: 'unproven: none of 3 peers answers' });
  });

  test('finds the one live peer among many dead ones', async () => {
    for (let third = 10; third < 30; third++) await reported(leased(third, { zone: 'z' }), true);
    lab.start(40, { zone: 'z' });
    const fresh = lab.start(9, { zone: 'z' });
    await clock.advance(20_000);
    expect(fresh.verdict().state).toBe('proven');
  });

  test('beside real flannel is ready, unproven', async () => {
    leased(1);
    lab.network.pinged.add('10.244.1.1');
    const fresh = lab.start(2);
    await clock.advance(2_000);
    expect(fresh.verdict()).toEqual({
      state: 'unproven',
      reason: 'unproven: peers run real flannel; 10.244.1.1 answers ping',
    });
    await clock.advance(60_000);
    expect(lab.network.looked()).toBe(1);
  });

  test('whose probes are masqueraded is not ready, although it is answered', async () => {
    lab.start(1);
    lab.network.masqueraded.set('10.244.2.0', '10.0.0.2');
    const fresh = lab.start(2);
    await clock.advance(60_000);
    expect(fresh.verdict()).toEqual({
      state: 'unreachable',
      reason: '10.244.1.0 saw 10.0.0.2 as the source of our probe: it was masqueraded on the way',
    });
  });

  test('that can call and not be called is not ready', async () => {
    lab.start(1);
    lab.network.deaf.add('10.244.2.0');
    const fresh = lab.start(2);
    await clock.advance(60_000);
    expect(fresh.verdict()).toMatchObject({
      state: 'unreachable',
      reason: expect.stringMatching(/^10\.244\.1\.0 answers, but what it sends us unasked does not come in/),
    });
  });

  test('says "no peer" never when the list can’t be read', async () => {
    world.setOutage('etcd is away');
    const fresh = lab.start(1);
    await clock.advance(10_000);
    expect(fresh.verdict()).toMatchObject({ state: 'waiting', reason: expect.stringContaining('etcd is away') });
    world.setOutage(undefined);
    await clock.advance(60_000);
    expect(fresh.verdict().state).toBe('alone');
  });
});

describe('a node that was reachable', () => {
  async function cluster(size: number): Promise<ReturnType<ProbeLab['start']>[]> {
    const nodes = Array.from({ length: size }, (_, index) => lab.start(index + 1));
    await clock.advance(5_000);
    for (const { lease, address } of nodes) {
      await reported(lease, true);
      lab.network.up.add(address);
    }
    await clock.advance(60_000);
    expect(nodes.map((node) => node.verdict().state)).toEqual(nodes.map(() => 'proven'));
    return nodes;
  }

  test('stays proven when its peer goes and another answers', async () => {
    const nodes = await cluster(3);
    const told = nodes.map((node) => node.told());
    await nodes[1]?.stop();
    await clock.advance(120_000);
    for (const index of [0, 2]) {
      expect(nodes[index]?.verdict().state).toBe('proven');
      expect(nodes[index]?.told()).toBe(told[index]);
    }
  });

  test('is not ready after three rounds without any answer, and no earlier', async () => {
    const nodes = await cluster(8);
    lab.network.unreachable.add('10.244.1.0');
    await clock.advance(15_000);
    expect(nodes[0]?.verdict().state).toBe('proven');
    await clock.advance(90_000);
    expect(nodes[0]?.verdict()).toMatchObject({ state: 'unreachable' });
    expect(nodes.slice(1).map((node) => node.verdict().state)).toEqual(nodes.slice(1).map(() => 'proven'));
  });

  test('stays ready, and says so, when more than a fifth of all nodes are not ready already', async () => {
    const nodes = await cluster(8);
    for (const node of nodes.slice(1, 3)) await reported(node.lease, false);
    lab.network.unreachable.add('10.244.1.0');
    await clock.advance(240_000);
    expect(nodes[0]?.verdict()).toMatchObject({ state: 'unproven', reason: expect.stringContaining('stays ready') });
    expect(lab.warnings()).toContain('not reachable, but too many nodes are not ready already: this one stays ready');
  });

  test('stays ready when all others are gone', async () => {
    const nodes = await cluster(3);
    for (const node of nodes.slice(1)) {
      await node.stop();
      lab.network.up.delete(node.address);
    }
    const told: string[] = [];
    for (let second = 0; second < 300; second += 5) {
      await clock.advance(5_000);
      told.push(nodes[0]?.verdict().state ?? '');
    }
    expect([...new Set(told)]).toEqual(['proven', 'unproven']);
  });

  test('asks soon again after a failure, and often only while it must', async () => {
    const nodes = await cluster(2);
    const sent = lab.network.sent();
    await nodes[1]?.stop();
    await clock.advance(600_000);
    expect(lab.network.sent() - sent).toBeLessThan(200);
  });
});
