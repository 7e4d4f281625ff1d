import { describe, expect, it } from '@jest/globals';
import type { Lease, NodeIdentity } from '../../../lease/lease.ts';
import { formatIp } from '../../../src/core/ip.ts';
import { probeAddress } from '../../../src/core/probe-address.ts';
import { groupId } from '../../../src/probe/message.ts';
import { PeerTable, settle } from '../../../src/probe/peer-table.ts';
import { inTurn, peersOf } from '../../../src/probe/peers.ts';
import { cidr, ip } from '../../support/addresses.ts';

const networks = {
  4: { network: cidr('10.244.0.0/16'), subnetLength: 24 },
  6: { network: cidr('fd42::/48'), subnetLength: 64 },
};
const self = { subnets: { 4: cidr('10.244.7.0/24') }, instanceId: 'i-7' };

function lease(subnet: string, node: NodeIdentity | undefined, more: Partial<Lease> = {}): Lease {
  return {
    subnets: { 4: cidr(subnet) },
    attributes: { publicIps: { 4: ip('10.0.1.9') }, backendType: '', backendData: {}, node },
    ...{ reserved: false, revision: '1', ...more },
  };
}

describe('probe addresses', () => {
  it.each([
    ['10.244.7.0/24', '10.244.7.0'],
    ['10.244.7.4/30', '10.244.7.4'],
    ['fd42:0:0:7::/64', 'fd42::7:ffff:ffff:ffff:ffff'],
    ['fd42::4/126', 'fd42::7'],
  ])('%s: %s', (subnet, address) => {
    expect(formatIp(probeAddress(cidr(subnet)))).toBe(address);
  });
});

describe('peersOf', () => {
  it('takes a node that has not left its overlay for one that answers no probes, whoever wrote its lease', () => {
    const onOverlay = (subnet: string, node: NodeIdentity): Lease => {
      const { attributes, ...rest } = lease(subnet, node);
      return { ...rest, attributes: { ...attributes, backendType: 'vxlan' } };
    };
    const { probed, plain } = peersOf(
      [onOverlay('10.244.1.0/24', { instanceId: 'i-1' }), onOverlay('10.244.2.0/24', { movedTo: 'aws-vpc' })],
      self,
      networks,
    );
    expect(probed.map(({ address }) => formatIp(address))).toEqual(['10.244.2.0']);
    expect(plain.map(({ address }) => formatIp(address))).toEqual(['10.244.1.1']);
  });

  it('groups nodes by VPC subnet, else by zone, else all together', () => {
    const { probed, groupNames } = peersOf(
      [
        lease('10.244.1.0/24', { subnetId: 'subnet-1', zone: 'z' }),
        lease('10.244.2.0/24', { zone: 'z' }),
        lease('10.244.3.0/24', {}),
      ],
      self,
      networks,
    );
    expect(probed.map(({ address, group }) => [formatIp(address), groupNames.get(group)])).toEqual([
      ['10.244.1.0', 'subnet-1'],
      ['10.244.2.0', 'z'],
      ['10.244.3.0', 'all nodes'],
    ]);
  });

  it('has one of each family of a lease', () => {
    const both = { subnets: { 4: cidr('10.244.1.0/24'), 6: cidr('fd42:0:0:1::/64') } };
    const { probed } = peersOf([lease('10.244.1.0/24', { zone: 'z' }, both)], self, networks);
    expect(probed.map(({ family }) => family)).toEqual([4, 6]);
    const table = new PeerTable(self, networks);
    table.replace([lease('10.244.1.0/24', { zone: 'z' }, both)]);
    // Each family has routes of its own, and so is proven by itself.
    expect(table.views(0).map(({ name }) => name)).toEqual(['z', 'z (IPv6)']);
  });

  it('leaves out itself, an earlier lease of its own, pins of nobody, and what no lease can be', () => {
    const { probed, plain } = peersOf(
      [
        lease('10.244.7.0/24', { instanceId: 'i-7' }),
        lease('10.244.8.0/24', { instanceId: 'i-7' }),
        lease('10.244.9.0/24', undefined, { reserved: true }),
        lease('10.245.9.0/24', {}),
        lease('10.244.0.0/16', {}),
        lease('10.244.10.0/25', {}),
      ],
      self,
      networks,
    );
    expect([probed, plain]).toEqual([[], []]);
  });

  it('knows nodes of real flannel by what their leases do not say', () => {
    const { plain } = peersOf([lease('10.244.9.0/24', undefined)], self, networks);
    expect(plain.map(({ address }) => formatIp(address))).toEqual(['10.244.9.1']);
  });
});

