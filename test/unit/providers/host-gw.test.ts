import { expect, test } from '@jest/globals';
import type { Lease } from '../../../lease/lease.ts';
import type { BackendInterface } from '../../../providers/host-backend.ts';
import { hostGw } from '../../../providers/host-gw/host-gw.ts';
import { formatCidr, formatIp, parseCidr, parseIp } from '../../../src/core/ip.ts';
import { cidr } from '../../support/addresses.ts';

function lease(subnet: string, address: string, backendType = 'host-gw'): Lease {
  const cidr = parseCidr(subnet);
  const ip = parseIp(address);
  if (!cidr || !ip) throw new Error(subnet);
  return {
    subnets: { [cidr.family]: cidr },
    attributes: { publicIps: { [ip.family]: ip }, backendType, backendData: {} },
    reserved: false,
    revision: '1',
  };
}

const networks = {
  4: { network: cidr('10.5.0.0/16'), subnetLength: 24 },
  6: { network: cidr('fd42::/48'), subnetLength: 64 },
};
const own = lease('10.5.42.0/24', '192.168.0.11');
const external: BackendInterface = {
  name: 'eth0',
  mtu: 1500,
  addresses: own.attributes.publicIps,
  publicIps: own.attributes.publicIps,
};

function routes(...leases: readonly Lease[]): readonly string[] {
  return hostGw
    .peers(leases, { own, external, networks, onLink: [] })
    .routes.map(({ destination, gateway, device }) => `${formatCidr(destination)} ${formatIp(gateway)} ${device}`);
}

test('one route for each peer, in order', () => {
  expect(routes(lease('10.5.13.0/24', '192.168.0.13'), own, lease('10.5.12.0/24', '192.168.0.12'))).toEqual([
    '10.5.12.0/24 192.168.0.12 eth0',
    '10.5.13.0/24 192.168.0.13 eth0',
  ]);
});

test('none for peers of another backend, for our own address, or across families', () => {
  const strange = lease('10.5.14.0/24', '192.168.0.14', 'vxlan');
  const ours = lease('10.5.15.0/24', '192.168.0.11');
  const crossed: Lease = { ...lease('10.5.16.0/24', 'fd77::16') };
  expect(routes(strange, ours, crossed)).toEqual([]);
  const { passedOver } = hostGw.peers([strange, ours, crossed], { own, external, networks, onLink: [] });
  expect(passedOver.map(({ subnet, reason }) => `${formatCidr(subnet)}: ${reason}`)).toEqual([
    "10.5.14.0/24: its node's backend is vxlan, and not host-gw",
    "10.5.15.0/24: its lease claims 192.168.0.11, which is this node's",
    '10.5.16.0/24: its lease has no IPv4 address',
  ]);
});

test('refuses a public address that is not the interface’s', () => {
  const nat = { ...external, publicIps: { 4: parseIp('203.0.113.9') ?? { family: 4 as const, value: 0n } } };
  expect(() => hostGw.check(external)).not.toThrow();
  expect(() => hostGw.check(nat)).toThrow(/your PublicIP differs from interface IP/);
});

test('none for what is no subnet of the network, nor for a part of our own', () => {
  const outside = ['0.0.0.0/1', '192.168.0.0/24', '10.5.0.0/16', '10.4.0.0/15', '10.6.12.0/24'].map((subnet) =>
    lease(subnet, '192.168.0.66'),
  );
  expect(routes(...outside)).toEqual([]);
  const parts = [lease('10.5.42.128/25', '192.168.0.66'), lease('10.5.32.0/20', '192.168.0.66')];
  const { passedOver } = hostGw.peers(parts, { own, external, networks, onLink: [] });
  const reason = "it overlaps 10.5.42.0/24, which is this node's";
  expect(passedOver.map((each) => each.reason)).toEqual([reason, reason]);
});

test('for a subnet of another length, which was leased when SubnetLen was another', () => {
  expect(routes(lease('10.5.12.0/25', '192.168.0.66'), lease('10.5.16.0/22', '192.168.0.67'))).toHaveLength(2);
});
