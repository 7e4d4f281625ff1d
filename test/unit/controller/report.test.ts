/** What a person is told of a look. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import type { ClusterReport, NodeRow } from '../../../src/report/cluster-report.ts';
import { someOf } from '../../../src/report/problem-rows.ts';
import { cidr } from '../../support/addresses.ts';
import { createLab, type Lab, reportOf, type Writer } from './lab.ts';

let lab: Lab;
let writer: Writer;

beforeEach(async () => {
  lab = createLab();
  lab.machine('a1', 'a2', 'b1', 'b2');
  for (const [index, name] of ['a1', 'a2', 'b1', 'b2'].entries()) lab.join(name, index + 1);
  writer = lab.writer();
  await writer.pass();
  await lab.clock.advance(60_000);
});

const told = async (): Promise<ClusterReport> => reportOf(lab, (await writer.pass()).look);
const lines = ({ problems }: ClusterReport): readonly string[] =>
  problems.map(({ severity, code, text }) => `${severity} ${code}: ${text}`);
const node = ({ nodes }: ClusterReport, third: number): NodeRow | undefined =>
  nodes.find(({ lease }) => lease === `10.244.${third}.0/24`);

async function say(third: number, ready: boolean, reason: string): Promise<void> {
  lab.world.putReport({ 4: cidr(`10.244.${third}.0/24`) }, { ready, reason, since: '2026-01-01T00:00:00.000Z' });
}

describe('a healthy cluster', () => {
  it('has every route of every lease in every table, and nothing to tell', async () => {
    const report = await told();
    expect(report).toMatchObject({
      ...{ healthy: true, problems: [], networks: ['10.244.0.0/16'], backendType: 'memory', writer: 'controller' },
    });
    expect(report.nodes).toHaveLength(4);
    expect(node(report, 3)).toMatchObject({
      ...{ state: 'ok', reason: '', instanceId: 'i-b1', nicId: 'eni-b1', nodeName: 'b1', publicIps: ['10.0.2.1'] },
      ...{ routesWanted: 2, routesPresent: 2, reserved: false },
    });
    expect(report.tables).toMatchObject(
      ['rtb-a', 'rtb-b'].map((id) => ({
        ...{ id, routesWanted: 4, routesPresent: 4, routesWaiting: 0, routesForeign: 0, routesStale: 0 },
        use: [{ family: 4, used: 5, limit: 500, limitSource: 'default' }],
      })),
    );
    expect(report.routes).toHaveLength(8);
    expect(report.routes[0]).toEqual({
      ...{ tableId: 'rtb-a', destination: '10.244.1.0/24', state: 'present', target: 'eni-a1 of i-a1' },
      ...{ cloudState: 'active', lease: '10.244.1.0/24', reason: '' },
    });
  });

  it('stays healthy with a word of a node that is ready', async () => {
    await say(1, true, 'no peer');
    const report = await told();
    expect(report.healthy).toBe(true);
    expect(node(report, 1)).toMatchObject({ state: 'ok', report: { ready: true, reason: 'no peer' } });
  });
});

describe('a node', () => {
  it('that says it is not ready is told, with its reason', async () => {
    await say(1, false, 'no peer answered the probe');
    const report = await told();
    expect(node(report, 1)).toMatchObject({ state: 'unready', reason: 'no peer answered the probe' });
    expect(lines(report)).toEqual(['error unready: 10.244.1.0/24 (a1): no peer answered the probe']);
    expect(report.healthy).toBe(false);
  });

  it('that has no route yet waits, whatever it says of itself', async () => {
    await say(1, true, '');
    lab.cloud.putRoute('rtb-a', { destination: '10.244.1.0/24', target: { kind: 'gateway', id: 'igw-1' } });
    const report = await told();
    expect(node(report, 1)).toMatchObject({ state: 'waiting', routesPresent: 1 });
    expect(lines(report)).toEqual([expect.stringMatching(/^error ROUTE_NOT_OWNED: table rtb-a: a gateway route/)]);
  });

  it('that is stopped is a warning: it may be started again', async () => {
    lab.cloud.setInstanceState('i-a1', 'stopped');
    const report = await told();
    expect(report.healthy).toBe(true);
    expect(lines(report)).toEqual(
      ['rtb-a', 'rtb-b'].map((id) =>
        expect.stringMatching(new RegExp(`^warning not-active: table ${id}: 10.244.1.0/24 `)),
      ),
    );
    expect(node(report, 1)).toMatchObject({ state: 'waiting' });
    expect(report.routes[0]).toMatchObject({ state: 'held', cloudState: 'blackhole', target: 'eni-a1 of i-a1' });
  });

  it('that is terminated is a warning until its lease ends', async () => {
    lab.cloud.setInstanceState('i-a1', 'terminated');
    const report = await told();
    expect(lines(report)).toEqual(['warning ended: 10.244.1.0/24 (a1): its machine is terminated']);
    expect(node(report, 1)).toMatchObject({ state: 'ended', routesWanted: 0 });
    expect(report.healthy).toBe(true);
  });

  it('of another backend is refused, and said to be of that', async () => {
    lab.join('a1', 9, { backendType: 'vxlan' });
    expect(lines(await told())).toEqual([
      'error refused: 10.244.9.0/24 (a1): its backend is vxlan, which gets no routes here',
    ]);
  });
});

describe('many nodes', () => {
  it('in one state are one line, so that no log holds thousands', async () => {
    for (let number = 20; number < 31; number++) lab.join('a1', number, { backendType: 'vxlan' });
    const [line, ...more] = lines(await told());
    expect(more).toEqual([]);
    expect(line).toMatch(/^error refused: 11 nodes are refused: 10\.244\.20\.0\/24 .* and 6 more$/);
  });
});

describe('routes', () => {
  it('that a look would change are missing, misdirected or stale', async () => {
    lab.cloud.removeRoute('rtb-a', '10.244.1.0/24');
    lab.cloud.putRoute('rtb-a', {
      destination: '10.244.2.0/24',
      target: { kind: 'nic', id: 'eni-b1', instanceId: 'i-b1' },
    });
    lab.leave(3);
    lab.cloud.setInstanceState('i-b1', 'terminated');
    const report = reportOf(lab, await writer.look());
    const states = report.routes.filter(({ tableId }) => tableId === 'rtb-a').map(({ state }) => state);
    expect(states).toEqual(['missing', 'misdirected', 'stale', 'present']);
    expect(report.routes[0]).toMatchObject({ cloudState: undefined, target: 'eni-a1 of i-a1' });
    expect(report.tables[0]).toMatchObject({ routesWanted: 3, routesPresent: 1, routesWaiting: 2, routesStale: 1 });
    expect(lines(report)).toEqual([
      'error missing: table rtb-a: 2 routes are not as they should be: 10.244.1.0/24, 10.244.2.0/24',
    ]);
  });

  it('without a lease lately are stale, and no problem: they go by themselves', async () => {
    lab.leave(1);
    const report = await told();
    expect(report.tables).toMatchObject([{ routesStale: 1 }, { routesStale: 1 }]);
    expect(report).toMatchObject({ healthy: true, problems: [] });
  });
});

describe('problems', () => {
  it('are one line for each table and thing, errors first, however many routes', async () => {
    for (let third = 100; third < 150; third++) {
      const target = { kind: 'nic', id: 'eni-x', instanceId: 'i-x' } as const;
      lab.cloud.putRoute('rtb-b', { destination: `10.244.${third}.0/24`, target });
    }
    await say(1, false, 'no peer answered');
    expect(lines(await told())).toEqual([
      'error unready: 10.244.1.0/24 (a1): no peer answered',
      'warning foreign: table rtb-b: 50 routes inside the pod network are not ours and are left alone: ' +
        '10.244.100.0/24, 10.244.101.0/24, 10.244.102.0/24, 10.244.103.0/24, 10.244.104.0/24 and 45 more',
    ]);
  });

  it('are what failed, once, with its hint', async () => {
    const error = new FlannelVpcError('PERMISSION_DENIED', 'ec2:CreateRoute is not allowed', { hint: 'Allow it.' });
    const report = reportOf(lab, await writer.look(), [error, error]);
    expect(report.problems).toEqual([
      { severity: 'error', code: 'PERMISSION_DENIED', text: 'ec2:CreateRoute is not allowed', hint: 'Allow it.' },
    ]);
  });

  it('name a few of many, and how many more', () => {
    expect(someOf(['a', 'b'], 2)).toBe('a, b');
    expect(someOf(['a', 'b', 'c'], 2)).toBe('a, b and 1 more');
  });
});

describe('a report', () => {
  it('is the same whatever the order of what was read', async () => {
    const look = await writer.look();
    const { input } = look;
    const turned = {
      ...look,
      leases: [...look.leases].reverse(),
      input: { ...input, tables: [...input.tables].reverse(), desired: [...input.desired].reverse() },
    };
    expect(reportOf(lab, turned)).toEqual(reportOf(lab, look));
  });

  it('can be sent as JSON', async () => {
    lab.cloud.setInstanceState('i-a1', 'stopped');
    const report = await told();
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({
      healthy: true,
      nodes: [{ state: 'waiting' }, {}, {}, {}],
    });
  });
});
