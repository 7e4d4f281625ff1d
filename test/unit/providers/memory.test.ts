import { describe, expect, it } from '@jest/globals';
import {
  createMemoryCloud,
  type MemoryCloud,
  type MemoryCloudOptions,
} from '../../../providers/memory/memory-cloud.ts';
import type { CloudProvider, NextHop, RouteChange } from '../../../providers/provider.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { parseCidr, parseIp } from '../../../src/core/ip.ts';

const network = {
  id: 'vpc-1',
  cidrs: ['10.0.0.0/16', '2001:db8:1::/56'],
  subnets: [
    { id: 'subnet-a', cidr: '10.0.1.0/24' },
    { id: 'subnet-b', cidr: '10.0.2.0/24' },
  ],
};
const tag = { key: 'flannel-vpc/network', value: 'prod' };
const internet = { destination: '0.0.0.0/0', target: { kind: 'gateway', id: 'igw-1' } } as const;

function cloudOfTwo(options: MemoryCloudOptions = {}): MemoryCloud {
  return createMemoryCloud({
    networks: [network],
    tables: [
      { id: 'rtb-main', networkId: 'vpc-1', main: true },
      { id: 'rtb-a', networkId: 'vpc-1', subnetIds: ['subnet-a'], routes: [internet], tags: [tag] },
    ],
    instances: [
      {
        id: 'i-a',
        zone: 'zone-1',
        nics: [{ id: 'eni-a', subnetId: 'subnet-a', addresses: ['10.0.1.10', '2001:db8:1::10'] }],
      },
      { id: 'i-b', zone: 'zone-2', nics: [{ id: 'eni-b', subnetId: 'subnet-b', addresses: ['10.0.2.10'] }] },
      { id: 'i-spare', nics: [{ id: 'eni-spare', subnetId: 'subnet-b', addresses: ['10.0.2.99'] }] },
    ],
    ...options,
  });
}

