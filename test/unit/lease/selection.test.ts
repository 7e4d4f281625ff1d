import { describe, expect, it } from '@jest/globals';
import type { Lease, LeaseAttributes } from '../../../lease/lease.ts';
import { leaseKey } from '../../../lease/lease-key.ts';
import type { LeaseRequest } from '../../../lease/lease-store.ts';
import { attributesForRewrite, fitsRequest, type Occupant, selectLease } from '../../../lease/selection.ts';
import { attributes, cidr, four, four6, ranges, request, subnets, wide } from '../../integration/lease/fixtures.ts';

const a = { instanceId: 'i-a' };
const b = { instanceId: 'i-b' };
const mine = attributes('192.0.2.1', a);

function occupant(of: readonly string[], value: LeaseAttributes | undefined, reserved = false): Occupant {
  const lease: Lease | undefined = value && { subnets: subnets(...of), attributes: value, reserved, revision: '7' };
  return { subnets: subnets(...of), lease };
}

function select(occupants: readonly Occupant[], more: Partial<LeaseRequest> = {}): ReturnType<typeof selectLease> {
  return selectLease({ request: request('192.0.2.1', { attributes: mine, ...more }), occupants });
}

function keptSubnet(occupants: readonly Occupant[], more: Partial<LeaseRequest> = {}): string {
  const selection = select(occupants, more);
  return selection.kind === 'keep' ? leaseKey(selection.occupant.subnets) : selection.kind;
}

describe('selectLease', () => {
  it('keeps the lease that names our instance before one that merely has our address', () => {
    const byAddress = occupant(['10.5.1.0/24'], attributes('192.0.2.1'));
    const byInstance = occupant(['10.5.2.0/24'], attributes('192.0.2.77', a));
    expect(keptSubnet([byAddress, byInstance])).toBe('10.5.2.0/24');
    expect(keptSubnet([byInstance, byAddress])).toBe('10.5.2.0/24');
  });

  it('keeps the first of several with our address, as flannel does', () => {
    const first = occupant(['10.5.10.0/24'], attributes('192.0.2.1'));
    const second = occupant(['10.5.9.0/24'], attributes('192.0.2.1'));
    expect(keptSubnet([first, second])).toBe('10.5.10.0/24');
  });

  it('passes over an own lease that does not fit, if another one does', () => {
    const old = occupant(['10.9.1.0/24'], mine);
    const fitting = occupant(['10.5.9.0/24'], attributes('192.0.2.1'));
    expect(keptSubnet([old, fitting])).toBe('10.5.9.0/24');
  });

  it('takes a gone machine over only when the address is confirmed, and says so', () => {
    const former = occupant(['10.5.1.0/24'], attributes('192.0.2.1', b));
    expect(select([former])).toMatchObject({ kind: 'keep', takenOver: true });
    const doubtful = select([former], { publicIpConfirmed: false });
    expect(doubtful).toMatchObject({ kind: 'claim', removes: [] });
  });

  it('never removes the lease of a gone machine that does not fit, nor a reservation', () => {
    const former = occupant(['10.9.1.0/24'], attributes('192.0.2.1', b));
    const pinned = occupant(['10.9.2.0/24'], mine, true);
    const own = occupant(['10.9.3.0/24'], mine);
    expect(select([former, pinned, own])).toMatchObject({ kind: 'claim', removes: [{ subnets: own.subnets }] });
  });

  it('prefers the subnet of an own lease that lacks a family, then that of subnet.env, then its own order', () => {
    const dual = { ranges: ranges(four, four6), attributes: attributes(['192.0.2.1', 'fd00::1'], a) };
    const old = occupant(['10.6.0.64/26'], mine);
    const withOld = select([old], { ...dual, previous: subnets('10.6.0.128/26', 'fd00:6:0:2::/64') });
    expect(withOld).toMatchObject({
      kind: 'claim',
      candidates: [
        { subnets: subnets('10.6.0.64/26', 'fd00:6:0:2::/64'), how: 'previous' },
        { subnets: { 4: cidr('10.6.0.128/26') }, how: 'allocated' },
        expect.anything(),
        expect.anything(),
      ],
      removes: [old],
    });
  });

  it('offers six different subnets to claim, none of them taken', () => {
    const taken = occupant(['10.5.0.0/17'], attributes('192.0.2.2'));
    const broken = occupant(['10.5.128.0/18'], undefined);
    const selection = select([taken, broken]);
    if (selection.kind !== 'claim') throw new Error(selection.kind);
    const names = selection.candidates.map((candidate) => leaseKey(candidate.subnets));
    expect(new Set(names).size).toBe(6);
    for (const name of names) expect(Number(name.split('.')[2])).toBeGreaterThanOrEqual(192);
  });

  it('says which family is full', () => {
    const all4 = occupant(['10.6.0.0/24'], attributes('192.0.2.2'));
    const all6 = occupant(['10.9.0.0/24', 'fd00:6::/62'], attributes('192.0.2.2'));
    const dual = { ranges: ranges(four, four6), attributes: attributes(['192.0.2.1', 'fd00::1'], a) };
    expect(select([all4], dual)).toEqual({ kind: 'full', family: 4 });
    expect(select([all6], dual)).toEqual({ kind: 'full', family: 6 });
  });

  it('gives nodes without instance id orders of their own by address', () => {
    const first = (host: string) => {
      const selection = selectLease({ request: request(host), occupants: [] });
      return selection.kind === 'claim' && selection.candidates[0] && leaseKey(selection.candidates[0].subnets);
    };
    const hosts = Array.from({ length: 20 }, (_, index) => `192.0.2.${index + 1}`);
    expect(new Set(hosts.map(first)).size).toBeGreaterThan(15);
  });
});

