import { describe, expect, test } from '@jest/globals';
import { formatCidr } from '../../../src/core/ip.ts';
import { createPaint } from '../../../src/operator/paint.ts';
import { type PurgeInput, planPurge } from '../../../src/operator/purge-plan.ts';
import { renderPurge } from '../../../src/operator/render-purge.ts';
import { cidr, entry, lease, networks, now, record, table } from '../routing/fixtures.ts';

function planned(more: Partial<PurgeInput>): ReturnType<typeof planPurge> {
  return planPurge({ networks, records: [], tables: [], leases: [], now, ...more });
}

const steps = (plan: ReturnType<typeof planPurge>): readonly string[] =>
  plan.steps.map(({ action, tableId, destination }) => `${action} ${formatCidr(destination)} ${tableId}`);

describe('a purge', () => {
  test('takes out what a record says is ours, by table and address', () => {
    const plan = planned({
      records: [
        record('rtb-2', '10.244.1.0/24', 'a'),
        record('rtb-1', '10.244.2.0/24', 'b'),
        record('rtb-1', '10.244.1.0/24', 'a'),
      ],
      tables: [
        table('rtb-1', [entry('10.244.1.0/24', 'a'), entry('10.244.2.0/24', 'b')]),
        table('rtb-2', [entry('10.244.1.0/24', 'a')]),
      ],
    });
    expect(steps(plan)).toEqual([
      'delete 10.244.1.0/24 rtb-1',
      'delete 10.244.2.0/24 rtb-1',
      'delete 10.244.1.0/24 rtb-2',
    ]);
    expect(plan).toMatchObject({ leases: [], left: [], foreign: [] });
  });

  test('ends the leases of those routes, and no others', () => {
    const leases = [lease({ 4: cidr('10.244.1.0/24') }, '10.0.0.1'), lease({ 4: cidr('10.244.3.0/24') }, '10.0.0.3')];
    const plan = planned({
      leases,
      records: [record('rtb-1', '10.244.1.0/24', 'a')],
      tables: [table('rtb-1', [entry('10.244.1.0/24', 'a')])],
    });
    expect(plan.leases).toEqual([leases[0]]);
  });

  test('never touches what it has no record of, or what leads elsewhere than the record says', () => {
    const plan = planned({
      records: [
        record('rtb-1', '10.244.1.0/24', 'a'),
        record('rtb-1', '10.244.2.0/24', 'b'),
        record('rtb-1', '192.168.0.0/24', 'c'),
      ],
      tables: [
        table('rtb-1', [
          entry('10.244.1.0/24', 'someone'),
          entry('10.244.2.0/24', { kind: 'gateway', id: 'igw-1' }),
          entry('10.244.7.0/24', 'other'),
          entry('192.168.0.0/24', 'c'),
          entry('0.0.0.0/0', { kind: 'gateway', id: 'igw-1' }),
        ]),
      ],
    });
    expect(plan.steps).toEqual([]);
    expect(plan.left.map(({ destination, reason }) => `${destination}: ${reason}`)).toEqual([
      '10.244.1.0/24: our record says eni-a, but it leads to eni-someone of i-someone',
      '10.244.2.0/24: our record says eni-b, but it leads to igw-1',
      '192.168.0.0/24: it lies outside the pod network',
    ]);
    expect(plan.foreign.map(({ destination }) => formatCidr(destination))).toEqual(['10.244.7.0/24']);
  });

  test('forgets records whose route or table is gone', () => {
    const records = [record('rtb-1', '10.244.1.0/24', 'a'), record('rtb-gone', '10.244.1.0/24', 'a')];
    const plan = planned({ records, tables: [table('rtb-1', [])] });
    expect(steps(plan)).toEqual(['forget 10.244.1.0/24 rtb-1', 'forget 10.244.1.0/24 rtb-gone']);
    expect(plan.steps[1]?.reason).toContain('the table is gone');
  });

  test('leaves alone what somebody is just removing', () => {
    const removingUntil = new Date(now + 1_000).toISOString();
    const plan = planned({
      records: [record('rtb-1', '10.244.1.0/24', 'a', { removingUntil })],
      tables: [table('rtb-1', [entry('10.244.1.0/24', 'a')])],
    });
    expect(plan.steps).toEqual([]);
    expect(plan.left).toHaveLength(1);
  });

  test('of a cluster that went back to its overlay ends no lease there, and leaves the routes of nodes that have moved', () => {
    const onOverlay = (subnet: string, machine: string, movedTo?: string) => {
      const { attributes, ...rest } = lease({ 4: cidr(subnet) }, machine);
      return { ...rest, attributes: { ...attributes, backendType: 'vxlan', node: { movedTo } } };
    };
    const leases = [onOverlay('10.244.1.0/24', '10.0.0.1'), onOverlay('10.244.2.0/24', '10.0.0.2', 'aws-vpc')];
    const all = {
      leases,
      records: [record('rtb-1', '10.244.1.0/24', 'a'), record('rtb-1', '10.244.2.0/24', 'b')],
      tables: [table('rtb-1', [entry('10.244.1.0/24', 'a'), entry('10.244.2.0/24', 'b')])],
    };
    const back = planned({ ...all, overlay: 'vxlan' });
    expect(steps(back)).toEqual(['delete 10.244.1.0/24 rtb-1']);
    expect(back.leases).toEqual([]);
    expect(back.left).toMatchObject([
      { destination: '10.244.2.0/24', reason: expect.stringContaining('--backend-type') },
    ]);
    // Without the flag the cluster is to be destroyed, as ever.
    expect(planned(all).leases).toEqual(leases);
  });

  test('is shown with everything that ends, goes and stays', () => {
    const plan = planned({
      leases: [lease({ 4: cidr('10.244.1.0/24') }, '10.0.0.1')],
      records: [record('rtb-1', '10.244.1.0/24', 'a'), record('rtb-1', '10.244.2.0/24', 'b')],
      tables: [table('rtb-1', [entry('10.244.1.0/24', 'a'), entry('10.244.7.0/24', 'other')])],
    });
    expect(renderPurge(plan, { paint: createPaint(false) })).toEqual([
      'end the lease 10.244.1.0/24 of 10.0.0.1',
      '',
      'WHAT     TABLE  DESTINATION    REASON',
      'delete   rtb-1  10.244.1.0/24  it leads to eni-a of i-a',
      'forget   rtb-1  10.244.2.0/24  it is no longer in the table; only our record is left',
      'foreign  rtb-1  10.244.7.0/24  eni-other of i-other: no record says that it is ours',
      '',
      'Purge: 1 route to delete, 1 record to forget, 1 lease to end, 1 route of others, not touched.',
    ]);
  });
});
