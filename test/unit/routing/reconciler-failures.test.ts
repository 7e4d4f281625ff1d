/** Whole passes when the cloud refuses or the store is away: what goes on all the same, and what is said. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import type { PassResult } from '../../../src/routing/reconciler.ts';
import { desired, target } from './fixtures.ts';
import { agentA, createPassLab, own, type PassLab } from './pass-lab.ts';

const all = { kind: 'all' } as const;
const many = Array.from({ length: 10 }, (_, index) => desired(`10.244.${index + 1}.0/24`, 'a', { since: 10 - index }));
const codes = ({ problems }: PassResult): readonly string[] => problems.map(({ code }) => code);
const messages = ({ problems }: PassResult): readonly string[] => problems.map(({ message }) => message);
let lab: PassLab;

beforeEach(() => {
  lab = createPassLab();
  lab.putLease('10.244.1.0/24', 'a');
});

describe('a full table', () => {
  const tables = [
    { id: 'rtb-1', networkId: 'vpc-1', main: true, routeLimit: 4 },
    { id: 'rtb-2', networkId: 'vpc-1' },
  ];

  it('takes those that wait longest, is one problem, and stops no other table', async () => {
    lab = createPassLab({ tables });
    const result = await lab.process(all).pass(many);
    expect(result.inSync).toBe(false);
    expect(codes(result)).toEqual(['QUOTA_EXCEEDED']);
    expect(messages(result)).toEqual(['table rtb-1: the table is full: 4 routes; 7 waiting, 10.244.7.0/24 the first']);
    expect(Object.keys(lab.cloud.staticRoutes('rtb-1'))).toEqual(['10.244.10.0/24', '10.244.8.0/24', '10.244.9.0/24']);
    expect(Object.keys(lab.cloud.staticRoutes('rtb-2'))).toHaveLength(10);
  });

  it('is not asked again for what it had no room for', async () => {
    lab = createPassLab({ tables });
    const process = lab.process(all);
    await process.pass(many);
    lab.cloud.resetCalls();
    expect(codes(await process.pass(many))).toEqual(['QUOTA_EXCEEDED']);
    expect(lab.cloud.calls.map(({ action }) => action)).toEqual(['tables']);
  });

  it('whose limit the cloud does not tell is found out by its refusal, and then left alone', async () => {
    const more = Array.from({ length: 60 }, (_, index) => desired(`10.245.${index}.0/24`, 'a', { since: index }));
    lab = createPassLab({ capabilities: { defaultRouteLimit: 4 }, network: '10.245.0.0/16' });
    const result = await lab.process(all).pass(more);
    expect(result.inSync).toBe(false);
    expect(codes(result)).toEqual(['QUOTA_EXCEEDED', 'QUOTA_EXCEEDED']);
    const oldest = ['10.245.0.0/24', '10.245.1.0/24', '10.245.2.0/24'];
    expect(Object.keys(lab.cloud.staticRoutes('rtb-1'))).toEqual(oldest);
    expect(Object.keys(lab.cloud.staticRoutes('rtb-2'))).toEqual(oldest);
    // The three that fit, and those under way at the first refusal, in each table.
    expect(lab.cloud.count('create')).toBeLessThanOrEqual(2 * (3 + 8));
  });

  it('is in sync once there is room', async () => {
    lab = createPassLab({
      tables: [
        { id: 'rtb-1', networkId: 'vpc-1', routeLimit: 2, main: true },
        { id: 'rtb-2', networkId: 'vpc-1' },
      ],
    });
    lab.putLease('10.244.1.0/24', 'a');
    lab.cloud.putRoute('rtb-1', { destination: '192.168.0.0/16', target: { kind: 'peering', id: 'pcx-1' } });
    const process = lab.process(agentA);
    expect((await process.pass(own)).inSync).toBe(false);
    lab.cloud.removeRoute('rtb-1', '192.168.0.0/16');
    expect((await process.pass(own)).inSync).toBe(true);
  });
});

describe('a permission that is missing', () => {
  const denied = new FlannelVpcError('PERMISSION_DENIED', 'not allowed: ec2:CreateRoute', { hint: 'allow it' });

  it('in one table stops no other, and is told with its hint', async () => {
    lab.cloud.inject({
      action: 'create',
      error: denied,
      matches: ({ tableId }) => tableId === 'rtb-1',
      times: Infinity,
    });
    const result = await lab.process(agentA).pass(own);
    expect(result.inSync).toBe(false);
    expect(result.problems).toEqual([denied]);
    expect(lab.cloud.staticRoutes('rtb-2')).toEqual({ '10.244.1.0/24': 'eni-a' });
    lab.cloud.clearFaults();
    expect((await lab.process(agentA).pass(own)).inSync).toBe(true);
  });

  it('to delete leaves the record unmarked, is told at each look, and the route goes once it is given', async () => {
    lab.cloud.putRoute('rtb-1', { destination: '10.244.9.0/24', target: target('a') });
    lab.putRecord('rtb-1', '10.244.9.0/24', 'a');
    lab.cloud.inject({ action: 'delete', error: denied, times: 2 });
    const process = lab.process(agentA);
    await process.pass(own);
    for (let look = 0; look < 2; look += 1) {
      expect(await process.pass(own)).toMatchObject({ inSync: true, problems: [denied], held: [] });
      expect(lab.records()).toContain('10.244.9.0/24 rtb-1 eni-a');
    }
    expect((await process.pass(own)).done).toMatchObject([{ action: 'delete' }]);
    expect(lab.records().join()).not.toContain('10.244.9.0/24');
  });
});

describe('an answer that is lost', () => {
  it('to a creation is a problem now, and nothing is left to do later', async () => {
    lab.cloud.inject({ action: 'create', error: new FlannelVpcError('TRANSIENT', 'the line broke'), when: 'after' });
    const process = lab.process(agentA);
    expect(messages(await process.pass(own))).toEqual(['the line broke']);
    lab.cloud.resetCalls();
    expect((await process.pass(own)).inSync).toBe(true);
    expect(lab.cloud.calls.map(({ action }) => action)).toEqual(['tables']);
  });

  it('to a deletion leaves the record, which is forgotten when its mark is over', async () => {
    lab.cloud.putRoute('rtb-1', { destination: '10.244.9.0/24', target: target('a') });
    lab.putRecord('rtb-1', '10.244.9.0/24', 'a');
    lab.cloud.inject({ action: 'delete', error: new FlannelVpcError('TRANSIENT', 'the line broke'), when: 'after' });
    const writer = lab.process(all);
    await writer.pass(own);
    expect(messages(await writer.pass(own))).toEqual(['the line broke']);
    expect(lab.records()).toContain('10.244.9.0/24 rtb-1 eni-a being removed');
    expect((await writer.pass(own)).done).toEqual([]);
    await lab.clock.advance(46_000);
    expect((await writer.pass(own)).done).toMatchObject([{ action: 'forget' }]);
    expect(lab.records().join()).not.toContain('10.244.9.0/24');
  });

  it('because a deletion hangs is given up while the mark still protects the route', async () => {
    lab.cloud.putRoute('rtb-1', { destination: '10.244.9.0/24', target: target('a') });
    lab.putRecord('rtb-1', '10.244.9.0/24', 'a');
    const process = lab.process(agentA);
    await process.pass(own);
    const held = lab.cloud.hold('delete');
    const result = await process.pass(own, { ms: 20_000 });
    expect(messages(result)).toEqual(['taking 10.244.9.0/24 out of rtb-1 took too long']);
    expect(lab.records()).toContain('10.244.9.0/24 rtb-1 eni-a being removed');
    held.release();
  });
});

describe("somebody's mark of removal", () => {
  const until = (lab: PassLab, ms: number) => ({ removingUntil: new Date(lab.clock.now() + ms).toISOString() });

  it('delays writing the route until it is over', async () => {
    lab.putRecord('rtb-1', '10.244.1.0/24', 'b', until(lab, 30_000));
    const process = lab.process(agentA);
    const result = await process.pass(own, { resync: false });
    expect(result.inSync).toBe(false);
    expect(result.problems).toMatchObject([{ code: 'TRANSIENT', retryAfterMs: 30_000 }]);
    expect(lab.cloud.count('create')).toBe(0);
    await lab.clock.advance(30_000);
    expect((await process.pass(own)).inSync).toBe(true);
    expect(lab.records()).toEqual(['10.244.1.0/24 rtb-1 eni-a', '10.244.1.0/24 rtb-2 eni-a']);
  });

  it('puts a route that stands in doubt', async () => {
    for (const id of ['rtb-1', 'rtb-2']) lab.cloud.putRoute(id, { destination: '10.244.1.0/24', target: target('a') });
    lab.putRecord('rtb-1', '10.244.1.0/24', 'a', until(lab, 30_000));
    const process = lab.process(agentA);
    expect((await process.pass(own)).inSync).toBe(false);
    // The deletion that the mark was set for lands now.
    lab.cloud.removeRoute('rtb-1', '10.244.1.0/24');
    await lab.clock.advance(30_000);
    expect((await process.pass(own)).inSync).toBe(true);
    expect(lab.cloud.staticRoutes('rtb-1')).toEqual({ '10.244.1.0/24': 'eni-a' });
  });
});

describe('a store that is away', () => {
  it('keeps routes from being written, since nobody could tell later whose they are', async () => {
    lab.world.setOutage('no answer');
    const process = lab.process(agentA);
    expect(codes(await process.pass(own))).toEqual(['STORE_UNAVAILABLE']);
    expect(lab.cloud.count('create')).toBe(0);
    lab.world.setOutage(undefined);
    expect((await process.pass(own)).inSync).toBe(true);
  });

  it('does not matter to routes that stand', async () => {
    const process = lab.process(agentA);
    await process.pass(own);
    lab.world.setOutage('no answer');
    expect(await process.pass(own)).toMatchObject({ inSync: true, problems: [] });
  });
});

describe("somebody else's route in our place", () => {
  it('is not touched, is told of, and stops no other table', async () => {
    lab.cloud.putRoute('rtb-1', { destination: '10.244.1.0/24', target: { kind: 'peering', id: 'pcx-1' } });
    const result = await lab.process(agentA).pass(own);
    expect(result.inSync).toBe(false);
    expect(codes(result)).toEqual(['ROUTE_NOT_OWNED']);
    expect(result.conflicts).toMatchObject([{ tableId: 'rtb-1', target: { id: 'pcx-1' } }]);
    expect(lab.cloud.staticRoutes('rtb-1')).toEqual({ '10.244.1.0/24': 'pcx-1' });
    expect(lab.cloud.staticRoutes('rtb-2')).toEqual({ '10.244.1.0/24': 'eni-a' });
  });
});