describe('a node whose address changed while it held a lease', () => {
  const old = attributes('192.0.2.9');
  const held = { subnets: subnets('10.5.9.0/24'), attributes: old };
  const now = attributes('192.0.2.1');

  it('keeps that lease, before one that has its new address by chance', () => {
    const another = occupant(['10.5.1.0/24'], now);
    expect(keptSubnet([another, occupant(['10.5.9.0/24'], old)], { attributes: now, held })).toBe('10.5.9.0/24');
    expect(keptSubnet([occupant(['10.5.9.0/24'], old)], { attributes: now })).toBe('claim');
  });

  it('does not keep it where somebody else has claimed it meanwhile', () => {
    const theirs = occupant(['10.5.9.0/24'], attributes('192.0.2.50'));
    expect(keptSubnet([theirs], { attributes: now, held })).toBe('claim');
  });
});

describe('a node with containers', () => {
  const inUse = subnets('10.5.9.0/24');

  it('claims what they live on before all else, and nothing else', () => {
    expect(select([], { inUse, previous: subnets('10.5.8.0/24') })).toMatchObject({
      kind: 'claim',
      candidates: [{ subnets: inUse }],
    });
  });

  it('gets nothing while somebody else has that subnet, or it lies outside the range', () => {
    const theirs = occupant(['10.5.9.0/24'], attributes('192.0.2.50', b));
    expect(select([theirs], { inUse })).toEqual({ kind: 'in-use', inUse });
    const outside = subnets('10.99.9.0/24');
    expect(select([], { inUse: outside })).toEqual({ kind: 'in-use', inUse: outside });
  });

  it('keeps its lease if that is of the same subnet, and not of another', () => {
    expect(select([occupant(['10.5.9.0/24'], mine)], { inUse })).toMatchObject({ kind: 'keep' });
    expect(select([occupant(['10.5.7.0/24'], mine)], { inUse })).toEqual({ kind: 'in-use', inUse });
  });
});

describe('fitsRequest', () => {
  it.each([
    [ranges(wide), ['10.5.1.0/24'], true],
    [ranges(wide), ['10.5.1.0/24', 'fd00:6::/64'], false],
    [ranges(wide, four6), ['10.5.1.0/24'], false],
    [ranges(wide, four6), ['10.5.1.0/24', 'fd00:6::/64'], true],
    [ranges(wide, four6), ['10.5.1.0/24', 'fd00:7::/64'], false],
    [ranges(four6), ['fd00:6::/64'], true],
    [ranges(four6), ['10.5.1.0/24', 'fd00:6::/64'], false],
  ])('case %#', (wanted, of, fits) => {
    expect(fitsRequest(wanted, subnets(...of))).toBe(fits);
  });
});

describe('attributesForRewrite', () => {
  it('keeps what nobody knows, and lets ours win', () => {
    const stored = { ...attributes('192.0.2.9'), unknownFields: { Rack: 1, Row: 2 } };
    expect(attributesForRewrite({ ...mine, unknownFields: { Row: 3 } }, stored)).toEqual({
      ...mine,
      unknownFields: { Rack: 1, Row: 3 },
    });
    expect(attributesForRewrite(mine, attributes('192.0.2.9'))).toEqual(mine);
  });
});
