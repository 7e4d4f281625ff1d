/** How a plan is carried out where a cloud can't replace a route, and what is refused at the last moment. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createMemoryOwnershipStore } from '../../../lease/memory/ownership-store.ts';
import type { MemoryCloudOptions } from '../../../providers/memory/memory-cloud.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { type Executor, executePlan } from '../../../src/routing/execute.ts';
import type { RouteStep, WriteStep } from '../../../src/routing/route-plan.ts';
import { desired, known, nextHop, planInput, record, target } from './fixtures.ts';
import { agentA, createPassLab, own, type PassLab } from './pass-lab.ts';

const signal = new AbortController().signal;
const failure = new FlannelVpcError('TRANSIENT', 'the line broke');

/** A cloud in which the route of a's lease still leads to b, in the first of two tables. */
function labOf(capabilities: MemoryCloudOptions['capabilities']): PassLab {
  const lab = createPassLab({ capabilities });
  lab.putLease('10.244.1.0/24', 'a');
  lab.cloud.putRoute('rtb-1', { destination: '10.244.1.0/24', target: target('b') });
  return lab;
}

const inFirst = (lab: PassLab): readonly string[] =>
  lab.cloud
    .routes('rtb-1')
    .filter(({ origin }) => origin === 'static')
    .map(({ target: { id } }) => id);

describe('a move where routes coexist', () => {
  let lab: PassLab;
  beforeEach(() => {
    lab = labOf({ replacesInPlace: false, coexistingRoutes: true });
  });

  it('adds, then takes the former next hop out', async () => {
    expect((await lab.process(agentA).pass(own)).inSync).toBe(true);
    expect(lab.events.filter((event) => event.endsWith('rtb-1'))).toEqual([
      'create 10.244.1.0/24 rtb-1',
      'delete 10.244.1.0/24 rtb-1',
    ]);
    expect(inFirst(lab)).toEqual(['eni-a']);
  });

  it('takes nothing out where it could not add, and goes on with the other table', async () => {
    lab.cloud.inject({ action: 'create', error: failure, matches: ({ tableId }) => tableId === 'rtb-1' });
    const process = lab.process(agentA);
    expect(await process.pass(own)).toMatchObject({ inSync: false, problems: [failure] });
    expect(inFirst(lab)).toEqual(['eni-b']);
    expect(lab.cloud.staticRoutes('rtb-2')).toEqual({ '10.244.1.0/24': 'eni-a' });
    expect((await process.pass(own)).inSync).toBe(true);
    expect(inFirst(lab)).toEqual(['eni-a']);
  });

  it('is ended by the next pass if it was cut off in the middle', async () => {
    lab.cloud.inject({ action: 'delete', error: failure });
    const process = lab.process(agentA);
    expect((await process.pass(own)).inSync).toBe(false);
    expect(inFirst(lab)).toEqual(['eni-b', 'eni-a']);
    const result = await process.pass(own);
    expect(result).toMatchObject({ inSync: true, problems: [], done: [{ action: 'withdraw' }] });
    expect(inFirst(lab)).toEqual(['eni-a']);
  });
});

describe('a move where a cloud can neither replace nor keep both', () => {
  let lab: PassLab;
  beforeEach(() => {
    lab = labOf({ replacesInPlace: false });
  });

  it('takes the former next hop out, and adds in the very next call', async () => {
    expect((await lab.process(agentA).pass(own)).inSync).toBe(true);
    expect(lab.events.filter((event) => event.endsWith('rtb-1'))).toEqual([
      'delete 10.244.1.0/24 rtb-1',
      'create 10.244.1.0/24 rtb-1',
    ]);
  });

  it('adds nothing where it could not take out', async () => {
    lab.cloud.inject({ action: 'delete', error: failure });
    expect(await lab.process(agentA).pass(own)).toMatchObject({ inSync: false, problems: [failure] });
    expect(inFirst(lab)).toEqual(['eni-b']);
    expect(lab.cloud.calls.filter(({ action, tableId }) => action === 'create' && tableId === 'rtb-1')).toEqual([]);
  });
});

describe('a plan that should never have been made', () => {
  const at = (destination: string) => desired(destination, 'a');
  const writeTo = (destination: string): WriteStep => ({
    ...at(destination),
    ...{ tableId: 'rtb-1', action: 'create', reason: 'a fault of the planner' },
  });
  const removalOf = (destination: string): RouteStep => ({
    ...{
      action: 'delete',
      tableId: 'rtb-1',
      destination: at(destination).destination,
      reason: 'a fault of the planner',
    },
    ...{ record: record('rtb-1', destination, 'a'), expected: target('a') },
  });
  const wanted = [at('10.244.1.0/24'), at('10.250.0.0/24')];

  it.each<[string, RouteStep]>([
    ['outside the networks', writeTo('10.250.0.0/24')],
    ['for a route that no lease asks for', writeTo('10.244.2.0/24')],
    ['by another next hop than the lease has', { ...writeTo('10.244.1.0/24'), nextHop: nextHop('b') }],
    [
      'in place of a gateway',
      { ...writeTo('10.244.1.0/24'), action: 'replace', expected: { kind: 'gateway', id: 'igw-1' } },
    ],
    ['that takes out a live lease', removalOf('10.244.1.0/24')],
    ['that deletes outside the networks', removalOf('10.251.0.0/24')],
  ])('is refused where it writes %s; the rest is carried out', async (_, step) => {
    const lab = createPassLab();
    const executor: Executor = {
      provider: lab.cloud.provider('i-a'),
      ownership: createMemoryOwnershipStore(lab.world),
      ...{ clock: lab.clock, logger: silentLogger, recent: new Map(), claimed: new Set() },
    };
    const good = { ...writeTo('10.244.3.0/24') };
    const input = planInput({ desired: [...wanted, at('10.244.3.0/24')], leases: known(['10.244.1.0/24']) });
    const execution = await executePlan(executor, { steps: [step, good], kept: [] }, input, signal);
    expect(execution.failures).toMatchObject([{ step, error: { code: 'INTERNAL' } }]);
    expect(execution.done).toEqual([good]);
    expect(lab.cloud.calls.map(({ destination }) => destination)).toEqual(['10.244.3.0/24']);
    expect(lab.records()).toEqual(['10.244.3.0/24 rtb-1 eni-a']);
  });
});
