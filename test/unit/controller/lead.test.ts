/** The leader's loop: what wakes it, what it does not do too often, and how it ends. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { createLab, type Lab, type LabOptions, resyncMs } from './lab.ts';

let lab: Lab;

beforeEach(() => use());

function use(options: LabOptions = {}): void {
  lab = createLab(options);
  lab.machine('a1', 'a2', 'a3', 'b1');
}

const lines = (text: string): number => lab.log.filter((line) => line.text.includes(text)).length;
const routes = (id = 'rtb-a'): readonly string[] => Object.keys(lab.cloud.staticRoutes(id));

/** A failure that every call of the action meets. */
function fail(
  action: 'tables' | 'create' | 'resolve' | 'prepare',
  code: 'TRANSIENT' | 'THROTTLED' | 'PERMISSION_DENIED' = 'TRANSIENT',
): void {
  lab.cloud.inject({ action, error: new FlannelVpcError(code, 'the cloud says no'), times: Infinity });
}

describe('a lease that comes', () => {
  it('wakes the leader, and the time until its routes stand is told', async () => {
    lab.join('a1', 1);
    const leader = lab.lead();
    await lab.clock.advance(2_000);
    lab.join('a2', 2);
    await lab.clock.advance(1_000);
    expect(routes()).toEqual(['10.244.1.0/24', '10.244.2.0/24']);
    // Not that of the lease which was there before: nobody knows how long that waited.
    expect(leader.stood).toHaveLength(1);
    expect(leader.stood[0]).toBeLessThan(1_000);
    await leader.stop();
  });

  it('with others is taken together with them', async () => {
    lab.join('a1', 1);
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    const before = leader.passes.length;
    lab.cloud.resetCalls();
    for (const [index, name] of ['a2', 'a3', 'b1'].entries()) {
      lab.join(name, index + 2);
      await lab.clock.advance(20);
    }
    await lab.clock.advance(10_000);
    expect(leader.passes.length - before).toBe(1);
    expect(lab.cloud.count('resolve')).toBe(1);
    expect(routes('rtb-b')).toHaveLength(4);
    await leader.stop();
  });

  it('while a pass is under way gets one of its own right after it', async () => {
    lab.join('a1', 1);
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    const held = lab.cloud.hold('create');
    lab.join('a2', 2);
    await lab.clock.advance(1_000);
    lab.join('a3', 3);
    await lab.clock.advance(1_000);
    expect(leader.stood).toEqual([]);
    held.release();
    await lab.clock.advance(2_000);
    expect(routes()).toHaveLength(3);
    expect(leader.stood).toHaveLength(2);
    await leader.stop();
  });

  it('is not measured as standing by what was looked at before it came', async () => {
    lab.join('a1', 1);
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    const held = lab.cloud.hold('tables');
    lab.join('a2', 2);
    await lab.clock.advance(1_000);
    // The pass under way has listed the leases already, and knows the former value of this one.
    lab.join('a3', 1);
    await lab.clock.settle();
    held.release();
    await lab.clock.settle();
    expect(leader.stood).toHaveLength(1);
    await lab.clock.advance(2_000);
    expect(leader.stood).toHaveLength(2);
    expect(lab.cloud.staticRoutes('rtb-a')).toMatchObject({ '10.244.1.0/24': 'eni-a3' });
    await leader.stop();
  });
});

