/** What a controller tells of single nodes, when, and when it takes it back. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { NodeNotice } from '../../../lease/node-notices.ts';
import { NodeTeller } from '../../../src/controller/node-teller.ts';
import { nodeTrouble } from '../../../src/controller/node-trouble.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';
import { createLab, type Lab, reportOf, type Writer } from './lab.ts';

describe('the trouble of nodes', () => {
  let lab: Lab;
  let writer: Writer;

  beforeEach(() => {
    lab = createLab();
    lab.machine('a1', 'b2');
    lab.join('a1', 1);
    lab.join('b2', 2);
    writer = lab.writer();
  });

  async function trouble(): Promise<readonly NodeNotice[]> {
    const { look, failures } = await writer.pass();
    return nodeTrouble({ look, report: reportOf(lab, look), failures });
  }

  it('is none while all routes stand', async () => {
    expect(await trouble()).toEqual([]);
  });

  it('is the route of somebody else in the place of ours', async () => {
    lab.cloud.putRoute('rtb-a', {
      destination: '10.244.1.0/24',
      target: { kind: 'gateway', id: 'igw-1' },
      state: 'active',
    });
    const [notice, ...others] = await trouble();
    expect(notice).toMatchObject({ nodeName: 'a1', reason: 'RouteConflict' });
    expect(notice?.message).toContain('igw-1');
    expect(others).toEqual([]);
  });

  it('is a lease that no next hop is found for', async () => {
    lab.join('a1', 3, { address: '10.0.1.99' });
    expect(await trouble()).toEqual([
      { nodeName: 'a1', reason: 'LeaseRefused', message: expect.stringContaining('10.0.1.99') },
    ]);
  });

  it('is none for a node of another backend', async () => {
    lab.join('b2', 2, { backendType: 'vxlan' });
    expect(await trouble()).toEqual([]);
  });

  it('is what the cloud refuses, also where another node’s route was the one that was tried', async () => {
    const { look } = await writer.pass();
    const report = reportOf(lab, look);
    const routes = report.routes.map((row) => ({ ...row, state: 'missing' as const }));
    const message = 'not allowed to create the route 10.244.1.0/24 in rtb-a';
    const failures = [
      new FlannelVpcError('PERMISSION_DENIED', message, { details: { tableId: 'rtb-a' } }),
      new FlannelVpcError('THROTTLED', 'slow down'),
    ];
    const found = nodeTrouble({ look, report: { ...report, routes }, failures });
    expect(found.map(({ nodeName, reason }) => [nodeName, reason])).toEqual([
      ['a1', 'PermissionDenied'],
      ['b2', 'PermissionDenied'],
    ]);
    expect(found[0]?.message).toBe(message);
    expect(found[1]?.message).not.toContain('10.244.1.0/24');
    const passing = nodeTrouble({ look, report: { ...report, routes }, failures: failures.slice(1) });
    expect(passing).toEqual([]);
  });
});

describe('telling it', () => {
  let clock: TestClock;
  let told: (readonly [readonly string[], readonly string[]])[];
  let fails: FlannelVpcError | undefined;
  let teller: NodeTeller;
  let ending: AbortController;
  const notice = { nodeName: 'a1', reason: 'QuotaExceeded', message: 'full' };

  beforeEach(() => {
    clock = createTestClock();
    told = [];
    fails = undefined;
    ending = new AbortController();
    const notices = {
      async tell(trouble: readonly NodeNotice[], undecided: ReadonlySet<string>) {
        told.push([trouble.map(({ nodeName }) => nodeName), [...undecided]]);
        if (fails) throw fails;
      },
    };
    teller = new NodeTeller({ notices, clock, logger: silentLogger });
    teller.run(ending.signal).catch(() => {});
  });

  it('tells nothing before a pass has found out', async () => {
    await clock.advance(3_600_000);
    expect(told).toEqual([]);
  });

  it('takes back what an earlier leader said, at once', async () => {
    teller.update([]);
    await clock.advance(1);
    expect(told).toEqual([[[], []]]);
  });

  it('leaves a node alone at first, and tells what lasts', async () => {
    teller.update([notice]);
    await clock.advance(1);
    expect(told).toEqual([[[], ['a1']]]);
    await clock.advance(10_000);
    expect(told.at(-1)).toEqual([['a1'], []]);
  });

  it('never tells what was over soon', async () => {
    teller.update([notice]);
    await clock.advance(1_000);
    teller.update([]);
    await clock.advance(60_000);
    expect(told.every(([due]) => due.length === 0)).toBe(true);
  });

  it('tries again later what the store refused, and rarely', async () => {
    fails = new FlannelVpcError('STORE_DENIED', 'no');
    teller.update([]);
    await clock.advance(20_000);
    expect(told).toHaveLength(1);
    await clock.advance(20_000);
    expect(told).toHaveLength(2);
  });
});
