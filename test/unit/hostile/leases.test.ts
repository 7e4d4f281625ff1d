/**
 * Leases that anybody may have written, from etcd's bytes to what would be done about them: in a route table, in the kernel, and by the
 * commands of net-conf. Nothing is done outside of the pod network, nothing twice, and nothing to what is somebody else's.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createEntryReader } from '../../../lease/etcd/entries.ts';
import { createEtcdKeys } from '../../../lease/etcd/keys.ts';
import type { Lease } from '../../../lease/lease.ts';
import { leaseKey } from '../../../lease/lease-key.ts';
import { extension } from '../../../providers/extension/extension.ts';
import { hostGw } from '../../../providers/host-gw/host-gw.ts';
import type { Resolution, RouteTable } from '../../../providers/provider.ts';
import { vxlanSchema } from '../../../providers/vxlan/config.ts';
import { vxlan } from '../../../providers/vxlan/vxlan.ts';
import { cidrContains, cidrsOverlap, formatCidr, formatIp } from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { desiredRoutes } from '../../../src/routing/desired.ts';
import { planRoutes } from '../../../src/routing/plan.ts';
import { defaultDeletionPolicy, type PlanInput, type RouteStep } from '../../../src/routing/route-plan.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { hostileCidr, hostileJson, propertyRuns } from '../../support/hostile.ts';
import { entry, known, networks, nextHop, table } from '../routing/fixtures.ts';
import { pair } from './edges-of-etcd.ts';

const runs = { numRuns: propertyRuns(500) };
const keys = createEtcdKeys('/coreos.com/network');

const values = [
  { PublicIP: '10.0.1.1', PublicIPv6: null },
  {
    PublicIP: '10.0.1.2',
    PublicIPv6: 'fd00:1::2',
    FlannelVPC: { instanceId: 'i-b', nicId: 'eni-b', addresses: ['10.0.1.2'] },
  },
  {
    PublicIP: '10.0.1.3',
    PublicIPv6: null,
    BackendType: 'vxlan',
    BackendData: { VNI: 1, VtepMAC: '0e:04:00:00:00:0c' },
  },
  { PublicIP: '10.0.1.4', PublicIPv6: null, BackendType: 'host-gw' },
  { PublicIP: '10.0.1.5', PublicIPv6: null, BackendType: 'extension', BackendData: 'text' },
];
/** Names of subnets: those of the network, parts of it, what holds it, and what lies outside. */
const subnets = [
  ...Array.from({ length: 6 }, (_, index) => `10.244.${index}.0-24`),
  ...[
    '10.244.0.0-20',
    '10.244.0.0-16',
    '10.244.0.0-25',
    '10.244.1.7-24',
    '10.244.2.0-23',
    '10.244.255.0-24',
    '0.0.0.0-0',
  ],
  ...['0.0.0.0-1', '10.0.1.0-24', '169.254.169.254-31', '10.244.3.0-24&fd00:10:0:3::-64', '0.0.0.0-0&fd00:10:0:3::-64'],
  ...['0.0.0.0-0&::-0', '10.244.4.0-24&fd00:10::-60', '127.0.0.0-24', '224.0.0.0-24'],
];
const pairs = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...subnets) },
      { weight: 1, arbitrary: hostileCidr.map((text) => text.replace('/', '-')) },
    ),
    fc.oneof(
      fc.constantFrom(...values).map((value) => JSON.stringify(value)),
      hostileJson(values),
    ),
  ),
  { maxLength: 12 },
);
const leases: fc.Arbitrary<readonly Lease[]> = pairs.map((all) => {
  const reader = createEntryReader({ keys, logger: silentLogger, clock: { monotonic: () => 0 } });
  return all.flatMap(([name, value]) => reader.read(pair(`${keys.subnets}${name}`, value))?.lease ?? []);
});

/** Somebody else's routes, of which some lie where a hostile lease points. */
const others = ['0.0.0.0/0', '10.0.0.0/16', '10.244.0.0/16', '169.254.169.254/32', '10.244.5.0/24'].map((destination) =>
  entry(destination, { kind: 'gateway', id: 'igw-1' }),
);
const own = entry('10.244.0.0/24', 'a');
const tables: readonly RouteTable[] = [table('rtb-1', [...others, own])];

/** A cloud that believes every lease, which is the worst one. */
function resolutions(list: readonly Lease[]): ReadonlyMap<string, Resolution> {
  return new Map(
    list.map((lease) => {
      const address = lease.attributes.publicIps[4] ?? lease.attributes.publicIps[6];
      const machine = address ? `m${address.value % 5n}` : 'm';
      return [leaseKey(lease.subnets), { kind: 'resolved', nextHop: nextHop(machine) }];
    }),
  );
}

type Judge = (list: readonly Lease[]) => PlanInput['desired'];
const judged: Judge = (list) => desiredRoutes({ leases: list, resolutions: resolutions(list), networks }).routes;

function planFor(list: readonly Lease[], judge: Judge, fence: PlanInput['networks'] = networks): readonly RouteStep[] {
  return planRoutes({
    ...{ networks: fence, scope: { kind: 'all' }, tables, desired: judge(list), records: [] },
    leases: known(
      list.flatMap(({ subnets: { 4: v4, 6: v6 } }) =>
        [v4, v6].flatMap((subnet) => (subnet ? [formatCidr(subnet)] : [])),
      ),
    ),
    ...{
      terminatedInstances: new Set<string>(),
      policy: defaultDeletionPolicy,
      capabilities: { replacesInPlace: true },
      now: 0,
    },
  }).steps;
}