describe('a resync', () => {
  it('is one look, also where timers fire a little early', async () => {
    lab.join('a1', 1);
    const leader = lab.lead({ timersEarlyMs: 0.5 });
    await lab.clock.advance(10_000);
    const before = leader.passes.length;
    await lab.clock.advance(3.5 * resyncMs);
    expect(leader.passes.length - before).toBe(3);
    await leader.stop();
  });

  it('repairs a route that somebody took out', async () => {
    lab.join('a1', 1);
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    lab.cloud.removeRoute('rtb-a', '10.244.1.0/24');
    await lab.clock.advance(resyncMs * 1.1);
    expect(routes()).toEqual(['10.244.1.0/24']);
    await leader.stop();
  });

  it('costs one read while nothing is wrong, for hours', async () => {
    lab.join('a1', 1);
    lab.join('b1', 2);
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    const revision = lab.world.revision;
    // The hourly question who has the addresses aside.
    expect(await lab.spent(() => lab.clock.advance(50 * 60_000))).toEqual({ tables: 10 });
    expect(lab.world.revision).toBe(revision);
    expect(leader.report().healthy).toBe(true);
    expect(leader.passes.every(({ inSync }, index) => inSync || index === 0)).toBe(true);
    await leader.stop();
  });

  it('removes what has no lease any more', async () => {
    lab.join('a1', 1);
    lab.join('a2', 2);
    const leader = lab.lead();
    await lab.clock.advance(70_000);
    lab.leave(2);
    await lab.clock.advance(resyncMs * 2.3);
    expect(routes()).toEqual(['10.244.1.0/24']);
    expect(leader.report().healthy).toBe(true);
    await leader.stop();
  });

  it('notices that net-conf changed, and so does the first look: a standby may have waited for weeks', async () => {
    const changed = new Error('net-conf changed');
    let stands = false;
    const assertNetConfStands = async (): Promise<void> => {
      if (!stands) throw changed;
    };
    lab.join('a1', 1);
    const first = lab.lead({ assertNetConfStands });
    expect(await first.ended).toBe(changed);
    expect(lab.cloud.count()).toBe(0);
    stands = true;
    const second = lab.lead({ assertNetConfStands });
    await lab.clock.advance(10_000);
    expect(routes()).toHaveLength(1);
    stands = false;
    await lab.clock.advance(resyncMs * 1.1);
    expect(await second.ended).toBe(changed);
  });
});

describe('a cloud that fails', () => {
  it('is asked at a bounded rate, whatever the events, and that is said rarely', async () => {
    lab.join('a1', 1);
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    fail('tables');
    lab.cloud.resetCalls();
    for (let index = 0; index < 600; index++) {
      lab.join('a1', 1);
      await lab.clock.advance(1_000);
    }
    // Ten minutes: each look tries eight times within its budget, over some minute.
    expect(lab.cloud.count()).toBeLessThan(120);
    expect(lines('cannot look at the cluster')).toBeLessThanOrEqual(3);
    const { problems, healthy, nodes } = leader.report();
    expect(healthy).toBe(false);
    // What was seen last stays visible, with what went wrong on top; not piled up.
    expect(problems).toMatchObject([{ code: 'TRANSIENT' }]);
    expect(nodes).toHaveLength(1);
    lab.cloud.clearFaults();
    await lab.clock.advance(120_000);
    expect(leader.report().healthy).toBe(true);
    await leader.stop();
  });

  it('by writes is asked at a bounded rate, whatever the events', async () => {
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    fail('create', 'THROTTLED');
    lab.cloud.resetCalls();
    for (let index = 0; index < 600; index++) {
      lab.join('a1', 1);
      await lab.clock.advance(1_000);
    }
    // Ten minutes: some twenty passes, each with eight tries within its budget.
    expect(lab.cloud.count('create')).toBeLessThan(240);
    expect(lab.cloud.count('tables')).toBeLessThan(60);
    expect(leader.passes.some(({ inSync }) => inSync === false)).toBe(true);
    lab.cloud.clearFaults();
    await lab.clock.advance(120_000);
    expect(routes()).toEqual(['10.244.1.0/24']);
    await leader.stop();
  });

  it('by conflicts is asked at a bounded rate, whatever the events', async () => {
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    const error = new FlannelVpcError('CONFLICT', 'somebody else writes at the same time');
    lab.cloud.inject({ action: 'create', error, times: Infinity });
    lab.cloud.resetCalls();
    for (let index = 0; index < 300; index++) {
      lab.join('a1', 1);
      await lab.clock.advance(1_000);
    }
    // Five minutes: one pass in five seconds at most.
    expect(lab.cloud.count('create')).toBeLessThanOrEqual(65);
    await leader.stop();
  });

  it('by refusals is asked once for each look', async () => {
    fail('prepare', 'PERMISSION_DENIED');
    lab.cloud.addInstance({ id: 'i-x', nics: [{ id: 'eni-x', subnetId: 'subnet-a', addresses: ['10.0.1.99'] }] });
    lab.join('x', 9, { address: '10.0.1.99' });
    const leader = lab.lead();
    await lab.clock.advance(3 * 3_600_000);
    // A few soon, then one for each resync.
    expect(lab.cloud.count('prepare')).toBeLessThan(60);
    expect(lab.cloud.count('prepare')).toBeGreaterThan(20);
    expect(lines('the source/dest check of ')).toBe(1);
    await leader.stop();
  });

  it('by reads that lag behind for long is not asked without end', async () => {
    lab.cloud.setReadLag(60_000);
    lab.join('a1', 1);
    const leader = lab.lead();
    await lab.clock.advance(60_000);
    expect(lab.cloud.count('create')).toBeLessThan(20);
    expect(lab.cloud.count('tables')).toBeLessThan(40);
    await lab.clock.advance(60_000);
    expect(leader.report().healthy).toBe(true);
    expect(routes()).toEqual(['10.244.1.0/24']);
    await leader.stop();
  });

  it('by a full table is not written to in between', async () => {
    use({ capabilities: { defaultRouteLimit: 2 } });
    lab.join('a1', 1);
    lab.join('a2', 2);
    const leader = lab.lead();
    await lab.clock.advance(3 * 3_600_000);
    // One that stands, and one refusal for each quarter of an hour.
    expect(lab.cloud.count('create')).toBeLessThanOrEqual(2 + 12);
    expect(leader.report().problems).toMatchObject([{ code: 'QUOTA_EXCEEDED' }]);
    expect(leader.passes.at(-1)?.inSync).toBe(false);
    await leader.stop();
  });
});

