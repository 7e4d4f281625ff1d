/** flannel's vxlan: what its leases say, and what a peer's lease makes of this node's kernel. */
import { describe, expect, test } from '@jest/globals';
import type { Lease } from '../../../lease/lease.ts';
import type { BackendInterface, PeerContext } from '../../../providers/host-backend.ts';
import { vxlanSchema } from '../../../providers/vxlan/config.ts';
import { newMac, vxlan } from '../../../providers/vxlan/vxlan.ts';
import { formatCidr, formatIp } from '../../../src/core/ip.ts';
import { cidr, ip } from '../../support/addresses.ts';

const external: BackendInterface = {
  name: 'eth0',
  mtu: 1500,
  addresses: { 4: ip('192.168.0.11') },
  publicIps: { 4: ip('192.168.0.11') },
};
const dualStack: BackendInterface = {
  ...external,
  addresses: { ...external.addresses, 6: ip('fd77::11') },
  publicIps: { ...external.publicIps, 6: ip('fd77::11') },
};

/** A peer whose number is in its subnet, its address and its link-layer address. */
function peer(number: number, more: Partial<Lease['attributes']> = {}, withIpv6 = false): Lease {
  const mac = (family: number) => `0e:0${family}:00:00:00:${number.toString(16).padStart(2, '0')}`;
  return {
    subnets: { 4: cidr(`10.5.${number}.0/24`), ...(withIpv6 ? { 6: cidr(`fd42:0:0:${number}::/64`) } : {}) },
    attributes: {
      publicIps: { 4: ip(`192.168.0.${number}`), ...(withIpv6 ? { 6: ip(`fd77::${number}`) } : {}) },
      backendType: 'vxlan',
      backendData: { 4: { VNI: 1, VtepMAC: mac(4) }, ...(withIpv6 ? { 6: { VNI: 1, VtepMAC: mac(6) } } : {}) },
      ...more,
    },
    reserved: false,
    revision: '1',
  };
}

const networks = {
  4: { network: cidr('10.5.0.0/16'), subnetLength: 24 },
  6: { network: cidr('fd42::/48'), subnetLength: 64 },
};
const own = peer(11);

function entries(leases: readonly Lease[], config: object = {}, context: Partial<PeerContext> = {}): readonly string[] {
  const backend = vxlan(vxlanSchema.parse(config));
  const { routes, neighbours, forwarding } = backend.peers(leases, { external, own, networks, onLink: [], ...context });
  return [
    ...routes.map(
      ({ destination, gateway, device, onLink }) =>
        `route ${formatCidr(destination)} ${formatIp(gateway)} ${device}${onLink ? ' onlink' : ''}`,
    ),
    ...neighbours.map(({ address, mac, device }) => `neigh ${formatIp(address)} ${mac} ${device}`),
    ...forwarding.map(({ mac, remote, device }) => `fdb ${mac} ${formatIp(remote)} ${device}`),
  ];
}

