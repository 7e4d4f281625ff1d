/** Tables that are full, or nearly so. */
import { describe, expect, it } from '@jest/globals';
import { createLab, type Lab, reportOf } from './lab.ts';

function createFull(routeLimit: number | undefined, nodes: number, byDefault = 500): Lab {
  const lab = createLab({
    // The limit is the table's own secret, as on AWS: the API does not tell.
    capabilities: { defaultRouteLimit: routeLimit ?? byDefault },
    tables: [{ id: 'rtb-main', networkId: 'vpc-1', main: true }],
  });
  for (let index = 1; index <= nodes; index++) {
    lab.machine(`a${index}`);
    lab.join(`a${index}`, index);
  }
  return lab;
}

const routes = (lab: Lab): readonly string[] =>
  Object.keys(lab.cloud.staticRoutes('rtb-main')).map((text) => text.split('.')[2] ?? '');

describe('a table that refuses one more route', () => {
  it('is not asked again: the next look holds what waits, and names it', async () => {
    const lab = createFull(4, 6);
    const writer = lab.writer();
    const one = await writer.pass();
    // The local route counts too.
    expect(routes(lab)).toEqual(['1', '2', '3']);
    expect(one.failures.map(({ code }) => code)).toEqual(['QUOTA_EXCEEDED']);
    expect(one.again).toBe(false);
    const { look } = await writer.pass();
    expect(await lab.spent(() => writer.pass({ resync: true }))).toEqual({ tables: 1 });
    const report = reportOf(lab, look);
    expect(report.healthy).toBe(false);
    expect(report.problems.map(({ code, text }) => `${code}: ${text}`)).toEqual([
      'QUOTA_EXCEEDED: table rtb-main is full at 4 routes: 3 waiting, the oldest first: a4 (10.244.4.0/24), a5 (10.244.5.0/24), a6 (10.244.6.0/24)',
    ]);
    expect(report.tables).toMatchObject([
      { use: [{ used: 4, limit: 4, limitSource: 'refusal' }], routesWaiting: 3, routesPresent: 3 },
    ]);
    expect(report.nodes.map(({ state }) => state)).toEqual(['ok', 'ok', 'ok', 'waiting', 'waiting', 'waiting']);
  });

  it('shows the limit it taught in the report of the very pass', async () => {
    const lab = createFull(4, 6);
    const { look } = await lab.writer().pass();
    expect(reportOf(lab, look).tables).toMatchObject([{ use: [{ used: 4, limit: 4, limitSource: 'refusal' }] }]);
  });

  it('gives room to the oldest lease first, at once', async () => {
    const lab = createFull(4, 5);
    // The oldest of those that wait is not the first by address.
    lab.join('a4', 4);
    const writer = lab.writer();
    await writer.pass();
    await lab.clock.advance(60_000);
    lab.leave(2);
    lab.cloud.setInstanceState('i-a2', 'terminated');
    const one = await writer.pass();
    expect(one.again).toBe(true);
    await writer.pass();
    expect(routes(lab)).toEqual(['1', '3', '5']);
  });

  it('teaches no lower limit by removals of the same pass', async () => {
    const lab = createFull(6, 5);
    const writer = lab.writer();
    await writer.pass();
    await lab.clock.advance(60_000);
    for (const third of [1, 2]) {
      lab.leave(third);
      lab.cloud.setInstanceState(`i-a${third}`, 'terminated');
    }
    for (const third of [6, 7]) {
      lab.machine(`a${third}`);
      lab.join(`a${third}`, third);
    }
    for (let index = 0; index < 3; index++) await writer.pass();
    expect(routes(lab)).toEqual(['3', '4', '5', '6', '7']);
  });

  it('counts routes to prefix lists as the plan does, or freed room would not be seen', async () => {
    const lab = createFull(5, 4);
    lab.cloud.putRoute('rtb-main', { destination: 'pl-1', target: { kind: 'gateway', id: 'vpce-1' } });
    const writer = lab.writer();
    await writer.pass();
    expect(lab.cloud.routes('rtb-main').filter(({ destination }) => destination)).toHaveLength(5);
    await lab.clock.advance(60_000);
    lab.leave(1);
    lab.cloud.setInstanceState('i-a1', 'terminated');
    lab.machine('a8');
    lab.join('a8', 8);
    await writer.pass();
    await writer.pass();
    expect(routes(lab).filter(Boolean)).toEqual(['2', '3', '4', '8']);
  });

  it('is tried again after a quarter of an hour, one route at most at a time', async () => {
    const lab = createFull(4, 60);
    const writer = lab.writer();
    await writer.pass();
    lab.cloud.resetCalls();
    for (let index = 0; index < 24; index++) await writer.resyncs(1);
    // Two hours: eight tries, each with as many as were under way when the first answer came.
    expect(lab.cloud.count('create')).toBeLessThanOrEqual(8 * 8);
    expect(lab.cloud.count('create')).toBeGreaterThan(0);
  });
});

