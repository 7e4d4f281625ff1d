import { describe, expect, test } from '@jest/globals';
import { createPaint } from '../../../src/operator/paint.ts';
import { planDocument } from '../../../src/operator/plan-document.ts';
import { renderPlan } from '../../../src/operator/render-plan.ts';
import type { RejectedSubnet } from '../../../src/routing/desired.ts';
import { planRoutes } from '../../../src/routing/plan.ts';
import type { PlanInput } from '../../../src/routing/route-plan.ts';
import { cidr, desired, entry, known, nextHop, planInput, record, table, target } from '../routing/fixtures.ts';

const plain = { paint: createPaint(false) };

function shown(more: Partial<PlanInput>): readonly string[] {
  const planned = planInput(more);
  return renderPlan(planDocument({ plan: planRoutes(planned), input: planned, rejected: [] }), plain);
}

const refused: RejectedSubnet = {
  ...{ lease: '10.244.4.0/24', destination: cidr('10.244.4.0/24'), reason: 'nobody knows it' },
  code: 'unresolved',
};

describe('a plan for people', () => {
  test('goes table by table, with action, destination, next hops and reason, and sums up', () => {
    const lines = shown({
      desired: [desired('10.244.1.0/24', 'a'), desired('10.244.2.0/24', 'b')],
      tables: [
        table('rtb-2', [entry('10.244.1.0/24', 'a'), entry('10.244.2.0/24', 'b')]),
        table('rtb-1', [entry('10.244.1.0/24', 'z'), entry('10.244.9.0/24', 'gone'), entry('10.244.7.0/24', 'other')]),
      ],
      records: [record('rtb-1', '10.244.9.0/24', 'gone')],
      leases: known(['10.244.1.0/24', '10.244.2.0/24'], { '10.244.9.0/24': 2 }),
    });
    const text = lines.join('\n');
    expect(lines[0]).toMatch(/^table rtb-1 {2}\d+ IPv4 routes$/);
    expect(text).toMatch(/~ replace {2,}10\.244\.1\.0\/24 {2}eni-z -> eni-a\n {6}\S/);
    expect(text).toMatch(/\+ create {2,}10\.244\.2\.0\/24 {2}-> eni-b \(i-b\)\n {6}\S/);
    expect(text).toMatch(/- delete {2,}10\.244\.9\.0\/24 {2}eni-gone \(i-gone\)\n {6}its lease is gone/);
    expect(text).toMatch(/ {3}foreign {2,}10\.244\.7\.0\/24 {2}eni-other \(i-other\)\n {6}no record says/);
    expect(text).toContain('table rtb-2  2 IPv4 routes\n  nothing to change, 2 as wanted\n');
    expect(lines.at(-1)).toBe('Plan: 1 to create, 1 to replace, 1 to delete; 1 foreign, 2 unchanged.');
  });

  test('says what is held and what is in the way, and why', () => {
    const lines = shown({
      desired: [desired('10.244.1.0/24', 'a')],
      tables: [
        table('rtb-1', [entry('10.244.1.0/24', { kind: 'gateway', id: 'igw-1' }), entry('10.244.9.0/24', 'gone')]),
      ],
      records: [record('rtb-1', '10.244.9.0/24', 'gone')],
      leases: known(['10.244.1.0/24'], { '10.244.9.0/24': 1 }),
    });
    const text = lines.join('\n');
    expect(text).toMatch(/! conflict {2,}10\.244\.1\.0\/24 {2}igw-1\n {6}\S/);
    expect(text).toMatch(
      /! held {2,}10\.244\.9\.0\/24 {2}delete, lease-absent-lately\n {6}no lease for it in 1 of 2 looks/,
    );
    expect(lines.at(-1)).toBe('Nothing to change; 1 held, 1 in conflict.');
  });

  test('a NIC that does not forward yet is a change too', () => {
    const lines = shown({
      desired: [desired('10.244.1.0/24', 'a', { nextHop: nextHop('a', { forwards: false }) })],
      tables: [table('rtb-1', [entry('10.244.1.0/24', 'a')])],
    });
    expect(lines).toContain('~ prepare  eni-a (i-a): it does not forward yet');
    expect(lines.at(-1)).toMatch(/^Plan: 1 to prepare/);
  });

  test('names the leases that get no route', () => {
    const plan = planRoutes(planInput({ tables: [table('rtb-1', [])] }));
    const lines = renderPlan(planDocument({ plan, input: { desired: [] }, rejected: [refused] }), plain);
    expect(lines.slice(-4)).toEqual([
      '! no route  10.244.4.0/24',
      '      nobody knows it',
      '',
      'Nothing to change; 1 lease without a route.',
    ]);
  });

  test('its lines fit 100 columns with the ids that AWS gives', () => {
    const id = '0123456789abcdef0';
    const lines = renderPlan(
      planDocument({
        plan: {
          steps: [
            {
              ...{ action: 'replace', tableId: `rtb-${id}`, destination: cidr('10.244.107.0/24'), reason: 'short' },
              nextHop: nextHop('', { nicId: `eni-${id}`, instanceId: `i-${id}` }),
              ...{ holder: `i-${id}`, expected: { kind: 'nic', id: `eni-${id}`, instanceId: `i-${id}` } },
            },
          ],
          ...{ kept: [], held: [], conflicts: [], foreign: [], use: [] },
        },
        input: { desired: [] },
        rejected: [],
      }),
      plain,
    );
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
  });
});

describe('a plan for programs', () => {
  test('has every step with its former and its new next hop', () => {
    const planned = planInput({
      desired: [desired('10.244.1.0/24', 'a')],
      tables: [table('rtb-1', [entry('10.244.1.0/24', target('z'))], 50)],
    });
    const document = planDocument({ plan: planRoutes(planned), input: planned, rejected: [refused] });
    expect(JSON.parse(JSON.stringify(document))).toEqual({
      changes: true,
      prepare: [],
      refused: [{ lease: '10.244.4.0/24', destination: '10.244.4.0/24', reason: 'nobody knows it' }],
      tables: [
        {
          id: 'rtb-1',
          use: expect.arrayContaining([{ family: 4, used: 1, limit: 50 }]),
          steps: [
            {
              action: 'replace',
              destination: '10.244.1.0/24',
              from: { kind: 'nic', id: 'eni-z', instanceId: 'i-z' },
              to: { nicId: 'eni-a', instanceId: 'i-a' },
              reason: expect.any(String),
            },
          ],
          held: [],
          conflicts: [],
          foreign: [],
          unchanged: 0,
        },
      ],
      summary: {
        ...{ create: 0, replace: 1, withdraw: 0, delete: 0, forget: 0 },
        ...{ held: 0, conflicts: 0, foreign: 0, unchanged: 0, refused: 1 },
      },
    });
  });
});
