/** Names and marks of routes: nobody else's, and never twice. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  instanceOfLink,
  isMarked,
  networkOfLink,
  ownerMark,
  parseInstanceId,
  parseNetworkId,
  routeName,
  subnetOfLink,
} from '../../../providers/gce/names.ts';
import type { RouteTarget } from '../../../providers/provider.ts';
import { type Cidr, cidrOf } from '../../../src/core/ip.ts';
import { cidr } from '../../support/addresses.ts';

const owner = { tableId: 'prj-1/default', networks: [cidr('10.244.0.0/16'), cidr('fd00:244::/48')] };
const target: RouteTarget = { kind: 'instance', id: 'europe-west1-b/vm-1', instanceId: 'europe-west1-b/vm-1' };
const name = (text: string, to = target, priority = 1000, of = owner) => routeName(of, cidr(text), to, priority);

const anyCidr = fc.oneof(
  fc
    .record({ value: fc.bigInt(0n, 2n ** 32n - 1n), length: fc.integer({ min: 0, max: 32 }) })
    .map(({ value, length }): Cidr => cidrOf({ family: 4, value }, length)),
  fc
    .record({ value: fc.bigInt(0n, 2n ** 128n - 1n), length: fc.integer({ min: 0, max: 128 }) })
    .map(({ value, length }): Cidr => cidrOf({ family: 6, value }, length)),
);
const anyRoute = fc.record({
  destination: anyCidr,
  id: fc.stringMatching(/^[a-z][-a-z0-9]{0,20}\/[a-z][-a-z0-9]{0,20}$/),
  priority: fc.constantFrom(1000, 990, 980, 970),
  network: fc.constantFrom('prj-1/default', 'prj-1/other', 'prj-2/default'),
  pods: fc.constantFrom('10.244.0.0/16', '10.245.0.0/16'),
});

describe('the name of a route', () => {
  it('says whose and which route it is', () => {
    expect(name('10.244.1.0/24')).toMatch(/^flannel-vpc-[0-9a-f]{8}-10-244-1-0-24-[0-9a-f]{10}$/);
    expect(name('fd00:244:0:1::/64')).toMatch(/^flannel-vpc-[0-9a-f]{8}-fd00-244-0-1-64-[0-9a-f]{10}$/);
  });

  it('fits Google’s grammar, whatever the route', () => {
    fc.assert(
      fc.property(anyRoute, ({ destination, id, priority, network, pods }) => {
        const made = routeName(
          { tableId: network, networks: [cidr(pods)] },
          destination,
          { kind: 'instance', id },
          priority,
        );
        expect(made).toMatch(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/);
      }),
    );
  });

  it('is another one wherever anything of the route, the network or the cluster is another', () => {
    fc.assert(
      fc.property(anyRoute, anyRoute, (a, b) => {
        const [first, second] = [a, b].map(({ destination, id, priority, network, pods }) =>
          routeName({ tableId: network, networks: [cidr(pods)] }, destination, { kind: 'instance', id }, priority),
        );
        const same = JSON.stringify(a, textOfBigInts) === JSON.stringify(b, textOfBigInts);
        // Pods of IPv4 say nothing of an IPv6 route's cluster: without a network of its family it is called unknown.
        const sixAlike =
          a.destination.family === 6 &&
          JSON.stringify({ ...a, pods: '' }, textOfBigInts) === JSON.stringify({ ...b, pods: '' }, textOfBigInts);
        expect(first === second).toBe(same || sixAlike);
      }),
    );
    const all = [
      name('10.244.1.0/24'),
      name('10.244.1.0/25'),
      name('10.244.1.0/24', { kind: 'instance', id: 'europe-west1-b/vm-2' }),
      name('10.244.1.0/24', { kind: 'address', id: '10.0.0.2' }),
      name('10.244.1.0/24', target, 990),
      name('10.244.1.0/24', target, 1000, { ...owner, tableId: 'prj-1/other' }),
      name('10.244.1.0/24', target, 1000, { ...owner, networks: [cidr('10.244.0.0/15')] }),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(name('10.244.1.0/24')).toBe(all[0]);
  });

  it('is a mark only together with the description, and of this cluster’s network only', () => {
    const description = ownerMark(owner, 4);
    const marked = { name: name('10.244.1.0/24'), description };

    expect(description).toBe('managed by flannel-vpc; network=10.244.0.0/16');
    expect(ownerMark(owner, 6)).toBe('managed by flannel-vpc; network=fd00:244::/48');
    expect(isMarked(owner, 4, marked)).toBe(true);
    expect(isMarked(owner, 6, marked)).toBe(false);
    expect(isMarked(owner, 4, { ...marked, description: undefined })).toBe(false);
    expect(isMarked(owner, 4, { ...marked, description: `${description}, or so` })).toBe(false);
    expect(isMarked(owner, 4, { ...marked, name: 'flannel-10-244-1-0-24' })).toBe(false);
    expect(isMarked({ ...owner, tableId: 'prj-1/other' }, 4, marked)).toBe(false);
    expect(isMarked({ ...owner, networks: [cidr('10.245.0.0/16')] }, 4, marked)).toBe(false);
    expect(isMarked({ ...owner, networks: [] }, 4, marked)).toBe(false);
  });
});

describe('a link of Google’s API', () => {
  it.each([
    'https://www.googleapis.com/compute/v1/projects/prj-1/global/networks/default',
    'https://compute.googleapis.com/compute/beta/projects/prj-1/global/networks/default',
    'projects/prj-1/global/networks/default',
    'projects/prj-1/networks/default',
  ])('%s names a network, whatever stands before it', (link) => {
    expect(networkOfLink(link)).toEqual({ project: 'prj-1', name: 'default' });
  });

  it('names an instance and a subnetwork', () => {
    const base = 'https://www.googleapis.com/compute/v1/projects/prj-1';
    expect(instanceOfLink(`${base}/zones/europe-west1-b/instances/vm-1`)).toEqual({
      project: 'prj-1',
      id: 'europe-west1-b/vm-1',
    });
    expect(subnetOfLink(`${base}/regions/europe-west1/subnetworks/a`)).toBe('europe-west1/a');
  });

  it('of something else names nothing', () => {
    expect(networkOfLink('https://example.com/default')).toBeUndefined();
    expect(instanceOfLink('projects/prj-1/global/networks/default')).toBeUndefined();
    expect(subnetOfLink('')).toBeUndefined();
    expect(parseInstanceId('i-0123456789abcdef0')).toBeUndefined();
    expect(parseInstanceId('a/b/c')).toBeUndefined();
    expect(parseNetworkId('rtb-1')).toBeUndefined();
  });
});

function textOfBigInts(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