describe('the memory cloud', () => {
  it('turns routes into blackholes while their instance is stopped, and for good once it is terminated', async () => {
    const cloud = cloudOfTwo();
    await cloud.provider('i-b').apply(create('10.244.2.0/24', 'eni-b'), signal());
    const state = () => cloud.routes('rtb-a').find(({ destinationText }) => destinationText === '10.244.2.0/24')?.state;

    cloud.setInstanceState('i-b', 'stopped');
    expect(state()).toBe('blackhole');
    cloud.setInstanceState('i-b', 'running');
    expect(state()).toBe('active');
    cloud.setInstanceState('i-b', 'terminated');
    expect(state()).toBe('blackhole');
    expect(await resolutionOf(cloud.provider('i-a'), '10.0.2.10')).toMatchObject({ kind: 'unresolved' });
  });

  it('refuses a route beyond the table’s quota and says how full it is', async () => {
    const cloud = cloudOfTwo({ capabilities: { defaultRouteLimit: 3 } });
    const provider = cloud.provider('i-a');
    await provider.apply(create('10.244.1.0/24', 'eni-a'), signal());

    await expect(provider.apply(create('10.244.2.0/24', 'eni-a'), signal())).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: { limit: 3, used: 3, tableId: 'rtb-a' },
    });
    // Families are counted apart.
    await provider.apply(create('fd00:1::/64', 'eni-a'), signal());
  });

  it('refuses a destination inside the network’s own range', async () => {
    const applied = cloudOfTwo().provider('i-a').apply(create('10.0.9.0/24', 'eni-a'), signal());

    await expect(applied).rejects.toMatchObject({ code: 'INVALID', hint: expect.stringContaining('outside') });
  });

  it('shows tables as they were a while ago when reads lag', async () => {
    const clock = manualClock();
    const cloud = cloudOfTwo({ clock, readLagMs: 1000 });
    const provider = cloud.provider('i-a');
    const seen = async () => {
      const [table] = await provider.tables({ tableIds: ['rtb-a'], networkId: 'vpc-1', subnetIds: [] }, signal());
      return table?.routes.some(({ destinationText }) => destinationText === '10.244.1.0/24');
    };

    await provider.apply(create('10.244.1.0/24', 'eni-a'), signal());
    expect(await seen()).toBe(false);
    clock.advance(999);
    expect(await seen()).toBe(false);
    clock.advance(1);
    expect(await seen()).toBe(true);
  });

  it('throttles each action by a bucket of its own', async () => {
    const clock = manualClock();
    const cloud = cloudOfTwo({ clock, throttle: { perSecond: 1, burst: 2 } });
    const provider = cloud.provider('i-a');
    const nextHop = hop('eni-a');

    await provider.prepare(nextHop, signal());
    await provider.prepare(nextHop, signal());
    await expect(provider.prepare(nextHop, signal())).rejects.toMatchObject({ code: 'THROTTLED' });
    await provider.apply(create('10.244.1.0/24', 'eni-a'), signal());
    clock.advance(1000);
    await provider.prepare(nextHop, signal());
  });

  it('fails as told, before or after the change took effect', async () => {
    const cloud = cloudOfTwo();
    const provider = cloud.provider('i-a');
    const error = new FlannelVpcError('TRANSIENT', 'connection reset');

    cloud.inject({ action: 'create', error });
    await expect(provider.apply(create('10.244.1.0/24', 'eni-a'), signal())).rejects.toBe(error);
    expect(cloud.staticRoutes('rtb-a')).toEqual({ '0.0.0.0/0': 'igw-1' });

    cloud.inject({ action: 'create', error, when: 'after' });
    await expect(provider.apply(create('10.244.1.0/24', 'eni-a'), signal())).rejects.toBe(error);
    expect(cloud.staticRoutes('rtb-a')).toEqual({ '0.0.0.0/0': 'igw-1', '10.244.1.0/24': 'eni-a' });
  });

  it('lets a held change land late, after its caller gave up', async () => {
    const cloud = cloudOfTwo();
    const held = cloud.hold('create');
    const giveUp = new AbortController();

    const applied = cloud.provider('i-a').apply(create('10.244.1.0/24', 'eni-a'), giveUp.signal);
    await held.arrived(1);
    giveUp.abort();
    await expect(applied).rejects.toMatchObject({ name: 'AbortError' });
    expect(cloud.staticRoutes('rtb-a')).not.toHaveProperty(['10.244.1.0/24']);

    const landed = new Promise<void>((resolve) => void cloud.onChange(() => resolve()));
    held.release();
    await landed;
    expect(cloud.staticRoutes('rtb-a')).toHaveProperty(['10.244.1.0/24'], 'eni-a');
  });

  it('logs and counts calls, and tells listeners of changes before the caller hears of them', async () => {
    const cloud = cloudOfTwo();
    const order: string[] = [];
    cloud.onChange(async (change) => {
      await Promise.resolve();
      order.push(change.kind);
    });

    await cloud.provider('i-a').apply(create('10.244.1.0/24', 'eni-a'), signal());
    order.push('returned');

    expect(order).toEqual(['route', 'returned']);
    expect(cloud.count('create')).toBe(1);
    expect(cloud.calls[0]).toMatchObject({
      caller: 'i-a',
      destination: '10.244.1.0/24',
      tableId: 'rtb-a',
      outcome: 'ok',
    });
    cloud.resetCalls();
    expect(cloud.count()).toBe(0);
  });

  it('points at instances and marks routes where the cloud does', async () => {
    const cloud = cloudOfTwo({ targets: 'instance', capabilities: { marksRoutes: true } });

    await cloud.provider('i-a').apply(create('10.244.1.0/24', 'eni-a'), signal());

    expect(cloud.routes('rtb-a').at(-1)).toMatchObject({ target: { kind: 'instance', id: 'i-a' }, marked: true });
  });

  it('moves a route without a gap where routes coexist: the second stands beside the first', async () => {
    const cloud = cloudOfTwo({ capabilities: { replacesInPlace: false, coexistingRoutes: true } });
    const provider = cloud.provider('i-a');
    await provider.apply(create('10.244.1.0/24', 'eni-a'), signal());
    await provider.apply(create('10.244.1.0/24', 'eni-b'), signal());

    const expected = { kind: 'nic', id: 'eni-a' } as const;
    await provider.apply({ ...destinationOf('10.244.1.0/24'), action: 'delete', expected }, signal());

    expect(cloud.staticRoutes('rtb-a')).toHaveProperty(['10.244.1.0/24'], 'eni-b');
  });
});

const signal = () => AbortSignal.timeout(5000);

function hop(nicId: string): NextHop {
  return { nicId, instanceId: nicId.replace('eni', 'i'), subnetId: undefined, networkId: 'vpc-1', forwards: false };
}

function destinationOf(text: string): Pick<RouteChange, 'tableId' | 'destination'> {
  const destination = parseCidr(text);
  if (!destination) throw new Error(text);
  return { tableId: 'rtb-a', destination };
}

function create(text: string, nicId: string): RouteChange {
  return { ...destinationOf(text), action: 'create', nextHop: hop(nicId) };
}

async function resolutionOf(provider: CloudProvider, address: string) {
  const ip = parseIp(address);
  if (!ip) throw new Error(address);
  const [resolution] = await provider.resolve([{ address: ip, networkId: 'vpc-1' }], signal());
  return resolution;
}

function manualClock(): Clock & { advance(ms: number): void } {
  let now = 0;
  return { now: () => now, monotonic: () => now, sleep: async () => {}, advance: (ms) => void (now += ms) };
}