describe('a peer', () => {
  test('is a route, a neighbour and a forwarding entry', () => {
    expect(entries([own, peer(12)])).toEqual([
      'route 10.5.12.0/24 10.5.12.0 flannel.1 onlink',
      'neigh 10.5.12.0 0e:04:00:00:00:0c flannel.1',
      'fdb 0e:04:00:00:00:0c 192.168.0.12 flannel.1',
    ]);
  });

  test('is that in each family, on a device of each', () => {
    const both = { external: dualStack, own: peer(11, {}, true) };
    expect(entries([peer(12, {}, true)], { VNI: 1 }, both)).toEqual([
      'route 10.5.12.0/24 10.5.12.0 flannel.1 onlink',
      'route fd42:0:0:12::/64 fd42:0:0:12:: flannel-v6.1 onlink',
      'neigh 10.5.12.0 0e:04:00:00:00:0c flannel.1',
      'neigh fd42:0:0:12:: 0e:06:00:00:00:0c flannel-v6.1',
      'fdb 0e:04:00:00:00:0c 192.168.0.12 flannel.1',
      'fdb 0e:06:00:00:00:0c fd77::12 flannel-v6.1',
    ]);
  });

  test('on the interface’s own link is reached without encapsulation, where that is asked for', () => {
    const onLink = [cidr('192.168.0.0/28')];
    expect(entries([peer(12), peer(99)], { DirectRouting: true }, { onLink })).toEqual([
      'route 10.5.12.0/24 192.168.0.12 eth0',
      'route 10.5.99.0/24 10.5.99.0 flannel.1 onlink',
      'neigh 10.5.99.0 0e:04:00:00:00:63 flannel.1',
      'fdb 0e:04:00:00:00:63 192.168.0.99 flannel.1',
    ]);
    expect(entries([peer(12)], {}, { onLink })[0]).toContain('flannel.1');
  });

  test('of flannel up to 0.12 has no VNI in its lease', () => {
    const old = peer(12, { backendData: { 4: { VtepMAC: '0e:04:00:00:00:0c' } } });
    expect(entries([old], { VNI: 7 })).toContain('fdb 0e:04:00:00:00:0c 192.168.0.12 flannel.7');
  });

  const data = (VtepMAC: string, VNI = 1) => ({ backendData: { 4: { VNI, VtepMAC } } });

  test.each([
    ['of another backend', { backendType: 'host-gw' }, /host-gw, and not vxlan/],
    ['of a cloud', { backendType: '' }, /a cloud or alloc, and not vxlan/],
    ['without data', { backendData: {} }, /no VNI and link-layer address/],
    ['of another VNI', data('0e:00:00:00:00:0c', 2), /VNI 2, and net-conf 1/],
    ['whose address does not parse', data('zz'), /no VNI and link-layer address/],
    ['with a multicast link-layer address', data('01:00:5e:00:00:01'), /no VNI and link-layer address/],
    ['with none at all', data('00:00:00:00:00:00'), /no VNI and link-layer address/],
    ['with a command in it', data('0e:00:00:00:00:0c\nlink del eth0'), /no VNI and link-layer address/],
    ['that claims our own address', { publicIps: { 4: ip('192.168.0.11') } }, /claims 192\.168\.0\.11/],
    ['of the other family', { publicIps: { 6: ip('fd77::12') } }, /no IPv4 address/],
  ])('%s is none, says why, and keeps no other from being one', (_, attributes, why) => {
    const leases = [peer(12, attributes), peer(13)];
    const found = entries(leases);
    expect(found.filter((line) => line.includes('.12'))).toEqual([]);
    expect(found).toHaveLength(3);
    const { passedOver } = vxlan(vxlanSchema.parse({})).peers(leases, { external, own, networks, onLink: [] });
    expect(passedOver).toEqual([{ subnet: cidr('10.5.12.0/24'), reason: expect.stringMatching(why) }]);
  });

  test('that takes another one’s link-layer address does not take its packets', () => {
    const thief = peer(13, { backendData: { 4: { VNI: 1, VtepMAC: '0E:04:00:00:00:0C' } } });
    expect(entries([thief, peer(12)])).toEqual(entries([peer(12)]));
  });
});

describe('links', () => {
  const macs = { 4: '02:00:00:00:00:01', 6: '02:00:00:00:00:02' };

  test('are one for each family in use, with room for the outer headers', () => {
    const backend = vxlan(vxlanSchema.parse({}));
    expect(
      backend.links(dualStack, macs).map(({ name, mtu, mac, port, local }) => [name, mtu, mac, port, formatIp(local)]),
    ).toEqual([
      ['flannel.1', 1450, macs[4], 8472, '192.168.0.11'],
      ['flannel-v6.1', 1430, macs[6], 8472, 'fd77::11'],
    ]);
    expect(backend.links(external, macs)).toHaveLength(1);
    expect(backend.mtu(dualStack)).toBe(1450);
  });

  test('follow net-conf', () => {
    const config = vxlanSchema.parse({ VNI: 42, Port: 4789, MTU: 1400, Learning: true, GBP: true });
    expect(vxlan(config).links(external, macs)).toEqual([
      expect.objectContaining({ name: 'flannel.42', vni: 42, port: 4789, mtu: 1350, learning: true, gbp: true }),
    ]);
  });

  test('say in a lease what flannel’s say, and are read from there again', () => {
    const backend = vxlan(vxlanSchema.parse({}));
    const data = backend.leaseData(backend.links(dualStack, macs));
    expect(JSON.stringify(data[4])).toBe('{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}');
    expect(backend.storedMacs(data)).toEqual(macs);
    expect(backend.storedMacs({ 4: null, 6: { VtepMAC: 'x' } })).toEqual({});
  });

  test('too small for a packet of their family are refused', () => {
    expect(() => vxlan(vxlanSchema.parse({ MTU: 1300 })).check(external)).not.toThrow();
    expect(() => vxlan(vxlanSchema.parse({ MTU: 1300 })).check(dualStack)).toThrow(/MTU of 1230 is too small for IPv6/);
  });
});

test('a new link-layer address is locally administered and of one device, whatever the numbers', () => {
  for (const value of [0, 1, 3, 0x7f, 0xfe, 0xff])
    expect(newMac(() => value)).toMatch(/^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
});

test.each([
  [{ VNI: -1 }, /0 to 16777215/],
  [{ VNI: 16_777_216 }, /0 to 16777215/],
  [{ VNI: '1' }, /0 to 16777215/],
  [{ Port: 65_536 }, /0 to 65535/],
  [{ Port: 1.5 }, /0 to 65535/],
  [{ MTU: 100 }, /626/],
  [{ Learning: 'yes' }, /true or false/],
  [{ DirectRouting: 1 }, /true or false/],
])('net-conf with %j is refused in words', (config, words) => {
  const result = vxlanSchema.safeParse(config);
  expect(result.success).toBe(false);
  expect(result.error?.issues[0]?.message).toMatch(words);
});
