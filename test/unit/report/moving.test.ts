import { expect, test } from '@jest/globals';
import type { Lease, NodeIdentity } from '../../../lease/lease.ts';
import { overlayNote } from '../../../src/crossing/words.ts';
import { parseNetConf } from '../../../src/netconf/net-conf.ts';
import { movingOf } from '../../../src/report/moving.ts';
import { cidr, ip } from '../../support/addresses.ts';

function netConfOf(backendType?: string) {
  const text = '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}';
  const parsed = parseNetConf(text, { backendType });
  if (!parsed.ok) throw new Error('not sound');
  return parsed.netConf;
}

function lease(n: number, backendType: string, node?: NodeIdentity): Lease {
  const attributes = { publicIps: { 4: ip(`10.0.1.${n}`) }, backendType, backendData: {}, node };
  return { subnets: { 4: cidr(`10.244.${n}.0/24`) }, attributes, reserved: false, revision: '1' };
}

const movedTo = 'aws-vpc';
const report = (reason: string) => ({ ready: true, reason, since: '' });

test('a cluster that does not move says nothing of it', () => {
  expect(movingOf([lease(1, 'vxlan'), lease(2, 'vxlan')], new Map(), netConfOf())).toBeUndefined();
  expect(movingOf([lease(1, '', { instanceId: 'i-1' })], new Map(), undefined)).toBeUndefined();
});

test('before the first node moves, the flag alone tells where to', () => {
  expect(movingOf([lease(1, 'vxlan', { instanceId: 'i-1' })], new Map(), netConfOf(movedTo))).toEqual({
    ...{ from: 'vxlan', to: 'aws-vpc', nodes: 1, moved: 0, open: [] },
  });
});

test('moved nodes show it without the flag, those named that need the overlay or have said nothing', () => {
  const leases = [
    lease(1, 'vxlan'),
    ...[2, 3, 4].map((n) => lease(n, 'vxlan', { movedTo })),
    lease(5, '', { instanceId: 'i-5' }),
  ];
  const reports = new Map([
    ['10.244.2.0/24', report(overlayNote(3, 4, '10.244.1.0/24'))],
    ['10.244.3.0/24', report('no peer')],
  ]);
  expect(movingOf(leases, reports, netConfOf())).toEqual({
    ...{ from: 'vxlan', to: 'aws-vpc', nodes: 5, moved: 4 },
    open: [
      '10.244.2.0/24: 3 of 4 peers are reached by the cloud’s routes, by the overlay still 10.244.1.0/24',
      '10.244.4.0/24 has reported nothing yet',
    ],
  });
});

test('an operator’s pin that no machine holds is no node', () => {
  const pin: Lease = {
    ...lease(9, ''),
    attributes: { publicIps: {}, backendType: '', backendData: {} },
    reserved: true,
  };
  expect(movingOf([pin, lease(1, 'vxlan')], new Map(), netConfOf(movedTo))).toMatchObject({ nodes: 1, moved: 0 });
});
