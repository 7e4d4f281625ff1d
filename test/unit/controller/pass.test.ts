/** Carrying out what a look planned: in which order, how much at once, and what a refusal means. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { createLab, type Lab, reportOf, stepsOf } from './lab.ts';

let lab: Lab;

beforeEach(() => {
  lab = createLab();
});

/** Machines a1 to aN with leases of 10.244.1 to N. */
function joinMany(count: number): void {
  for (let index = 1; index <= count; index++) {
    lab.machine(`a${index}`);
    lab.join(`a${index}`, index);
  }
}

/** A machine whose source/dest check is on. */
function closed(name: string, third: number): void {
  const address = `10.0.1.${third}`;
  lab.cloud.addInstance({ id: `i-${name}`, nics: [{ id: `eni-${name}`, subnetId: 'subnet-a', addresses: [address] }] });
  lab.join(name, third, { address });
}

describe('a pass', () => {
  it('writes every lease’s route into every table, and then nothing', async () => {
    lab.machine('a1', 'b1');
    lab.join('a1', 1);
    lab.join('b1', 2);
    const writer = lab.writer();
    const { look, failures } = await writer.pass();
    for (const id of ['rtb-a', 'rtb-b'])
      expect(lab.cloud.staticRoutes(id)).toEqual({ '10.244.1.0/24': 'eni-a1', '10.244.2.0/24': 'eni-b1' });
    expect(failures).toEqual([]);
    expect(reportOf(lab, look)).toMatchObject({ healthy: true, problems: [] });
    const before = lab.world.revision;
    expect(await lab.spent(() => writer.pass({ resync: true }))).toEqual({ tables: 1 });
    expect(lab.world.revision).toBe(before);
  });

  it('after a restart writes nothing, and stores nothing', async () => {
    joinMany(3);
    await lab.writer().pass();
    const before = lab.world.revision;
    expect(await lab.spent(() => lab.writer().pass())).toEqual({ resolve: 1, tables: 1 });
    expect(lab.world.revision).toBe(before);
  });

  it('moves a route to the lease’s new holder in place', async () => {
    joinMany(2);
    const writer = lab.writer();
    await writer.pass();
    lab.join('a2', 1);
    lab.leave(2);
    const { done } = await writer.pass();
    expect(stepsOf(done)).toEqual(['replace rtb-a 10.244.1.0/24']);
    expect(lab.cloud.staticRoutes('rtb-a')).toMatchObject({ '10.244.1.0/24': 'eni-a2' });
  });

  it('writes so many at once, the oldest leases first, and says that there is more', async () => {
    joinMany(7);
    lab.join('a1', 1);
    const writer = lab.writer();
    const one = await writer.pass({ mostWrites: 4 });
    expect(one.again).toBe(true);
    expect(Object.keys(lab.cloud.staticRoutes('rtb-a'))).toEqual([2, 3, 4, 5].map((third) => `10.244.${third}.0/24`));
    const two = await writer.pass({ mostWrites: 4 });
    expect(two.again).toBe(false);
    expect(Object.keys(lab.cloud.staticRoutes('rtb-a'))).toHaveLength(7);
  });

  it('removes nothing while it has more to write', async () => {
    joinMany(3);
    const writer = lab.writer();
    await writer.pass();
    await lab.clock.advance(60_000);
    lab.leave(1);
    lab.cloud.setInstanceState('i-a1', 'terminated');
    for (const third of [4, 5]) {
      lab.machine(`a${third}`);
      lab.join(`a${third}`, third);
    }
    const one = await writer.pass({ mostWrites: 1 });
    expect(stepsOf(one.done)).toEqual(['create rtb-a 10.244.4.0/24']);
    const two = await writer.pass({ mostWrites: 1 });
    expect(stepsOf(two.done)).toEqual(['create rtb-a 10.244.5.0/24', 'delete rtb-a 10.244.1.0/24']);
  });

  it('says nothing of more when nothing of it could be done', async () => {
    joinMany(3);
    lab.cloud.inject({ action: 'create', error: new FlannelVpcError('INVALID', 'no'), times: Infinity });
    const outcome = await lab.writer().pass({ mostWrites: 1 });
    expect(outcome.again).toBe(false);
    expect(outcome.failures).toHaveLength(1);
  });

  it('counts what was written and can’t be read yet as waiting', async () => {
    joinMany(1);
    lab.cloud.setReadLag(60_000);
    const writer = lab.writer();
    const one = await writer.pass();
    expect(reportOf(lab, one.look).nodes).toMatchObject([{ state: 'waiting', routesPresent: 0 }]);
    const two = await writer.pass();
    expect(two.conflict).toBe(true);
    expect(two.again).toBe(false);
    await lab.clock.advance(60_000);
    expect(reportOf(lab, (await writer.pass()).look).healthy).toBe(true);
  });
});

describe('tables that were read some time ago', () => {
  /** One route to write and one to take out; every call takes so long, and two of them follow the reading of tables. */
  async function slowly(latencyMs: number): Promise<readonly string[]> {
    joinMany(2);
    const writer = lab.writer();
    await writer.pass();
    await lab.clock.advance(60_000);
    lab.cloud.setInstanceState('i-a1', 'terminated');
    lab.machine('a3');
    lab.join('a3', 3);
    lab.cloud.setLatency(latencyMs);
    const outcome = await writer.pass({ ms: 10 * latencyMs });
    lab.cloud.setLatency(0);
    expect(outcome.again || outcome.conflict).toBe(true);
    expect(outcome.failures).toEqual([]);
    await writer.pass();
    expect(lab.cloud.staticRoutes('rtb-a')).toEqual({ '10.244.2.0/24': 'eni-a2', '10.244.3.0/24': 'eni-a3' });
    return stepsOf(outcome.done);
  }

  it('are no ground to take out what stands by now', async () => {
    expect(await slowly(10_000)).toEqual(['create rtb-a 10.244.3.0/24']);
  });

  it('are no ground to write either, after a minute', async () => {
    expect(await slowly(35_000)).toEqual([]);
  });
});

