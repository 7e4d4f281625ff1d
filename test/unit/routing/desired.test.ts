/** What leases ask for, whatever is written in them. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Lease, LeaseKey } from '../../../lease/lease.ts';
import { leaseKey } from '../../../lease/lease-key.ts';
import type { Resolution } from '../../../providers/provider.ts';
import { type Cidr, cidrsOverlap, formatCidr, formatIp, type PerFamily } from '../../../src/core/ip.ts';
import {
  type DesiredRoutes,
  desiredRoutes,
  holderName,
  nextHopClaim,
  ownRoutes,
} from '../../../src/routing/desired.ts';
import { isSubnetOf, type RouteNetworks } from '../../../src/routing/networks.ts';
import { cidr, ip, lease, networks, nextHop } from './fixtures.ts';

const resolved = (machine: string): Resolution => ({ kind: 'resolved', nextHop: nextHop(machine) });

/** A lease and what the cloud says about it. */
type Case = readonly [Lease, Resolution | undefined];

function routesOf(cases: readonly Case[], within: RouteNetworks = networks): DesiredRoutes {
  const resolutions = new Map<LeaseKey, Resolution>();
  for (const [given, resolution] of cases) if (resolution) resolutions.set(leaseKey(given.subnets), resolution);
  return desiredRoutes({ leases: cases.map(([given]) => given), resolutions, networks: within });
}

const shown = ({ routes }: DesiredRoutes): readonly string[] =>
  routes.map(({ destination, nextHop: { nicId }, holder }) => `${formatCidr(destination)} ${nicId} ${holder}`);
const refused = ({ rejected }: DesiredRoutes): readonly string[] =>
  rejected.map(({ destination, code }) => `${formatCidr(destination)} ${code}`);

const subnet4 = (text: string): PerFamily<Cidr> => ({ 4: cidr(text) });
const of = (text: string, machine: string, address = '10.0.1.1'): Case => [
  lease(subnet4(text), address, { instanceId: `i-${machine}` }),
  resolved(machine),
];

describe('a lease that is as it should be', () => {
  it('asks for a route of each of its subnets, by the next hop that the cloud names', () => {
    const both = lease({ 4: cidr('10.244.1.0/24'), 6: cidr('fd00:10:0:1::/64') }, '10.0.1.1', { instanceId: 'i-a' });
    const result = routesOf([[both, resolved('a')]]);
    expect(shown(result)).toEqual(['10.244.1.0/24 eni-a i-a', 'fd00:10:0:1::/64 eni-a i-a']);
    expect(result.rejected).toEqual([]);
  });

  it('may be of real flannel, which names no instance', () => {
    expect(shown(routesOf([[lease(subnet4('10.244.1.0/24'), '10.0.1.1'), resolved('a')]]))).toEqual([
      '10.244.1.0/24 eni-a i-a',
    ]);
  });

  it('asks in address order, whatever the order of leases', () => {
    const cases = [of('10.244.10.0/24', 'c'), of('10.244.9.0/24', 'b'), of('10.244.2.0/24', 'a')];
    const wanted = ['10.244.2.0/24 eni-a i-a', '10.244.9.0/24 eni-b i-b', '10.244.10.0/24 eni-c i-c'];
    expect(shown(routesOf(cases))).toEqual(wanted);
    expect(shown(routesOf(cases.toReversed()))).toEqual(wanted);
  });
});

