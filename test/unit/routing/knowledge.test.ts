/** What a process remembers between its passes, and when it looks at the store. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { desired, target } from './fixtures.ts';
import { agentA, createPassLab, own, type PassLab, type Process } from './pass-lab.ts';

const former = '10.244.9.0/24';
let lab: PassLab;

beforeEach(() => {
  lab = createPassLab();
  lab.putLease('10.244.1.0/24', 'a');
  putFormer();
});

function putFormer(): void {
  lab.cloud.putRoute('rtb-1', { destination: former, target: target('a') });
  lab.putRecord('rtb-1', former, 'a');
}

const looks = async (process: Process, resync = true): Promise<string | undefined> =>
  (await process.pass(own, { resync })).held[0]?.reason;
const once = 'no lease for it in 1 of 2 looks';

describe('looks without a lease', () => {
  it('are counted once for each pass, however often it reads', async () => {
    const process = lab.process(agentA);
    // The route that appears meanwhile makes the pass read and plan anew.
    lab.afterNext('claim', () => lab.cloud.putRoute('rtb-1', { destination: '10.244.1.0/24', target: target('b') }));
    const result = await process.pass(own);
    expect(result.inSync).toBe(true);
    expect(lab.cloud.count('replace')).toBe(1);
    expect(lab.cloud.count('delete')).toBe(0);
  });

  it('are counted in resyncs only, by the one writer too', async () => {
    const process = lab.process({ kind: 'all' });
    expect(await looks(process, false)).toBe('no lease for it in 0 of 2 looks');
    expect(await looks(process)).toBe(once);
    expect(await looks(process, false)).toBe(once);
    expect(await looks(process)).toBeUndefined();
    expect(lab.cloud.count('delete')).toBe(1);
  });

  it('are forgotten when the route was gone in between', async () => {
    const process = lab.process(agentA);
    expect(await looks(process)).toBe(once);
    lab.cloud.removeRoute('rtb-1', former);
    expect(await looks(process)).toBeUndefined();
    putFormer();
    expect(await looks(process)).toBe(once);
  });

  it('are those of one process: a restart begins anew', async () => {
    expect(await looks(lab.process(agentA))).toBe(once);
    expect(await looks(lab.process(agentA))).toBe(once);
  });

  it('of one route in two tables are looks at one lease', async () => {
    lab.cloud.putRoute('rtb-2', { destination: former, target: target('a') });
    lab.putRecord('rtb-2', former, 'a');
    const process = lab.process(agentA);
    expect((await process.pass(own)).held).toMatchObject([{ reason: once }, { reason: once }]);
    expect((await process.pass(own)).done).toHaveLength(2);
  });
});

describe('records that this process made', () => {
  it('are made again for a subnet that it left, and that is its own again', async () => {
    const process = lab.process(agentA);
    const back = [...own, desired(former, 'a')];
    for (const id of ['rtb-1', 'rtb-2']) lab.cloud.putRoute(id, { destination: former, target: target('a') });
    await process.pass(back);
    expect(lab.records()).toContain(`${former} rtb-1 eni-a`);
    for (let index = 0; index < 2; index++) await process.pass(own);
    expect(lab.records()).not.toContain(`${former} rtb-1 eni-a`);
    for (const id of ['rtb-1', 'rtb-2']) lab.cloud.putRoute(id, { destination: former, target: target('a') });
    expect((await process.pass(back)).inSync).toBe(true);
    expect(lab.records()).toContain(`${former} rtb-1 eni-a`);
  });
});

describe('an agent that has no route to write', () => {
  it('is not in sync, and says why', async () => {
    const result = await lab.process(agentA).pass([]);
    expect(result.inSync).toBe(false);
    expect(result.problems.map(({ message }) => message)).toEqual([
      'no subnet of the lease is one of the configured networks',
    ]);
  });

  it('differs from a cluster without leases', async () => {
    expect(await lab.process({ kind: 'all' }).pass([])).toMatchObject({ inSync: true, problems: [] });
  });

  it('has none, and is not in sync either, where there is no table', async () => {
    for (const scope of [agentA, { kind: 'all' } as const]) {
      const result = await lab.process(scope).pass(own, { tables: [] });
      expect(result.inSync).toBe(false);
      expect(result.problems.map(({ message }) => message)).toEqual(['there is no route table to write to']);
    }
  });
});