describe('a lease without a next hop', () => {
  it('is looked at again soon, and then ever more rarely', async () => {
    lab.join('a9', 9);
    const leader = lab.lead();
    await lab.clock.advance(60_000);
    const early = leader.passes.length;
    expect(early).toBeGreaterThanOrEqual(3);
    lab.machine('a9');
    await lab.clock.advance(60_000);
    expect(routes()).toEqual(['10.244.9.0/24']);
    await leader.stop();
  });

  it('is looked at soon although another one has been without for hours', async () => {
    lab.join('a8', 8);
    const leader = lab.lead();
    await lab.clock.advance(4 * 3_600_000);
    lab.join('a9', 9);
    await lab.clock.advance(1_000);
    lab.machine('a9');
    await lab.clock.advance(10_000);
    expect(routes()).toEqual(['10.244.9.0/24']);
    await leader.stop();
  });
});

describe('a node that is terminated', () => {
  it('right after its route was written is cleaned up in a minute, without a word of failure', async () => {
    lab.join('a1', 1);
    lab.join('a2', 2);
    const leader = lab.lead({ reapTerminated: true });
    await lab.clock.advance(5_000);
    lab.cloud.setInstanceState('i-a2', 'terminated');
    lab.leave(2);
    await lab.clock.advance(62_000);
    expect(routes()).toEqual(['10.244.1.0/24']);
    expect(lab.log.filter(({ level }) => level === 'error')).toEqual([]);
    await leader.stop();
  });
});