describe('a hostile or broken lease', () => {
  it.each([
    ['0.0.0.0/0', 'outside-network'],
    ['10.0.0.0/8', 'outside-network'],
    ['10.244.0.0/20', 'outside-network'],
    ['10.244.16.0/24', 'outside-network'],
    ['10.245.0.0/24', 'outside-network'],
    ['169.254.169.254/32', 'outside-network'],
    ['10.244.1.0/25', 'wrong-length'],
    ['10.244.0.0/23', 'wrong-length'],
    ['10.244.1.7/32', 'wrong-length'],
  ])('of %s gets no route: %s', (text, code) => {
    const result = routesOf([of(text, 'a')]);
    expect(result.routes).toEqual([]);
    expect(refused(result)).toEqual([`${text} ${code}`]);
  });

  it('says what was found and what is allowed', () => {
    const reasons = [of('10.245.0.0/24', 'a'), of('10.244.1.0/25', 'a')].map(
      (given) => routesOf([given]).rejected[0]?.reason,
    );
    expect(reasons).toEqual([
      'the subnet lies outside the network 10.244.0.0/20',
      "the subnet's prefix length is 25, net-conf has 24",
    ]);
  });

  it('loses only the family that is wrong', () => {
    const both = lease({ 4: cidr('10.244.1.0/24'), 6: cidr('fd00:11::/64') }, '10.0.1.1');
    const result = routesOf([[both, resolved('a')]]);
    expect(shown(result)).toEqual(['10.244.1.0/24 eni-a i-a']);
    expect(refused(result)).toEqual(['fd00:11::/64 outside-network']);
  });

  it('of a family that net-conf does not enable gets no route for it', () => {
    const { 4: only } = networks;
    const both = lease({ 4: cidr('10.244.1.0/24'), 6: cidr('fd00:10:0:1::/64') }, '10.0.1.1');
    const result = routesOf([[both, resolved('a')]], only ? { 4: only } : {});
    expect(shown(result)).toEqual(['10.244.1.0/24 eni-a i-a']);
    expect(result.rejected[0]?.reason).toBe('the subnet is IPv6, which net-conf does not enable');
  });

  it('without an address gets no route, even if the cloud was asked by mistake', () => {
    const result = routesOf([[lease(subnet4('10.244.1.0/24'), undefined), resolved('a')]]);
    expect(refused(result)).toEqual(['10.244.1.0/24 no-address']);
  });

  it('whose address the cloud does not know, or was not asked about, gets no route', () => {
    const result = routesOf([
      [lease(subnet4('10.244.1.0/24'), '10.0.1.1'), { kind: 'unresolved', reason: 'no interface has the address' }],
      [lease(subnet4('10.244.2.0/24'), '10.0.1.2'), undefined],
    ]);
    expect(refused(result)).toEqual(['10.244.1.0/24 unresolved', '10.244.2.0/24 unresolved']);
    expect(result.rejected.map(({ reason }) => reason)).toEqual([
      'no interface has the address',
      'the cloud was not asked about the lease yet',
    ]);
  });

  it("that gives another machine's address as its own gets no route", () => {
    const result = routesOf([[lease(subnet4('10.244.1.0/24'), '10.0.1.2', { instanceId: 'i-a' }), resolved('b')]]);
    expect(result.routes).toEqual([]);
    expect(result.rejected[0]).toMatchObject({
      code: 'other-instance',
      reason: 'the lease names instance i-a, but its address belongs to i-b',
    });
  });
});

describe('leases that claim the same addresses', () => {
  it('get no route, either of them; others do', () => {
    const dual = lease({ 4: cidr('10.244.1.0/24'), 6: cidr('fd00:10:0:1::/64') }, '10.0.1.2', { instanceId: 'i-b' });
    const cases: readonly Case[] = [of('10.244.1.0/24', 'a'), [dual, resolved('b')], of('10.244.2.0/24', 'c')];
    for (const inOrder of [cases, cases.toReversed()]) {
      const result = routesOf(inOrder);
      expect(shown(result)).toEqual(['10.244.2.0/24 eni-c i-c', 'fd00:10:0:1::/64 eni-b i-b']);
      expect(refused(result)).toEqual(['10.244.1.0/24 overlap', '10.244.1.0/24 overlap']);
    }
  });

  it('do not shut out a good one by what is refused anyway', () => {
    const result = routesOf([of('10.244.1.0/24', 'a'), of('10.244.0.0/20', 'b'), of('10.244.1.0/25', 'c')]);
    expect(shown(result)).toEqual(['10.244.1.0/24 eni-a i-a']);
  });
});