describe('right after another leader', () => {
  it('only routes are written where nothing stands', async () => {
    joinMany(4);
    const writer = lab.writer({ reap: true });
    await writer.pass();
    await lab.clock.advance(60_000);
    lab.join('a2', 1);
    lab.leave(2);
    lab.cloud.setInstanceState('i-a4', 'terminated');
    lab.cloud.removeRoute('rtb-a', '10.244.3.0/24');
    lab.cloud.resetCalls();
    const early = await writer.pass({ createsOnly: true });
    expect(stepsOf(early.done)).toEqual(['create rtb-a 10.244.3.0/24']);
    expect(early.reaped).toBe(0);
    expect(lab.cloud.count('replace', 'delete')).toBe(0);
    await writer.pass();
    expect(lab.cloud.count('replace', 'delete')).toBe(2);
  });
});

describe('a setting that only a person can change', () => {
  const forwarding = { name: 'canIpForward', wanted: 'on', settable: false } as const;

  it('is reported, tried by nobody, and keeps no other node waiting', async () => {
    lab = createLab({ capabilities: { forwarding } });
    closed('x', 7);
    lab.machine('a1');
    lab.join('a1', 1);
    const writer = lab.writer();

    const { look, failures, prepared, again } = await writer.pass();

    expect({ failures, prepared, again }).toEqual({ failures: [], prepared: [], again: false });
    expect(lab.cloud.count('prepare')).toBe(0);
    const { nodes, problems, healthy } = reportOf(lab, look);
    expect(healthy).toBe(false);
    expect(nodes.map(({ state, reason }) => [state, reason])).toEqual([
      ['ok', ''],
      ['waiting', 'the canIpForward of eni-x is off'],
    ]);
    expect(problems).toEqual([
      expect.objectContaining({
        ...{ code: 'forwarding', text: 'the canIpForward of eni-x is off' },
        hint: expect.stringContaining('Only a person'),
      }),
    ]);
  });
});

describe('the source/dest check', () => {
  it('is switched off once for each NIC, and the node waits until then', async () => {
    closed('x', 7);
    closed('y', 8);
    const writer = lab.writer();
    const seen = await writer.look();
    expect(seen.prepares.map(({ nicId }) => nicId)).toEqual(['eni-x', 'eni-y']);
    const { look, prepared } = await writer.pass();
    expect(prepared).toHaveLength(2);
    expect(look.prepares).toEqual([]);
    expect(reportOf(lab, look).healthy).toBe(true);
    await writer.pass({ resync: true });
    expect(lab.cloud.count('prepare')).toBe(2);
  });

  it('that may not be switched off is told once, and the node is not ok', async () => {
    for (let third = 1; third <= 30; third++) closed(`x${third}`, third);
    const error = new FlannelVpcError('PERMISSION_DENIED', 'not allowed');
    lab.cloud.inject({ action: 'prepare', error, times: Infinity });
    const { look, failures } = await lab.writer().pass();
    expect(failures).toEqual([error]);
    // As many as were under way when the first answer came.
    expect(lab.cloud.count('prepare')).toBeLessThanOrEqual(8);
    const report = reportOf(lab, look, failures);
    expect(report.nodes[0]).toMatchObject({
      state: 'waiting',
      reason: 'the source/dest check of eni-x1 is on',
      routesPresent: 1,
    });
    expect(report.problems.map(({ code }) => code)).toEqual(['PERMISSION_DENIED', 'forwarding']);
  });

  it('of a large cluster is switched off bit by bit, those of new routes first', async () => {
    for (let third = 1; third <= 9; third++) closed(`x${third}`, third);
    const writer = lab.writer();
    const one = await writer.pass({ mostWrites: 4 });
    expect(one.prepared.map(({ nicId }) => nicId)).toEqual(['eni-x1', 'eni-x2', 'eni-x3', 'eni-x4']);
    expect(one.again).toBe(true);
    await writer.pass({ mostWrites: 4 });
    const three = await writer.pass({ mostWrites: 4 });
    expect(three.again).toBe(false);
    expect(lab.cloud.count('prepare')).toBe(9);
  });
});

describe('a refusal', () => {
  for (const code of ['PERMISSION_DENIED', 'THROTTLED', 'TRANSIENT'] as const) {
    it(`by ${code} says it for all routes of the table`, async () => {
      joinMany(40);
      lab.machine('b1');
      lab.join('b1', 99);
      const matches = ({ tableId }: { readonly tableId?: string | undefined }): boolean => tableId === 'rtb-a';
      lab.cloud.inject({ action: 'create', matches, error: new FlannelVpcError(code, 'no'), times: Infinity });
      const { failures } = await lab.writer().pass();
      expect(lab.cloud.calls.filter((call) => call.action === 'create' && matches(call)).length).toBeLessThanOrEqual(8);
      expect(Object.keys(lab.cloud.staticRoutes('rtb-b'))).toHaveLength(41);
      expect(failures.every((failure) => failure.code === code)).toBe(true);
    });
  }

  it('of the leadership ends the pass at once, with no write after it', async () => {
    joinMany(40);
    const lost = new FlannelVpcError('LEADERSHIP_LOST', 'another one leads');
    lab.cloud.inject({ action: 'create', error: lost, times: Infinity });
    await expect(lab.writer().pass()).rejects.toBe(lost);
    expect(lab.cloud.count('create')).toBeLessThanOrEqual(8);
    expect(lab.cloud.staticRoutes('rtb-a')).toEqual({});
  });
});