describe('a leadership', () => {
  it('that is lost in the middle of a write ends with no write after it', async () => {
    for (const [index, name] of ['a1', 'a2', 'a3'].entries()) lab.join(name, index + 1);
    const held = lab.cloud.hold('create');
    const leader = lab.lead();
    await lab.clock.advance(1_000);
    await held.arrived(3);
    const before = lab.world.revision;
    leader.lose();
    await lab.clock.settle();
    await expect(leader.ended).resolves.toMatchObject({ code: 'LEADERSHIP_LOST' });
    lab.cloud.resetCalls();
    held.release();
    lab.join('b1', 9);
    await lab.clock.advance(resyncMs * 2);
    expect(lab.cloud.count()).toBe(0);
    expect([...lab.world.records().values()].some(({ holder }) => holder === 'i-b1')).toBe(false);
    expect(Number(lab.world.revision)).toBe(Number(before) + 1);
  });

  it('that the store gave to another ends at the first write, although nobody told this leader', async () => {
    lab.join('a1', 1);
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    lab.world.putLeader({ holder: 'other', since: '' }, 60_000);
    lab.cloud.resetCalls();
    lab.join('a2', 2);
    await lab.clock.advance(1_000);
    await expect(leader.ended).resolves.toMatchObject({ code: 'LEADERSHIP_LOST' });
    expect(lab.cloud.count('create')).toBe(0);
  });

  it('that is new changes and removes nothing for as long as a request of the one before may take', async () => {
    lab.join('a1', 1);
    await lab.writer().pass();
    await lab.clock.advance(60_000);
    lab.join('a2', 1);
    lab.join('a3', 3);
    const leader = lab.lead({ wonMsAgo: 0 });
    await lab.clock.advance(9_900);
    expect(lab.cloud.staticRoutes('rtb-a')).toEqual({ '10.244.1.0/24': 'eni-a1', '10.244.3.0/24': 'eni-a3' });
    expect(lab.log.filter(({ level }) => level === 'error')).toEqual([]);
    await lab.clock.advance(200);
    expect(lab.cloud.staticRoutes('rtb-a')).toMatchObject({ '10.244.1.0/24': 'eni-a2' });
    await leader.stop();
  });

  it('that ends by a signal ends soon, whatever it waits for', async () => {
    lab.join('a1', 1);
    for (const action of ['tables', 'resolve', 'create'] as const) {
      const held = lab.cloud.hold(action);
      lab.cloud.removeRoute('rtb-a', '10.244.1.0/24');
      const leader = lab.lead();
      await held.arrived(1);
      await leader.stop();
      expect(await leader.ended).toMatchObject({ name: 'AbortError' });
      held.release();
      await lab.clock.settle();
    }
    expect(lab.clock.pauses().filter((ms) => ms < 3_600_000)).toEqual([]);
  });
});

describe('a dry run', () => {
  it('writes nothing anywhere, and says what it would do once', async () => {
    lab.cloud.addInstance({ id: 'i-x', nics: [{ id: 'eni-x', subnetId: 'subnet-a', addresses: ['10.0.1.99'] }] });
    lab.join('x', 9, { address: '10.0.1.99' });
    lab.join('a2', 2);
    const writer = lab.writer();
    await writer.pass();
    await lab.clock.advance(60_000);
    lab.join('a1', 1);
    lab.cloud.setInstanceState('i-a2', 'terminated');
    lab.cloud.resetCalls();
    const leader = lab.lead({ dryRun: true, reapTerminated: true });
    const revision = lab.world.revision;
    await lab.clock.advance(4 * resyncMs);
    expect(lab.cloud.count('create', 'replace', 'delete', 'prepare')).toBe(0);
    expect(lab.world.revision).toBe(revision);
    expect(lines('dry run: would create')).toBe(1);
    expect(lines('dry run: would delete')).toBe(1);
    expect(leader.report().controller?.dryRun).toBe(true);
    await leader.stop();
  });
});

describe('a large cluster', () => {
  it('is written in several passes, without a pause and without alarm', async () => {
    for (let index = 1; index <= 250; index++) {
      lab.machine(`c${index}`);
      lab.join(`c${index}`, index);
    }
    const leader = lab.lead();
    await lab.clock.advance(120_000);
    expect(routes('rtb-main')).toHaveLength(250);
    expect(leader.report().healthy).toBe(true);
    expect(leader.passes.length).toBeLessThanOrEqual(5);
    expect(lab.cloud.count('resolve')).toBe(1);
    expect(lab.cloud.count('tables')).toBeLessThanOrEqual(10);
    expect(lab.log.filter(({ level }) => level === 'error')).toEqual([]);
    await leader.stop();
  });
});