/** What is wrong with the steps: nothing, for a planner that believes no lease. */
function harmIn(steps: readonly RouteStep[]): readonly string[] {
  const writes = steps.filter(({ action }) => action !== 'forget');
  const harm: string[] = [];
  for (const [at, { action, destination }] of writes.entries()) {
    const text = `${action} ${formatCidr(destination)}`;
    const network = networks[destination.family]?.network;
    if (
      !network ||
      !cidrContains(network, destination) ||
      destination.length !== networks[destination.family]?.subnetLength
    )
      harm.push(`${text}: outside`);
    if (action === 'delete') harm.push(`${text}: a deletion`);
    if (others.some((other) => other.destination && formatCidr(other.destination) === formatCidr(destination)))
      harm.push(`${text}: somebody else's`);
    for (const later of writes.slice(at + 1))
      if (cidrsOverlap(destination, later.destination)) harm.push(`${text}: overlaps ${formatCidr(later.destination)}`);
  }
  return harm;
}

describe('in a route table', () => {
  it('hostile leases cause no step outside of the network, no overlap, and nothing to what is somebody else’s', () => {
    let written = 0;
    fc.assert(
      fc.property(leases, (list) => {
        const steps = planFor(list, judged);
        expect(harmIn(steps)).toEqual([]);
        written += steps.length;
      }),
      runs,
    );
    // Honest leases among them are served.
    expect(written).toBeGreaterThan(runs.numRuns / 10);
  });

  it('a planner without its fence, and leases that nobody judged, would be found', () => {
    const believed: Judge = (list) =>
      list.flatMap((lease) =>
        [lease.subnets[4], lease.subnets[6]].flatMap((destination) =>
          destination ? [{ destination, nextHop: nextHop('m'), holder: 'i-m', lease: leaseKey(lease.subnets) }] : [],
        ),
      );
    const open = {
      4: { network: cidr('0.0.0.0/0'), subnetLength: 0, anyLength: true },
      6: { network: cidr('::/0'), subnetLength: 0, anyLength: true },
    };
    const found = new Set<string>();
    for (const list of fc.sample(leases, { numRuns: 500, seed: 1 }))
      for (const harm of harmIn(planFor(list, believed, open)))
        found.add(harm.replace(/^[^:]*(?:::[^:]*)*: (\w+).*$/, '$1'));
    expect([...found]).toEqual(expect.arrayContaining(['outside']));
    // The planner's own fence holds also where a lease was believed.
    for (const list of fc.sample(leases, { numRuns: 500, seed: 2 }))
      expect(harmIn(planFor(list, believed)).filter((harm) => harm.startsWith('create 0.0.0.0/0'))).toEqual([]);
  });
});

describe('without a cloud', () => {
  const external = { name: 'eth0', mtu: 1500, addresses: { 4: ip('10.0.1.9') }, publicIps: { 4: ip('10.0.1.9') } };
  const self = { subnets: { 4: cidr('10.244.9.0/24') } };
  /** What `ip -batch` and `bridge -batch` are given of it: letters that stand for addresses, and nothing else. */
  const address = /^[0-9a-f.:]+(\/\d+)?$/;

  it.each([
    ['vxlan', vxlan(vxlanSchema.parse({}))],
    ['host-gw', hostGw],
  ])('%s makes entries of addresses alone, and none for this node’s own subnet', (_, backend) => {
    let made = 0;
    fc.assert(
      fc.property(leases, (list) => {
        const { routes, neighbours, forwarding, passedOver } = backend.peers(list, {
          external,
          own: self,
          networks,
          onLink: [],
        });
        for (const { destination, gateway, device } of routes) {
          expect([formatCidr(destination), formatIp(gateway)].every((text) => address.test(text))).toBe(true);
          expect(['eth0', 'flannel.1']).toContain(device);
          expect(cidrsOverlap(destination, self.subnets[4])).toBe(false);
          expect(cidrContains(networks[4]?.network ?? destination, destination)).toBe(true);
        }
        for (const { mac } of [...neighbours, ...forwarding]) expect(mac).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
        for (const { reason } of passedOver) expect(reason).not.toMatch(/[\p{Cc}]/u);
        made += routes.length;
      }),
      runs,
    );
    expect(made).toBeGreaterThan(0);
  });

  it('commands of net-conf get canonical addresses, and what a peer wrote by standard input alone', () => {
    const backend = extension({
      preStartup: undefined,
      postStartup: undefined,
      subnetAdd: 'add',
      subnetRemove: 'remove',
    });
    const ranges = {
      4: {
        network: cidr('10.244.0.0/20'),
        subnetLength: 24,
        subnetMin: ip('10.244.0.0'),
        subnetMax: ip('10.244.15.0'),
      },
    };
    let told = 0;
    fc.assert(
      fc.property(leases, (list) => {
        const { peers } = backend.peers(list, {
          external: { ...external, index: 2 },
          own: self,
          networks: ranges,
        } as never);
        for (const { add } of peers) {
          expect(add?.text).toBe('add');
          for (const value of Object.values(add?.environment ?? {})) expect(value).toMatch(address);
          expect(cidrContains(ranges[4].network, cidr(add?.environment['SUBNET'] ?? ''))).toBe(true);
          told += 1;
        }
      }),
      runs,
    );
    expect(told).toBeGreaterThan(0);
  });
});
