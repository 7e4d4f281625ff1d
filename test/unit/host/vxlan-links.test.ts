/** Which commands make vxlan devices, and their entries, what is wanted. */
import { describe, expect, test } from '@jest/globals';
import type { PeerNetworkState } from '../../../host/host.ts';
import type { IpLink } from '../../../host/ip-json.ts';
import { planForwarding, planNeighbours } from '../../../host/peer-entries.ts';
import { planVxlanLinks } from '../../../host/vxlan-links.ts';
import type { VxlanLink } from '../../../src/core/peer-network.ts';
import { ip } from './facts.ts';

const wanted: VxlanLink = {
  ...{ name: 'flannel.1', vni: 1, port: 8472, mac: '02:00:00:00:00:01', device: 'eth0', local: ip('192.168.0.11') },
  ...{ mtu: 1450, learning: false, gbp: false },
};
const data = { id: 1, port: 8472, link: 'eth0', local: '192.168.0.11', learning: false };
const standing: IpLink = {
  ...{ ifindex: 7, ifname: 'flannel.1', flags: ['BROADCAST', 'UP'], mtu: 1450, address: wanted.mac, addr_info: [] },
  linkinfo: { info_kind: 'vxlan', info_data: data },
};
const creation =
  'link add name flannel.1 address 02:00:00:00:00:01 mtu 1450 type vxlan id 1 local 192.168.0.11 dev eth0 dstport 8472 nolearning udpcsum';
const mark = 'link set dev flannel.1 alias flannel-vpc';

describe('a device', () => {
  test('that is not there is made and brought up', () => {
    expect(planVxlanLinks([wanted], [])).toEqual([creation, mark, 'link set dev flannel.1 up']);
    expect(planVxlanLinks([{ ...wanted, learning: true, gbp: true }], [])[0]).toMatch(/ learning udpcsum gbp$/);
  });

  test('that stands as wanted is left alone', () => {
    expect(planVxlanLinks([wanted], [standing])).toEqual([]);
  });

  test.each([
    ['its MTU', { mtu: 1400 }, ['link set dev flannel.1 mtu 1450']],
    ['its address', { address: '02:00:00:00:00:09' }, ['link set dev flannel.1 address 02:00:00:00:00:01']],
    ['its being up', { flags: ['BROADCAST'] }, ['link set dev flannel.1 up']],
  ])('that differs in %s is changed in place', (_, more, commands) => {
    expect(planVxlanLinks([wanted], [{ ...standing, ...more }])).toEqual(commands);
  });

  test.each([
    ['VNI', { id: 7 }],
    ['port', { port: 4789 }],
    ['interface', { link: 'eth1' }],
    ['sending address', { local: '192.168.0.12' }],
    ['group', { group: '239.0.0.1' }],
    ['learning', { learning: true }],
    ['GBP', { gbp: true }],
  ])('that differs in its %s is made anew', (_, more) => {
    const other = { ...standing, linkinfo: { info_kind: 'vxlan', info_data: { ...data, ...more } } };
    expect(planVxlanLinks([wanted], [other])).toEqual([
      'link del dev flannel.1',
      creation,
      mark,
      'link set dev flannel.1 up',
    ]);
  });
});

describe('entries on a device of our own', () => {
  const state = (more: Partial<PeerNetworkState>): PeerNetworkState => ({
    ...{ device: 'eth0', networks: {}, routes: [], links: ['flannel.1'], ...more },
  });
  const mac = '0e:00:00:00:00:0c';

  test('are added, and those of former peers go', () => {
    const neighbours = [{ address: ip('10.5.12.0'), mac, device: 'flannel.1' }];
    const actual = [
      { dst: '10.5.13.0', lladdr: '0e:00:00:00:00:0d', state: ['PERMANENT'] },
      { dst: 'ff02::1', lladdr: '33:33:00:00:00:01', state: ['PERMANENT'] },
    ];
    expect(planNeighbours(state({ neighbours }), { neighbours: new Map([['flannel.1', actual]]) })).toEqual([
      `neigh replace 10.5.12.0 lladdr ${mac} dev flannel.1 nud permanent`,
      'neigh del 10.5.13.0 dev flannel.1',
    ]);
  });

  test('that stand are left alone, whatever the case of their letters', () => {
    const neighbours = [{ address: ip('10.5.12.0'), mac, device: 'flannel.1' }];
    const forwarding = [{ mac, device: 'flannel.1', remote: ip('192.168.0.12') }];
    const upper = mac.toUpperCase();
    expect(
      planNeighbours(state({ neighbours }), {
        neighbours: new Map([['flannel.1', [{ dst: '10.5.12.0', lladdr: upper, state: ['PERMANENT'] }]]]),
      }),
    ).toEqual([]);
    expect(
      planForwarding(state({ forwarding }), {
        forwarding: new Map([['flannel.1', [{ mac: upper, dst: '192.168.0.12', state: 'permanent' }]]]),
      }),
    ).toEqual([]);
  });

  test('that a device has learnt by itself are its own', () => {
    const learnt = [{ mac: '0e:00:00:00:00:0e', dst: '192.168.0.14', flags: ['self'] }];
    expect(planForwarding(state({}), { forwarding: new Map([['flannel.1', learnt]]) })).toEqual([]);
  });

  test('of one address and two ways become one', () => {
    const forwarding = [{ mac, device: 'flannel.1', remote: ip('192.168.0.12') }];
    const actual = ['192.168.0.12', '192.168.0.99'].map((dst) => ({ mac, dst, state: 'permanent' }));
    expect(planForwarding(state({ forwarding }), { forwarding: new Map([['flannel.1', actual]]) })).toEqual([
      `fdb del ${mac} dev flannel.1`,
      `fdb replace ${mac} dev flannel.1 dst 192.168.0.12 self permanent`,
    ]);
  });
});
