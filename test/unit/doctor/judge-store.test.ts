import { describe, expect, test } from '@jest/globals';
import type { EndpointReport } from '../../../lease/etcd/examine.ts';
import type { Lease } from '../../../lease/lease.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { judgeNetConf } from '../../../src/doctor/judge-net-conf.ts';
import { judgeLeader, judgeNodeWriters, judgeReport } from '../../../src/doctor/judge-report.ts';
import { judgeEndpoints, judgeLease } from '../../../src/doctor/judge-store.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { isHelpful, statuses } from './words.ts';

const answering: EndpointReport = { url: 'http://a', latencyMs: 2, storeId: '255', revision: '7', error: undefined };
const silent: EndpointReport = {
  url: 'http://b',
  latencyMs: undefined,
  storeId: undefined,
  revision: undefined,
  error: new FlannelVpcError('STORE_UNAVAILABLE', 'can’t read', { hint: 'Start it.' }),
};

describe('endpoints', () => {
  test('one that answers is ok, and the cluster is named as etcdctl names it', () => {
    const findings = judgeEndpoints([answering]);
    expect(statuses(findings)).toEqual(['endpoint http://a: ok', 'etcd cluster: ok']);
    expect(findings[1]?.found).toBe('id ff, revision 7');
  });

  test('a silent one is a warning while another answers, and a failure alone', () => {
    expect(statuses(judgeEndpoints([answering, silent]))).toContain('endpoint http://b: warning');
    expect(judgeEndpoints([silent])).toEqual([
      { check: 'endpoint http://b', status: 'failed', found: 'can’t read', remedy: 'Start it.' },
    ]);
  });

  test('one that takes half a second is slow', () => {
    expect(statuses(judgeEndpoints([{ ...answering, latencyMs: 800 }]))[0]).toBe('endpoint http://a: warning');
  });

  test('endpoints of two clusters fail', () => {
    const findings = judgeEndpoints([answering, { ...answering, url: 'http://c', storeId: '4096' }]);
    expect(statuses(findings)).toContain('etcd cluster: failed');
    expect(isHelpful(findings)).toBe(true);
  });
});

function lease(subnet: string, address: string, instanceId?: string): Lease {
  return {
    subnets: { 4: cidr(subnet) },
    attributes: {
      publicIps: { 4: ip(address) },
      backendType: '',
      backendData: {},
      node: instanceId ? { instanceId } : undefined,
    },
    reserved: false,
    revision: '1',
  };
}

describe('the lease', () => {
  const mine = lease('10.5.1.0/24', '192.0.2.1');
  const other = lease('10.5.2.0/24', '192.0.2.2', 'i-2');
  const judge = (own: readonly Lease[], file: readonly string[]) =>
    judgeLease({ own, all: [mine, other], file: file.map(cidr), subnetFile: '/run/flannel/subnet.env' });

  test('is ok where subnet.env says the same', () => {
    expect(judge([mine], ['10.5.1.0/24'])).toMatchObject({
      status: 'ok',
      found: expect.stringMatching(/^10\.5\.1\.0\/24/),
    });
  });

  test.each([
    ['there is none', [], [], 'failed', /none among 2/],
    ['subnet.env names a subnet that another one leases', [], ['10.5.2.0/24'], 'failed', /leased by i-2/],
    ['subnet.env names a subnet that nobody leases', [], ['10.5.3.0/24'], 'failed', /though .* says 10\.5\.3\.0\/24/],
    ['there is no subnet.env', [mine], [], 'failed', /there is no \/run\/flannel\/subnet\.env/],
    ['subnet.env names another subnet', [mine], ['10.5.3.0/24'], 'failed', /but .* says 10\.5\.3\.0\/24/],
    ['there are two', [mine, other], ['10.5.1.0/24'], 'warning', /several/],
  ] as const)('is not ok where %s', (_, own, file, status, found) => {
    const finding = judge(own, file);
    expect(finding).toMatchObject({ status, found: expect.stringMatching(found) });
    expect(isHelpful([finding])).toBe(true);
  });
});

describe('net-conf', () => {
  const of = (text: string) => judgeNetConf({ text, revision: '1' }, '/coreos.com/network');

  test('a sound one is shown', () => {
    const findings = of('{"Network":"10.5.0.0/16","Backend":{"Type":"alloc"}}');
    expect(statuses(findings)).toEqual(['net-conf: ok', 'backend: ok']);
    expect(findings[0]?.found).toBe('10.5.0.0/16 in subnets of /24, rules by iptables');
  });

  test('every problem is a finding, a misspelt member a warning', () => {
    const findings = of('{"Network":"x","SubnetLen":99,"Netwrk":"","Backend":{"Type":"alloc"}}');
    expect(findings.filter(({ status }) => status === 'failed').length).toBeGreaterThan(0);
    expect(findings).toContainEqual(
      expect.objectContaining({ status: 'warning', found: expect.stringMatching(/did you mean Network/) }),
    );
    expect(isHelpful(findings)).toBe(true);
  });

  test('none at all fails', () => {
    expect(statuses(judgeNetConf(undefined, '/coreos.com/network'))).toEqual(['net-conf: failed']);
  });
});

describe('what the agent and the controllers say', () => {
  const since = '2026-01-01T00:00:00Z';

  test('a node that is ready is ok, with what could not be shown', () => {
    expect(judgeReport({ ready: true, reason: 'no peer', since })).toMatchObject({
      status: 'ok',
      found: expect.stringMatching(/no peer/),
    });
  });

  test('a node that is not ready fails with its reason, and a silent one is a warning', () => {
    expect(judgeReport({ ready: false, reason: 'no peer answers', since })).toMatchObject({
      status: 'failed',
      found: expect.stringMatching(/no peer answers/),
    });
    expect(judgeReport(undefined).status).toBe('warning');
  });

  test('a controller must lead where it writes, and is a surprise where nodes do', () => {
    const leader = { holder: 'c1', since };
    expect(judgeLeader('controller', leader).status).toBe('ok');
    expect(judgeLeader('controller', undefined).status).toBe('failed');
    expect(judgeLeader('node', undefined).status).toBe('ok');
    expect(judgeLeader('node', leader).status).toBe('warning');
  });
});

test('nodes that stand in line at one table: as many as it bears, and a controller beyond', () => {
  expect(judgeNodeWriters(20, 20).status).toBe('ok');
  expect(judgeNodeWriters(21, 20)).toMatchObject({ status: 'failed', remedy: expect.stringContaining('"controller"') });
});
