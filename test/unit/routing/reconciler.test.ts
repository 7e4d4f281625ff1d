/** Whole passes against a cloud and a store made of memory: what is written, in which order, and what is said. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { MemoryAction } from '../../../providers/memory/traffic.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import type { PassResult } from '../../../src/routing/reconciler.ts';
import { desired, target } from './fixtures.ts';
import { agentA, createPassLab, own, type PassLab } from './pass-lab.ts';

const writes: readonly MemoryAction[] = ['create', 'replace', 'delete'];
const codes = ({ problems }: PassResult): readonly string[] => problems.map(({ code }) => code);
let lab: PassLab;

beforeEach(() => {
  lab = createPassLab();
  lab.putLease('10.244.1.0/24', 'a');
});

describe('a first pass', () => {
  it('records the routes, then writes them, then sees them stand', async () => {
    const result = await lab.process(agentA).pass(own, { resync: false });
    expect(result).toMatchObject({ inSync: true, problems: [], held: [], conflicts: [], foreign: [] });
    expect(lab.events).toEqual([
      'claim 10.244.1.0/24 rtb-1, 10.244.1.0/24 rtb-2',
      'create 10.244.1.0/24 rtb-1',
      'create 10.244.1.0/24 rtb-2',
    ]);
    expect(lab.cloud.calls.map(({ action }) => action)).toEqual(['tables', 'create', 'create', 'tables']);
    expect(lab.records()).toEqual(['10.244.1.0/24 rtb-1 eni-a', '10.244.1.0/24 rtb-2 eni-a']);
  });

  it('uses tables that were read just now', async () => {
    const provider = lab.cloud.provider('i-a');
    const signal = new AbortController().signal;
    const tables = await provider.tables({ tableIds: ['rtb-1'], networkId: 'vpc-1', subnetIds: [] }, signal);
    lab.cloud.resetCalls();
    await lab.process(agentA).pass(own, { tables });
    expect(lab.cloud.calls[0]?.action).toBe('create');
  });

  it('takes over the route that a former holder left, in place', async () => {
    lab.cloud.putRoute('rtb-1', { destination: '10.244.1.0/24', target: target('b') });
    lab.putRecord('rtb-1', '10.244.1.0/24', 'b');
    const result = await lab.process(agentA).pass(own);
    expect(result.inSync).toBe(true);
    expect(result.done.map(({ action }) => action).toSorted()).toEqual(['create', 'replace']);
    expect(lab.cloud.count('delete')).toBe(0);
    expect(lab.records()).toContain('10.244.1.0/24 rtb-1 eni-a');
  });
});

describe('a pass when nothing has changed', () => {
  it('makes one read, no write, and asks nothing of the store', async () => {
    const process = lab.process(agentA);
    await process.pass(own);
    const { revision } = lab.world;
    lab.events.splice(0);
    lab.cloud.resetCalls();
    expect((await process.pass(own)).inSync).toBe(true);
    expect(lab.cloud.calls.map(({ action }) => action)).toEqual(['tables']);
    expect(lab.events).toEqual([]);
    expect(lab.world.revision).toBe(revision);
  });

  it('puts nothing into the store after a restart either', async () => {
    await lab.process(agentA).pass(own);
    const { revision } = lab.world;
    lab.events.splice(0);
    lab.cloud.resetCalls();
    expect((await lab.process(agentA).pass(own)).inSync).toBe(true);
    expect(lab.cloud.count(...writes)).toBe(0);
    expect(lab.events).toEqual(['claim 10.244.1.0/24 rtb-1, 10.244.1.0/24 rtb-2']);
    expect(lab.world.revision).toBe(revision);
  });

  it('records a route that stood before there was a record', async () => {
    for (const id of ['rtb-1', 'rtb-2']) {
      lab.cloud.putRoute(id, { destination: '10.244.1.0/24', target: target('a') });
    }
    expect((await lab.process(agentA).pass(own)).inSync).toBe(true);
    expect(lab.cloud.count(...writes)).toBe(0);
    expect(lab.records()).toEqual(['10.244.1.0/24 rtb-1 eni-a', '10.244.1.0/24 rtb-2 eni-a']);
  });
});

describe('somebody who writes at the same time', () => {
  const meddle = () => lab.cloud.putRoute('rtb-1', { destination: '10.244.1.0/24', target: target('b') });

  it('is met by reading and planning anew', async () => {
    lab.afterNext('claim', meddle);
    const result = await lab.process(agentA).pass(own);
    expect(result).toMatchObject({ inSync: true, problems: [] });
    expect(lab.cloud.calls.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
      'tables ok',
      'create CONFLICT',
      'create ok',
      'tables ok',
      'replace ok',
      'tables ok',
    ]);
  });

  it('is left alone after three rounds, and told of', async () => {
    const error = new FlannelVpcError('CONFLICT', 'the route exists already');
    lab.cloud.inject({ error, matches: ({ tableId }) => tableId === 'rtb-1', times: Infinity });
    const result = await lab.process(agentA).pass(own);
    expect(lab.cloud.count('create')).toBe(4);
    expect(result.inSync).toBe(false);
    expect(result.problems.map(({ message }) => message)).toEqual([
      'somebody else writes the same route at the same time',
    ]);
  });
});

describe('reads that lag behind writes', () => {
  it('are repeated until they show what was written', async () => {
    lab.cloud.setReadLag(1_400);
    const result = await lab.process(agentA).pass(own, { ms: 10_000 });
    expect(result.inSync).toBe(true);
    const reads = lab.cloud.calls.filter(({ action }) => action === 'tables').map(({ at }) => at);
    expect(reads).toEqual([0, 0, 500, 1_500]);
    expect(lab.cloud.count(...writes)).toBe(2);
  });

  it('are not waited for longer than some seconds, and harm nothing later', async () => {
    lab.cloud.setReadLag(20_000);
    const process = lab.process(agentA);
    const late = await process.pass(own, { ms: 7_500 });
    expect(late).toMatchObject({ inSync: false });
    expect(late.problems.map(({ message }) => message)).toEqual([
      'what was written does not show in the route table yet',
    ]);
    await lab.clock.advance(20_000);
    lab.cloud.resetCalls();
    expect((await process.pass(own)).inSync).toBe(true);
    expect(lab.cloud.count(...writes)).toBe(0);
  });

  it('that fail are told of', async () => {
    lab.afterNext('claim', () =>
      lab.cloud.inject({ action: 'tables', error: new FlannelVpcError('THROTTLED', 'slow down') }),
    );
    const result = await lab.process(agentA).pass(own);
    expect(result.inSync).toBe(false);
    expect(codes(result)).toEqual(['THROTTLED']);
    expect(result.done).toHaveLength(2);
  });

  it('at the start of a pass end it', async () => {
    lab.cloud.inject({ action: 'tables', error: new FlannelVpcError('THROTTLED', 'slow down') });
    await expect(lab.process(agentA).pass(own)).rejects.toMatchObject({ code: 'THROTTLED' });
    expect(lab.events).toEqual([]);
  });
});

describe('a process that is killed', () => {
  it('between record and route leaves nothing that the next one would not mend', async () => {
    const controller = new AbortController();
    lab.afterNext('claim', () => controller.abort());
    await expect(lab.process(agentA).pass(own, { signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(lab.cloud.count(...writes)).toBe(0);
    expect(lab.records()).toEqual(['10.244.1.0/24 rtb-1 eni-a', '10.244.1.0/24 rtb-2 eni-a']);
    expect((await lab.process(agentA).pass(own)).inSync).toBe(true);
  });

  it('between two tables leaves one, and the next process writes the other', async () => {
    const controller = new AbortController();
    lab.cloud.onChange(() => controller.abort());
    const { signal } = controller;
    await expect(lab.process(agentA).pass(own, { signal })).rejects.toMatchObject({ name: 'AbortError' });
    await lab.clock.settle();
    expect((await lab.process(agentA).pass(own)).inSync).toBe(true);
    expect(lab.cloud.staticRoutes('rtb-2')).toEqual({ '10.244.1.0/24': 'eni-a' });
  });
});

describe('a route', () => {
  it('that is wanted twice is written for nobody', async () => {
    const result = await lab
      .process({ kind: 'all' })
      .pass([desired('10.244.1.0/24', 'a'), desired('10.244.1.0/24', 'b')]);
    expect(result.inSync).toBe(false);
    expect(result.held.map(({ code }) => code)).toEqual(['contested', 'contested']);
    expect(lab.cloud.count(...writes)).toBe(0);
  });
});
