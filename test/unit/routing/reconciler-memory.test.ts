/** What a process remembers from pass to pass, and what a pass with nothing to do says. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { desired, target } from './fixtures.ts';
import { agentA, createPassLab, own, type PassLab } from './pass-lab.ts';

const subnet = '10.244.1.0/24';
const former = '10.244.9.0/24';
const tables = ['rtb-1', 'rtb-2'];
let lab: PassLab;

beforeEach(() => {
  lab = createPassLab();
  lab.putLease(subnet, 'a');
  for (const id of tables) put(id, subnet);
  put('rtb-1', former);
});

function put(tableId: string, destination: string): void {
  lab.cloud.putRoute(tableId, { destination, target: target('a') });
  lab.putRecord(tableId, destination, 'a');
}

describe('an absence', () => {
  it('is forgotten when there was nothing to look for in between', async () => {
    const process = lab.process(agentA);
    await process.pass(own);
    lab.cloud.removeRoute('rtb-1', former);
    await process.pass(own);
    put('rtb-1', former);

    const result = await process.pass(own);

    expect(result).toMatchObject({ done: [], held: [{ reason: 'no lease for it in 1 of 2 looks' }] });
  });

  it('does not count between resyncs, though the cluster’s one writer looks then too', async () => {
    const process = lab.process({ kind: 'all' });
    for (let index = 0; index < 4; index++) {
      const result = await process.pass(own, { resync: false });
      expect(result).toMatchObject({ done: [], held: [{ reason: 'no lease for it in 0 of 2 looks' }] });
    }
  });

  it('counts once in a pass, however often it reads and plans anew', async () => {
    lab.cloud.removeRoute('rtb-2', subnet);
    lab.afterNext('claim', () => {
      // The first claim records what stands; the second one comes before the write.
      lab.afterNext('claim', () => lab.cloud.putRoute('rtb-2', { destination: subnet, target: target('b') }));
    });

    const result = await lab.process({ kind: 'all' }).pass(own);

    expect(lab.cloud.count('tables')).toBe(3);
    expect(result).toMatchObject({ inSync: true, held: [{ reason: 'no lease for it in 1 of 2 looks' }] });
    expect(lab.cloud.count('delete')).toBe(0);
  });
});

describe('a record', () => {
  it('is claimed again for a route that this process has taken out and that is back', async () => {
    const process = lab.process(agentA);
    // It has claimed the record, or it would not know it.
    await process.pass([...own, desired(former, 'a')]);
    await lab.clock.advance(60_000);
    for (let index = 0; index < 2; index++) await process.pass(own);
    expect(lab.records()).not.toContain(`${former} rtb-1 eni-a`);
    lab.putLease(former, 'a');
    for (const id of tables) lab.cloud.putRoute(id, { destination: former, target: target('a') });

    const result = await process.pass([desired(former, 'a')]);

    expect(result.inSync).toBe(true);
    expect(lab.records()).toEqual(expect.arrayContaining([`${former} rtb-1 eni-a`, `${former} rtb-2 eni-a`]));
  });
});

describe('a pass without anything to write', () => {
  it('is not in sync for an agent that has no subnet of the networks', async () => {
    const result = await lab.process(agentA).pass([]);

    expect(result.inSync).toBe(false);
    expect(result.problems.map(({ message }) => message)).toEqual([
      'no subnet of the lease is one of the configured networks',
    ]);
  });

  it('is in sync for the one writer of a cluster without leases', async () => {
    expect(await lab.process({ kind: 'all' }).pass([])).toMatchObject({ inSync: true, problems: [] });
  });

  it.each([agentA, { kind: 'all' } as const])('is not in sync without a table: %j', async (scope) => {
    const result = await lab.process(scope).pass(own, { tables: [] });

    expect(result.inSync).toBe(false);
    expect(result.problems.map(({ message }) => message)).toEqual(['there is no route table to write to']);
  });
});