it('peers are tried in turn, each before one comes again', () => {
  expect(inTurn([1, 2, 3, 4, 5], 3, 3)).toEqual([4, 5, 1]);
  expect(inTurn([1, 2, 3], 1, 5, [2])).toEqual([3, 1]);
  expect(inTurn([], 7, 3)).toEqual([]);
});

describe('a request that comes in', () => {
  const addresses = (table: PeerTable): readonly string[] =>
    table.takeTentative().map(({ address }) => formatIp(address));

  it('makes its sender somebody to try, if it comes from a probe address of the network', () => {
    const table = new PeerTable(self, networks);
    for (const from of ['10.244.9.0', '10.244.9.5', '10.0.1.9', '10.245.9.0', '10.244.7.0']) table.heard(ip(from));
    expect(addresses(table)).toEqual(['10.244.9.0']);
  });

  it('makes a peer only of one who answers: strangers are forgotten, and count for nothing', () => {
    const table = new PeerTable(self, networks);
    table.heard(ip('10.244.9.0'));
    for (let round = 0; round < 3; round++) expect(addresses(table)).toEqual(['10.244.9.0']);
    expect(addresses(table)).toEqual([]);
    expect(table.groups).toEqual([]);
  });

  it('remembers a few strangers at once and no more', () => {
    const table = new PeerTable(self, networks);
    for (let third = 10; third < 200; third++) table.heard(ip(`10.244.${third}.0`));
    expect(addresses(table)).toHaveLength(16);
  });

  it('adds an answering stranger to the group it names', () => {
    const table = new PeerTable(self, networks);
    table.replace([lease('10.244.1.0/24', { subnetId: 'subnet-1' })]);
    table.promote({ family: 4, address: ip('10.244.9.0') }, groupId('subnet-1'));
    expect(table.views(0)).toMatchObject([{ name: 'subnet-1', peers: 2, outcome: { kind: 'answered' } }]);
  });

  it('from a peer that was silent is news, and it is asked next', () => {
    const table = new PeerTable(self, networks);
    table.replace(['1', '2', '3', '4', '5'].map((third) => lease(`10.244.${third}.0/24`, {})));
    const [group] = table.groups;
    if (!group) throw new Error('no group');
    settle(group, { outcome: { kind: 'silent' }, proven: undefined }, 0);
    group.cursor = 2;
    expect(table.heard(ip('10.244.5.0'))).toBe(true);
    expect(formatIp((inTurn(group.members, group.cursor, 1)[0] ?? group.members[1])?.address ?? ip('0.0.0.0'))).toBe(
      '10.244.5.0',
    );
  });
});

it('a new list drops whom it does not name, but for those who answer', () => {
  const table = new PeerTable(self, networks);
  table.replace([lease('10.244.1.0/24', { zone: 'a' }), lease('10.244.2.0/24', { zone: 'b' })]);
  const [first] = table.groups;
  if (!first) throw new Error('no group');
  settle(first, { outcome: { kind: 'answered' }, proven: first.members[0] }, 0);
  table.replace([lease('10.244.3.0/24', { zone: 'c' })]);
  expect(table.views(0).map(({ name, peers }) => [name, peers])).toEqual([
    ['a', 1],
    ['c', 1],
  ]);
});
