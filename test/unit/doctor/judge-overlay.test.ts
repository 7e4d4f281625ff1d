/** vxlan devices, their UDP port and peers, as doctor judges them. */
import { describe, expect, test } from '@jest/globals';
import type { IpLink } from '../../../host/ip-json.ts';
import type { VxlanLink } from '../../../src/core/peer-network.ts';
import { judgeOverlay, type OverlayFacts } from '../../../src/doctor/judge-overlay.ts';
import { judgePeers } from '../../../src/doctor/judge-peers.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { isHelpful, statuses } from './words.ts';

const mac = '02:00:00:00:00:01';
const wanted: VxlanLink = {
  ...{ name: 'flannel.1', vni: 1, port: 8472, mac, device: 'eth0', local: ip('192.0.2.11') },
  ...{ mtu: 1450, learning: false, gbp: false },
};
const standing: IpLink = {
  ...{ ifindex: 7, ifname: 'flannel.1', flags: ['UP'], mtu: 1450, address: mac, addr_info: [] },
  linkinfo: {
    info_kind: 'vxlan',
    info_data: { id: 1, port: 8472, link: 'eth0', local: '192.0.2.11', learning: false },
  },
};

function withData(data: object): IpLink {
  return { ...standing, linkinfo: { info_kind: 'vxlan', info_data: { ...standing.linkinfo?.info_data, ...data } } };
}

function judge(facts: Partial<OverlayFacts> = {}) {
  const findings = judgeOverlay({
    ...{ wanted: [wanted], told: { 4: mac }, links: [standing], nicMtu: 1500, peers: 3 },
    ...{ taken: new Set([4] as const), counters: new Map([['flannel.1', { sent: 90, received: 1 }]]) },
    ...facts,
  });
  expect(isHelpful(findings)).toBe(true);
  return findings;
}

const notOk = (facts: Partial<OverlayFacts>) => judge(facts).filter(({ status }) => status !== 'ok');

test('a device as it should be is ok in all', () => {
  expect(statuses(judge())).toEqual(['device flannel.1: ok', 'MTU of flannel.1: ok', 'UDP port 8472: ok']);
  expect(
    judgeOverlay({
      ...{ wanted: [], told: {}, links: [], nicMtu: 1500, taken: new Set() },
      counters: new Map(),
      peers: 0,
    }),
  ).toEqual([]);
});

describe('a device', () => {
  test.each<[string, Partial<OverlayFacts>, RegExp]>([
    ['that is not there', { links: [] }, /is not there/],
    ['of another VNI', { links: [withData({ id: 7 })] }, /VNI 7, not 1: somebody else made it/],
    ['on another port', { links: [withData({ port: 4789 })] }, /UDP port 4789, not 8472/],
    ['by another interface', { links: [withData({ link: 'eth1' })] }, /interface eth1, not eth0/],
    ['from another address', { links: [withData({ local: '192.0.2.9' })] }, /sends from 192\.0\.2\.9/],
    ['from any address', { links: [withData({ local: undefined })] }, /sends from any address/],
    ['that learns', { links: [withData({ learning: true })] }, /Learning true, not false/],
    ['of another kind', { links: [{ ...standing, linkinfo: { info_kind: 'dummy' } }] }, /is a dummy link/],
    ['that is down', { links: [{ ...standing, flags: [] }] }, /is down/],
    [
      'with an address that peers don’t know',
      { told: { 4: '02:00:00:00:00:09' } },
      /lease tells peers 02:00:00:00:00:09/,
    ],
    [
      'beside one of the same VNI and port',
      { links: [{ ...withData({}), ifname: 'vx0' }] },
      /vx0 has VNI 1 on UDP port 8472 as well/,
    ],
  ])('%s fails', (_, facts, found) => {
    expect(notOk(facts)[0]).toMatchObject({
      ...{ check: 'device flannel.1', status: 'failed', found: expect.stringMatching(found) },
    });
  });

  test('of another VNI beside it is nobody’s trouble', () => {
    expect(notOk({ links: [standing, { ...withData({ id: 9 }), ifname: 'vx0' }] })).toEqual([]);
  });
});

test('MTU: what the interface leaves beside the outer headers of the family', () => {
  expect(statuses(notOk({ nicMtu: 1400 }))).toEqual(['MTU of flannel.1: failed']);
  expect(notOk({ wanted: [{ ...wanted, mtu: 8_950 }] })[0]?.remedy).toMatch(/MTU out of net-conf/);
  expect(statuses(notOk({ links: [{ ...standing, mtu: 1_300 }] }))).toEqual(['MTU of flannel.1: warning']);
  const six = { ...wanted, local: ip('fd77::11'), mtu: 1_450 };
  expect(notOk({ wanted: [six], links: [] }).map(({ found }) => found)).toContainEqual(
    expect.stringMatching(/leaves 1430/),
  );
});

test('UDP port: a program there fails; a device that sends and gets nothing is a warning', () => {
  const down = [{ ...standing, flags: [] }];
  expect(statuses(notOk({ links: down }))).toEqual(['device flannel.1: failed', 'UDP port 8472: failed']);
  expect(statuses(notOk({ links: down, taken: new Set([6] as const) }))).toContain('UDP port 8472: failed');
  expect(statuses(notOk({ links: down, taken: new Set() }))).toEqual(['device flannel.1: failed']);
  const other = { ...withData({ id: 9 }), ifname: 'vx0' };
  expect(statuses(notOk({ links: [...down, other] }))).toEqual(['device flannel.1: failed']);
  const counters = new Map([['flannel.1', { sent: 90, received: 0 }]]);
  expect(notOk({ counters })[0]).toMatchObject({ status: 'warning', found: expect.stringMatching(/sent 90 packets/) });
  expect(notOk({ counters, peers: 0 })).toEqual([]);
  expect(notOk({ counters: new Map([['flannel.1', { sent: 5, received: 0 }]]) })).toEqual([]);
});

test('peers: entries that are missing fail, those not reached are named with the reason, the first of them', () => {
  const over = (n: number) => ({ subnet: cidr(`10.5.${n}.0/24`), reason: 'its lease has VNI 2, and net-conf 1' });
  expect(statuses(judgePeers({ wanted: 3, passedOver: [], pending: [] }))).toEqual(['peers: ok']);
  const missing = judgePeers({ wanted: 3, passedOver: [over(1)], pending: ['fdb replace x', 'route replace y'] });
  expect(statuses(missing)).toEqual(['peers: failed', 'peer 10.5.1.0/24: warning']);
  expect(missing[0]?.found).toMatch(/2 entries for 3 subnets .* such as "fdb replace x"/);
  const many = judgePeers({ wanted: 0, passedOver: [1, 2, 3, 4, 5, 6, 7].map(over), pending: [] });
  expect(many).toHaveLength(7);
  expect(many.at(-1)?.found).toMatch(/^2 more/);
  expect(isHelpful([...missing, ...many])).toBe(true);
});