describe('a configured limit', () => {
  it('is not exceeded, however much room there is', async () => {
    const lab = createFull(undefined, 5);
    const { look } = await lab.writer({ routeLimit: 3 }).pass();
    expect(routes(lab)).toEqual(['1', '2']);
    expect(lab.cloud.count('create')).toBe(2);
    expect(reportOf(lab, look).tables).toMatchObject([{ use: [{ limit: 3, limitSource: 'configured' }] }]);
  });
});

describe('a documented default', () => {
  it('is warned of once, and not anew with each node that joins', async () => {
    const lab = createFull(undefined, 6, 10);
    const leader = lab.lead();
    await lab.clock.advance(10_000);
    for (const name of ['a7', 'a8']) {
      lab.machine(name);
      lab.join(name, Number(name.slice(1)));
      await lab.clock.advance(10_000);
    }
    expect(routes(lab)).toHaveLength(8);
    expect(lab.log.filter(({ text }) => text.includes('of 10 IPv4 routes'))).toHaveLength(1);
    await leader.stop();
  });

  it('warns from 80 % on and stops nothing', async () => {
    const lab = createFull(undefined, 7, 500);
    const lower = { ...lab.openCloud.provider.capabilities, defaultRouteLimit: 10 };
    const provider = Object.create(lab.openCloud.provider);
    Object.defineProperty(provider, 'capabilities', { value: lower });
    for (const method of ['tables', 'resolve', 'identify', 'instances'] as const) {
      provider[method] = lab.openCloud.provider[method].bind(lab.openCloud.provider);
    }
    const writer = lab.writer({ cloud: { ...lab.openCloud, provider } });
    expect(reportOf(lab, (await writer.pass()).look).problems).toMatchObject([
      { severity: 'warning', code: 'quota', text: 'table rtb-main holds 8 of 10 IPv4 routes (80 %)' },
    ]);
    for (const third of [8, 9, 10, 11]) {
      lab.machine(`a${third}`);
      lab.join(`a${third}`, third);
    }
    const { look, failures } = await writer.pass();
    expect(failures).toEqual([]);
    expect(routes(lab)).toHaveLength(11);
    expect(reportOf(lab, look).healthy).toBe(true);
  });
});

describe('a limit that the API tells', () => {
  it('is heeded without a try', async () => {
    const lab = createLab({ tables: [{ id: 'rtb-main', networkId: 'vpc-1', main: true, routeLimit: 3 }] });
    for (const third of [1, 2, 3]) {
      lab.machine(`a${third}`);
      lab.join(`a${third}`, third);
    }
    const { look } = await lab.writer().pass();
    expect(lab.cloud.count('create')).toBe(2);
    expect(reportOf(lab, look).tables).toMatchObject([{ use: [{ limit: 3, limitSource: 'api' }] }]);
  });
});
