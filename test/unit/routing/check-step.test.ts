/** The last look before a step is carried out: faults of a plan must not reach the cloud. */
import { describe, expect, it } from '@jest/globals';
import { createStepCheck, recentMs, writeKey } from '../../../src/routing/check-step.ts';
import type { PlanInput, RemovalStep, WriteStep } from '../../../src/routing/route-plan.ts';
import { cidr, desired, known, nextHop, planInput, record, target } from './fixtures.ts';

const subnet = '10.244.1.0/24';
const input = planInput({ desired: [desired(subnet, 'a')], leases: known([subnet]) });

const base = { tableId: 'rtb-1', reason: '' };

function create(destination: string, machine: string): WriteStep {
  return { ...base, action: 'create', destination: cidr(destination), nextHop: nextHop(machine), holder: 'i-a' };
}

function remove(destination: string, more: Partial<RemovalStep> = {}): RemovalStep {
  const step = { ...base, destination: cidr(destination), record: record('rtb-1', destination, 'b'), ...more };
  return { ...step, action: 'delete', expected: target('b') };
}

const objection = (step: WriteStep | RemovalStep, world: PlanInput = input, recent = new Map<string, number>()) =>
  createStepCheck(world)(step, recent, 1_000_000);

describe('a write', () => {
  it('of a desired route passes', () => {
    expect(objection(create(subnet, 'a'))).toBeUndefined();
  });

  it.each([
    ['outside the networks', create('10.0.0.0/24', 'a'), 'outside'],
    ['of a whole network', create('10.244.0.0/20', 'a'), 'outside'],
    ['of everything', create('0.0.0.0/0', 'a'), 'outside'],
    ['of half a subnet', create('10.244.1.0/25', 'a'), 'no subnet'],
    ['that no lease asks for', create('10.244.2.0/24', 'a'), 'no lease asks'],
    ['by another NIC than the lease’s', create(subnet, 'b'), 'no lease asks'],
    [
      'over a gateway',
      { ...create(subnet, 'a'), action: 'replace', expected: { kind: 'gateway', id: 'igw-1' } } as WriteStep,
      'gateway',
    ],
    [
      'that takes out the lease’s own route',
      { ...create(subnet, 'a'), action: 'withdraw', expected: target('a') } as WriteStep,
      'leads to its lease',
    ],
  ])('%s does not', (_, step, text) => {
    expect(objection(step)).toContain(text);
  });
});

describe('a deletion', () => {
  it('of a route without a lease passes', () => {
    expect(objection(remove('10.244.2.0/24'))).toBeUndefined();
  });

  it.each([
    ['outside the networks', remove('10.0.0.0/24'), 'outside'],
    ['of a desired route', remove(subnet), 'a lease holds'],
    ['of what holds a leased subnet', remove('10.244.0.0/22'), 'a lease holds'],
    ['of a part of a leased subnet', remove('10.244.1.128/25'), 'a lease holds'],
    [
      'by a record of another table',
      remove('10.244.2.0/24', { record: record('rtb-2', '10.244.2.0/24', 'b') }),
      'record',
    ],
    [
      'by a record of another route',
      remove('10.244.2.0/24', { record: record('rtb-1', '10.244.3.0/24', 'b') }),
      'record',
    ],
    [
      'of a gateway',
      { ...remove('10.244.2.0/24'), expected: { kind: 'peering', id: 'pcx-1' } } as RemovalStep,
      'never touched',
    ],
  ])('%s does not', (_, step, text) => {
    expect(objection(step)).toContain(text);
  });

  it('of a route whose lease has no next hop does not', () => {
    expect(objection(remove('10.244.2.0/24'), { ...input, leases: known([subnet, '10.244.2.0/24']) })).toContain(
      'lease',
    );
  });

  it('of a desired route does not, though the list of leases is older than its lease', () => {
    const older = { ...input, leases: known(['10.244.5.0/24']) };

    expect(objection(remove(subnet), older)).toContain('a lease holds');
    expect(objection(remove('10.244.0.0/22'), older)).toContain('a lease holds');
  });

  it('does not while leases are unknown', () => {
    const leases = { kind: 'unknown', reason: 'no answer' } as const;

    expect(objection(remove('10.244.2.0/24'), { ...input, leases })).toContain('no answer');
  });

  it('of a route this process wrote lately does not', () => {
    const step = remove('10.244.2.0/24');
    const written = (agoMs: number) => new Map([[writeKey('rtb-1', step.destination), 1_000_000 - agoMs]]);

    expect(objection(step, input, written(recentMs - 1))).toContain('just now');
    expect(objection(step, input, written(recentMs))).toBeUndefined();
  });
});
