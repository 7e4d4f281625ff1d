/** Which NIC carries the lease, and which tables serve it. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ExternalInterface } from '../../../host/host.ts';
import { createMemoryLeaseStore } from '../../../lease/memory/lease-store.ts';
import { createMemoryOwnershipStore } from '../../../lease/memory/ownership-store.ts';
import { createMemoryWorld } from '../../../lease/memory/world.ts';
import type { OwnershipStore } from '../../../lease/ownership-store.ts';
import { createMemoryCloud, type MemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import type { ProviderCapabilities, TableTag } from '../../../providers/provider.ts';
import { type CloudNode, createCloudNode } from '../../../src/agent/cloud-node.ts';
import { placeMachine } from '../../../src/agent/machine.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

const signal = new AbortController().signal;
const tag: TableTag = { key: 'cluster', value: 'prod' };
let cloud: MemoryCloud;

beforeEach(() => makeCloud());

function makeCloud(capabilities: Partial<ProviderCapabilities> = {}): void {
  cloud = createMemoryCloud({
    clock: createTestClock(),
    capabilities,
    networks: [
      {
        id: 'vpc-1',
        cidrs: ['10.0.0.0/16'],
        subnets: [
          { id: 'subnet-1', cidr: '10.0.1.0/24' },
          { id: 'subnet-2', cidr: '10.0.2.0/24' },
        ],
      },
      { id: 'vpc-2', cidrs: ['10.0.0.0/16'], subnets: [{ id: 'subnet-9', cidr: '10.0.2.0/24' }] },
    ],
    tables: [
      { id: 'rtb-main', networkId: 'vpc-1', main: true },
      { id: 'rtb-two', networkId: 'vpc-1', subnetIds: ['subnet-2'], tags: [tag] },
      { id: 'rtb-other', networkId: 'vpc-2', main: true, tags: [tag] },
    ],
    instances: [
      {
        id: 'i-1',
        nics: [
          { id: 'eni-1', subnetId: 'subnet-1', addresses: ['10.0.1.11'] },
          { id: 'eni-2', subnetId: 'subnet-2', addresses: ['10.0.2.11', '10.0.2.12'] },
        ],
      },
      { id: 'i-2', nics: [{ id: 'eni-3', subnetId: 'subnet-1', addresses: ['10.0.1.22'] }] },
      { id: 'i-9', nics: [{ id: 'eni-9', subnetId: 'subnet-9', addresses: ['10.0.2.12'] }] },
    ],
  });
}

async function nodeWith(
  address: string,
  publicIp = address,
  {
    tableIds = [],
    tag: wanted,
    ownership,
    clock = createTestClock(),
  }: {
    readonly tableIds?: readonly string[];
    readonly tag?: TableTag;
    readonly ownership?: OwnershipStore;
    readonly clock?: TestClock;
  } = {},
): Promise<CloudNode> {
  const world = createMemoryWorld(clock);
  const provider = cloud.provider('i-1');
  const external: ExternalInterface = {
    name: 'eth0',
    index: 2,
    mtu: 9001,
    addresses: { 4: ip(address) },
    publicIps: { 4: ip(publicIp) },
  };
  return createCloudNode(
    {
      provider,
      tableIds,
      tag: wanted,
      networks: { 4: { network: cidr('10.244.0.0/16'), subnetLength: 24 } },
      leases: createMemoryLeaseStore(world),
      ownership: ownership ?? createMemoryOwnershipStore(world),
      logger: silentLogger,
      clock,
      random: () => 0.5,
    },
    placeMachine(await provider.identify(signal), external),
    external,
  );
}

describe('the NIC is that of the lease’s address', () => {
  test.each([
    ['10.0.1.11', 'eni-1', 'rtb-main'],
    ['10.0.2.11', 'eni-2', 'rtb-two'],
    // A secondary address, which another VPC has as well.
    ['10.0.2.12', 'eni-2', 'rtb-two'],
  ])('%s: %s, and the table is %s', async (address, nicId, tableId) => {
    const { nextHop, tables } = await (await nodeWith(address)).look(signal);
    expect(nextHop.nicId).toBe(nicId);
    expect(tables.map(({ id }) => id)).toEqual([tableId]);
  });

  test('behind a NAT, the interface’s address counts', async () => {
    const { nextHop } = await (await nodeWith('10.0.2.11', '203.0.113.7')).look(signal);
    expect(nextHop.nicId).toBe('eni-2');
  });
});

test('an address of another machine is refused, and no route is written to it', async () => {
  const node = await nodeWith('10.0.1.22');
  await expect(
    node.ensureRoutes({ subnets: { 4: cidr('10.244.7.0/24') } }, { resync: false }, signal),
  ).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: expect.stringContaining('belongs to i-2, not to this machine'),
  });
  expect(cloud.count('create')).toBe(0);
});

test('an address that no machine has is refused with what to do', async () => {
  await expect((await nodeWith('10.0.1.99')).look(signal)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    hint: expect.stringContaining('--iface'),
  });
});

test('a setting that only a person can change is a problem in words, and no call is made for it', async () => {
  makeCloud({ forwarding: { name: 'canIpForward', wanted: 'on', settable: false } });
  const node = await nodeWith('10.0.1.11');

  const { inSync, problems } = await node.ensureRoutes(
    { subnets: { 4: cidr('10.244.7.0/24') } },
    { resync: false },
    signal,
  );

  expect(inSync).toBe(false);
  expect(problems).toEqual([
    expect.objectContaining({ code: 'INVALID', message: expect.stringContaining('the canIpForward of eni-1 is off') }),
  ]);
  expect([cloud.count('prepare'), cloud.count('create')]).toEqual([0, 1]);
});

test('configured tables are written, all of them, and no others', async () => {
  const node = await nodeWith('10.0.1.11', '10.0.1.11', { tableIds: ['rtb-main', 'rtb-two'] });
  const result = await node.ensureRoutes({ subnets: { 4: cidr('10.244.7.0/24') } }, { resync: false }, signal);
  expect(result).toMatchObject({ inSync: true, problems: [] });
  expect([cloud.staticRoutes('rtb-main'), cloud.staticRoutes('rtb-two'), cloud.staticRoutes('rtb-other')]).toEqual([
    { '10.244.7.0/24': 'eni-1' },
    { '10.244.7.0/24': 'eni-1' },
    {},
  ]);
  expect(cloud.forwards('eni-1')).toBe(true);
  expect(cloud.forwards('eni-2')).toBe(false);
});

test('tagged tables of the node’s own network are written, whichever serves it', async () => {
  const node = await nodeWith('10.0.1.11', '10.0.1.11', { tag });
  await node.ensureRoutes({ subnets: { 4: cidr('10.244.7.0/24') } }, { resync: false }, signal);
  expect([cloud.staticRoutes('rtb-main'), cloud.staticRoutes('rtb-two'), cloud.staticRoutes('rtb-other')]).toEqual([
    {},
    { '10.244.7.0/24': 'eni-1' },
    {},
  ]);
});

test('records are stored once, and again when the lease was made again: a store that lost one lost the other', async () => {
  const claims: number[] = [];
  const store = createMemoryOwnershipStore(createMemoryWorld(createTestClock()));
  const ownership: OwnershipStore = {
    ...store,
    async claim(records, inner) {
      claims.push(records.length);
      return await store.claim(records, inner);
    },
  };
  const node = await nodeWith('10.0.1.11', '10.0.1.11', { ownership });
  const subnets = { 4: cidr('10.244.7.0/24') };
  for (const revision of ['5', '5', '5']) await node.ensureRoutes({ subnets, revision }, { resync: true }, signal);
  expect(claims).toEqual([1]);
  for (const revision of ['9', '9']) await node.ensureRoutes({ subnets, revision }, { resync: true }, signal);
  expect(claims).toEqual([1, 1]);
});

test('what was seen before a long wait for the lease is looked at again', async () => {
  const clock = createTestClock();
  const node = await nodeWith('10.0.1.11', undefined, { clock });
  const lease = { subnets: { 4: cidr('10.244.1.0/24') } };
  cloud.putRoute('rtb-main', { destination: '10.244.1.0/24', target: { kind: 'nic', id: 'eni-1', instanceId: 'i-1' } });
  const view = await node.look(signal);
  await clock.advance(59_000);
  cloud.resetCalls();
  expect(await node.ensureRoutes(lease, { view, resync: false }, signal)).toMatchObject({ inSync: true, done: [] });
  expect([cloud.count('tables'), cloud.count('resolve')]).toEqual([0, 0]);

  await clock.advance(1_000);
  cloud.removeRoute('rtb-main', '10.244.1.0/24');
  expect(await node.ensureRoutes(lease, { view, resync: false }, signal)).toMatchObject({
    ...{ inSync: true, done: [{ action: 'create' }] },
  });
  expect(cloud.staticRoutes('rtb-main')).toEqual({ '10.244.1.0/24': 'eni-1' });
});
