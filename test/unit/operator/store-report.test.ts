import { describe, expect, test } from '@jest/globals';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { parseNetConf } from '../../../src/netconf/net-conf.ts';
import { storeReport } from '../../../src/operator/store-report.ts';
import { cidr, lease, now } from '../routing/fixtures.ts';

const parsed = parseNetConf('{"Network": "10.244.0.0/16", "Backend": {"Type": "aws-vpc"}}');
if (!parsed.ok) throw new Error('not sound');
const { netConf } = parsed;
const leases = [lease({ 4: cidr('10.244.9.0/24') }, '10.0.0.9'), lease({ 4: cidr('10.244.1.0/24') }, '10.0.0.1')];
const base = { at: now, version: '1', store: 'etcd', netConf, leases, reports: new Map(), problem: undefined };

describe('what the store alone says', () => {
  test('is all there is without a cloud, in address order, and healthy', () => {
    const report = storeReport(base);
    expect(report).toMatchObject({ healthy: true, problems: [], networks: ['10.244.0.0/16'], tables: [], routes: [] });
    expect(report.nodes.map(({ lease: key, state, reason }) => [key, state, reason])).toEqual([
      ['10.244.1.0/24', 'ok', ''],
      ['10.244.9.0/24', 'ok', ''],
    ]);
  });

  test('never passes for the whole where the cloud could not be read', () => {
    const problem = new FlannelVpcError('PERMISSION_DENIED', 'not allowed', { hint: 'Allow it.' });
    const report = storeReport({ ...base, problem });
    expect(report.healthy).toBe(false);
    expect(report.problems).toEqual([
      { severity: 'error', code: 'PERMISSION_DENIED', text: 'not allowed', hint: 'Allow it.' },
    ]);
    expect(report.nodes.map(({ reason }) => reason)).toEqual(leases.map(() => 'its routes were not looked at'));
  });

  test('a node that says it is not ready is a problem', () => {
    const reports = new Map([['10.244.9.0/24', { ready: false, reason: 'no peer answers', since: '' }]]);
    const report = storeReport({ ...base, reports });
    expect(report.healthy).toBe(false);
    expect(report.problems).toMatchObject([{ code: 'unready', text: expect.stringContaining('no peer answers') }]);
  });
});