describe('whatever leases there are', () => {
  const texts = ['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24', '10.244.1.0/25', '10.244.0.0/16', '0.0.0.0/0'];
  const anyCase = fc
    .record({
      text: fc.constantFrom(...texts),
      v6: fc.constantFrom(undefined, 'fd00:10:0:1::/64', 'fd00:10:0:2::/64', '::/0'),
      named: fc.constantFrom(undefined, 'i-a', 'i-b'),
      address: fc.constantFrom(undefined, '10.0.1.1', 'fd00::1'),
      answer: fc.constantFrom(undefined, resolved('a'), resolved('b'), { kind: 'unresolved' as const, reason: 'no' }),
    })
    .map(({ text, v6, named, address, answer }): Case => {
      const subnets = { 4: cidr(text), ...(v6 === undefined ? {} : { 6: cidr(v6) }) };
      return [lease(subnets, address, named === undefined ? undefined : { instanceId: named }), answer];
    });

  it('every subnet is answered once, no two routes overlap, and all are subnets of the networks', () => {
    fc.assert(
      fc.property(fc.array(anyCase, { maxLength: 8 }), (cases) => {
        const { routes, rejected } = routesOf(cases);
        const asked = cases.flatMap(([{ subnets }]) => Object.values(subnets).map(formatCidr));
        const answered = [...routes, ...rejected].map(({ destination }) => formatCidr(destination));
        expect(answered.toSorted()).toEqual(asked.toSorted());
        for (const [index, { destination }] of routes.entries()) {
          expect(isSubnetOf(networks, destination)).toBe(true);
          for (const other of routes.slice(index + 1)) expect(cidrsOverlap(destination, other.destination)).toBe(false);
        }
      }),
    );
  });

  it('their order makes no difference', () => {
    fc.assert(
      fc.property(fc.array(anyCase, { maxLength: 8 }), (cases) => {
        // The cloud's answer belongs to a lease's key: one answer for leases of the same subnets.
        const first = new Map(cases.toReversed().map(([given, answer]) => [leaseKey(given.subnets), answer]));
        const same = cases.map(([given]): Case => [given, first.get(leaseKey(given.subnets))]);
        expect(routesOf(same.toReversed())).toEqual(routesOf(same));
      }),
    );
  });
});

describe('who holds a lease', () => {
  it('is the instance that the cloud confirmed, else the public IP, IPv4 first', () => {
    const both = { 4: ip('10.0.1.1'), 6: ip('fd00::1') };
    expect(holderName(nextHop('a'), both)).toBe('i-a');
    expect(holderName(nextHop('a', { instanceId: undefined }), both)).toBe('10.0.1.1');
    expect(holderName(nextHop('a', { instanceId: undefined }), { 6: ip('fd00::1') })).toBe('fd00::1');
    expect(holderName(nextHop('a', { instanceId: undefined }), {})).toBe('eni-a');
  });

  it('is claimed to the cloud with all that the lease says', () => {
    const given = lease(subnet4('10.244.1.0/24'), 'fd00::1', { instanceId: 'i-a', nicId: 'eni-a' });
    const claim = nextHopClaim(given, 'vpc-1');
    expect(claim && { ...claim, address: formatIp(claim.address) }).toEqual({
      address: 'fd00::1',
      instanceId: 'i-a',
      nicId: 'eni-a',
      networkId: 'vpc-1',
    });
    expect(nextHopClaim(lease(subnet4('10.244.1.0/24'), undefined), 'vpc-1')).toBeUndefined();
  });
});

describe("this machine's own routes", () => {
  const options = { networks, publicIps: { 4: ip('10.0.1.1') } };

  it('are those of its subnets', () => {
    const routes = ownRoutes({ 4: cidr('10.244.1.0/24'), 6: cidr('fd00:10:0:1::/64') }, nextHop('a'), options);
    expect(shown({ routes, rejected: [] })).toEqual(['10.244.1.0/24 eni-a i-a', 'fd00:10:0:1::/64 eni-a i-a']);
  });

  it.each(['10.244.1.0/25', '10.244.0.0/20', '10.245.1.0/24', '0.0.0.0/0'])('are none for %s', (text) => {
    expect(ownRoutes(subnet4(text), nextHop('a'), options)).toEqual([]);
  });
});
