/** How the simulated Alibaba Cloud takes its time, through the official SDK: states, one change at a time, faults, lag, throttle. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { SdkCall } from '../../clouds/alibaba/sdk.ts';
import { codeOf, startTenant, type Tenant } from '../../clouds/alibaba/tenant.ts';
import { addStanding } from '../../clouds/alibaba/topology.ts';
import type { AlibabaWorld } from '../../clouds/alibaba/world.ts';

let tenant: Tenant;
let world: AlibabaWorld;
let call: SdkCall;

beforeEach(async () => {
  tenant = await startTenant();
  ({ world, call } = tenant);
});
afterEach(async () => await world.stop());

describe('changes that take their time', () => {
  const statusOf = async (destination: string): Promise<string | undefined> =>
    (await tenant.entryOf(destination))?.Status;
  const follows = async (destination: string) =>
    (await world.forwarding(tenant.tableId)).find((route) => route.destination === destination)?.target;
  /** A change begins and is not done before `release`, however slow the machine is. */
  const held = () => {
    world.setOperationDelay(1);
    const gate = Promise.withResolvers<void>();
    world.onChange(() => gate.promise);
    return { release: gate.resolve };
  };
  /** Looks more often than `until` does. */
  const settled = async () => {
    while ((await tenant.entries()).some(({ Status }) => Status !== 'Available')) await delay(10);
  };

  it('are Pending, Modifying and Deleting until packets follow them, and told of before they are done', async () => {
    // Long enough for the reads in between on a machine with much to do.
    world.setOperationDelay(300);
    const told: unknown[] = [];
    world.onChange(async () => void told.push(await statusOf('10.244.1.0/24')));
    const { RouteEntryId } = await tenant.create('10.244.1.0/24');
    expect([await statusOf('10.244.1.0/24'), await follows('10.244.1.0/24')]).toEqual(['Pending', undefined]);
    await settled();
    expect(await follows('10.244.1.0/24')).toEqual({ kind: 'nic', nicId: tenant.node.nicId });

    await call('ModifyRouteEntry', { RouteEntryId, NewNextHopId: tenant.other.id, NewNextHopType: 'Instance' });
    expect(await statusOf('10.244.1.0/24')).toBe('Modifying');
    expect(await follows('10.244.1.0/24')).toEqual({ kind: 'nic', nicId: tenant.node.nicId });
    await settled();
    expect(await follows('10.244.1.0/24')).toEqual({ kind: 'nic', nicId: tenant.other.nicId });

    await call('DeleteRouteEntry', { RouteEntryId });
    expect(await statusOf('10.244.1.0/24')).toBe('Deleting');
    expect(await follows('10.244.1.0/24')).toBeDefined();
    await settled();
    expect([await statusOf('10.244.1.0/24'), await follows('10.244.1.0/24')]).toEqual([undefined, undefined]);
    expect(told).toEqual(['Pending', 'Modifying', 'Deleting']);
  });

  it('come one at a time in the VPC, whatever the table', async () => {
    const { release } = held();
    await tenant.create('10.244.1.0/24');
    const elsewhere = { ...tenant.batchEntry('10.244.2.0/24'), RouteTableId: tenant.systemTableId };
    expect(await codeOf(tenant.create('10.244.2.0/24'))).toBe('TaskConflict');
    expect(await codeOf(tenant.create('10.244.2.0/24', { RouteTableId: tenant.systemTableId }))).toBe('TaskConflict');
    expect(await codeOf(call('CreateRouteEntries', { RouteEntries: [elsewhere] }))).toBe('TaskConflict');
    const pending = { RouteTableId: tenant.tableId, DestinationCidrBlock: '10.244.1.0/24', NextHopId: tenant.node.id };
    expect(await codeOf(call('DeleteRouteEntry', pending))).toBe('IncorrectRouteEntryStatus');
    const peer = { RouteTableId: tenant.tableId, DestinationCidrBlock: '172.30.0.0/16', Description: 'x' };
    expect(await codeOf(call('ModifyRouteEntry', peer))).toBe('TaskConflict');
    release();
    await settled();
    expect(await codeOf(tenant.create('10.244.2.0/24'))).toBe('ok');
  });

  it('find the same entry by their client token while it is under way', async () => {
    const { release } = held();
    const { RouteEntryId } = await tenant.create('10.244.1.0/24', { ClientToken: 'one' });
    expect(await tenant.create('10.244.1.0/24', { ClientToken: 'one' })).toMatchObject({ RouteEntryId });
    release();
  });

  it('are refused while the VPC or an entry of the table is stuck', async () => {
    await tenant.create('10.244.1.0/24');
    const [vpc] = world.account.vpcs.values();
    if (vpc) vpc.status = 'Pending';
    expect(await codeOf(tenant.create('10.244.2.0/24'))).toBe('IncorrectVpcStatus');
    if (vpc) vpc.status = 'Available';
    const hops = [{ type: 'Instance', id: tenant.node.id }] as const;
    addStanding(world.account, { tableId: tenant.tableId, destination: '10.244.3.0/24', hops, status: 'Pending' });
    const named = { RouteTableId: tenant.tableId, DestinationCidrBlock: '10.244.1.0/24', NextHopId: tenant.node.id };
    expect(await codeOf(call('DeleteRouteEntry', named))).toBe('IncorrcetRouteEntryStatus');
    expect(await codeOf(tenant.create('10.244.2.0/24'))).toBe('IncorrcetRouteEntryStatus');
  });

  it('can fail half-way', async () => {
    const { release } = held();
    world.inject({ operation: /^CreateRouteEntry$/, effect: { kind: 'half' } });
    await tenant.create('10.244.1.0/24');
    expect(await statusOf('10.244.1.0/24')).toBe('Pending');
    release();
    await settled();
    expect(await statusOf('10.244.1.0/24')).toBeUndefined();

    world.setOperationDelay(0);
    world.inject({ operation: /RouteEntries$/, times: 2, effect: { kind: 'half' } });
    const wanted = ['10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24'].map((destination) =>
      tenant.batchEntry(destination),
    );
    expect(await call('CreateRouteEntries', { RouteEntries: wanted })).toMatchObject({
      SuccessCount: 2,
      FailedCount: 1,
    });
    const gone = wanted.slice(0, 2).map(({ NextHopType, ...named }) => named);
    expect(await call('DeleteRouteEntries', { RouteEntries: gone })).toMatchObject({ SuccessCount: 1, FailedCount: 1 });

    world.inject({ operation: /^ModifyRouteEntry$/, effect: { kind: 'half' } });
    const { RouteEntryId } = (await tenant.entryOf('10.244.2.0/24')) ?? {};
    await call('ModifyRouteEntry', {
      RouteEntryId,
      NewNextHopId: tenant.other.id,
      NewNextHopType: 'Instance',
      Description: 'new',
    });
    world.inject({ operation: /^DeleteRouteEntry$/, effect: { kind: 'half' } });
    await call('DeleteRouteEntry', { RouteEntryId });
    expect(await tenant.entryOf('10.244.2.0/24')).toMatchObject({
      ...{ Status: 'Available', Description: '', NextHops: { NextHop: [{ NextHopId: tenant.node.id }] } },
    });
  });
});

describe('reads', () => {
  it('show entries as they were before the lag, whatever the data path does', async () => {
    await tenant.create('10.244.1.0/24');
    world.setReadLag(30_000);
    await tenant.create('10.244.2.0/24');
    expect(await tenant.entryOf('10.244.2.0/24')).toBeUndefined();
    expect(Object.keys(await world.staticRoutes(tenant.tableId))).toContain('10.244.2.0/24');
    world.setReadLag(50);
    await delay(60);
    expect(await tenant.entryOf('10.244.2.0/24')).toBeDefined();
  });

  it('come in pages of ten, or of the size asked for, which stay true while the table changes', async () => {
    for (let at = 1; at <= 12; at += 1) await tenant.create(`10.244.${at}.0/24`);
    const asked = { RouteTableId: tenant.tableId, RouteEntryType: 'Custom' };
    expect((await call('DescribeRouteEntryList', asked)).RouteEntrys.RouteEntry).toHaveLength(10);
    const page = async (more: object) => {
      const { RouteEntrys, NextToken, TotalCount } = await call('DescribeRouteEntryList', {
        ...asked,
        MaxResult: 5,
        ...more,
      });
      const shown = RouteEntrys.RouteEntry.map(
        (entry: { readonly DestinationCidrBlock: string }) => entry.DestinationCidrBlock,
      );
      return { shown, NextToken, TotalCount };
    };
    const first = await page({});
    expect(first).toMatchObject({
      TotalCount: 14,
      shown: ['0.0.0.0/0', '172.30.0.0/16', '10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24'],
    });
    await call('DeleteRouteEntry', {
      ...{ RouteTableId: tenant.tableId, DestinationCidrBlock: '10.244.1.0/24', NextHopId: tenant.node.id },
    });
    const second = await page({ NextToken: first.NextToken });
    expect(second.shown).toEqual([4, 5, 6, 7, 8].map((at) => `10.244.${at}.0/24`));
    const third = await page({ NextToken: second.NextToken });
    expect([third.shown.length, third.NextToken]).toEqual([4, undefined]);

    expect(await codeOf(page({ NextToken: first.NextToken, RouteEntryType: 'System' }))).toBe('IllegalParam.NextToken');
    expect(await codeOf(page({ NextToken: 'made up' }))).toBe('IllegalParam.NextToken');
    for (const MaxResult of [0, 101, 'many']) expect(await codeOf(page({ MaxResult }))).toBe('IllegalParam.MaxResult');
  });

  it('find tables, in numbered pages, by what they are', async () => {
    const list = async (more: object) => await call('DescribeRouteTableList', { VpcId: world.networkId, ...more });
    const all = await list({});
    expect(all).toMatchObject({ TotalCount: 3, PageNumber: 1, PageSize: 10 });
    const kinds = all.RouterTableList.RouterTableListType.map((table: Record<string, unknown>) => [
      ...[table['RouteTableType'], table['AssociateType'], table['VSwitchIds']],
    ]);
    expect(kinds).toEqual([
      ['System', 'VSwitch', { VSwitchId: [world.subnets[1].id] }],
      ['Custom', 'VSwitch', { VSwitchId: [world.subnets[0].id] }],
      ['Custom', 'Gateway', { VSwitchId: [] }],
    ]);
    const ids = async (more: object) =>
      (await list(more)).RouterTableList.RouterTableListType.map(
        ({ RouteTableId }: { RouteTableId: string }) => RouteTableId,
      );
    expect(await ids({ PageSize: 1, PageNumber: 2 })).toEqual([tenant.tableId]);
    expect(await ids({ PageNumber: 9 })).toEqual([]);
    expect(await ids({ RouteTableType: 'System' })).toEqual([tenant.systemTableId]);
    world.account.tables.get(tenant.tableId)?.tags.set('for', 'pods');
    expect(await ids({ Tag: [{ Key: 'for', Value: 'pods' }] })).toEqual([tenant.tableId]);
    expect(await ids({ Tag: [{ Key: 'for', Value: 'others' }] })).toEqual([]);
    expect(await codeOf(list({ PageSize: 51 }))).toBe('IllegalParam.PageSize');
  });
});

describe('the front', () => {
  const list = () => call('DescribeRouteTableList');

  it('throttles each operation by itself, and says for how long', async () => {
    // Slow enough that no token comes back meanwhile.
    world.setThrottle({ burst: 1, perSecond: 0.01 });
    await list();
    await expect(list()).rejects.toMatchObject({ name: 'ThrottlingError', code: 'Throttling.User', statusCode: 400 });
    await expect(list()).rejects.toMatchObject({ retryAfter: expect.closeTo(95_000, -4.3) });
    expect(await codeOf(call('DescribeVpcs'))).toBe('ok');
    world.setThrottle(undefined);
    expect(await codeOf(list())).toBe('ok');
  });

  it.each([
    ['throttled', 'Throttling.User', 'ThrottlingError'],
    ['denied', 'Forbidden.RAM', 'ClientError'],
    ['quota', 'QuotaExceeded', 'ClientError'],
    ['busy', 'TaskConflict', 'ClientError'],
    ['server', 'InternalError', 'ServerError'],
  ] as const)('refuses on demand as %s: %s', async (as, code, name) => {
    world.inject({ operation: /^CreateRouteEntry$/, effect: { kind: 'refuse', as } });
    await expect(tenant.create('10.244.1.0/24')).rejects.toMatchObject({ code, name });
    expect(await codeOf(tenant.create('10.244.1.0/24'))).toBe('ok');
  });

  it('cuts, delays and answers as a load balancer does, before and after a change', async () => {
    world.inject({ operation: /^Create/, effect: { kind: 'cut' } });
    await expect(tenant.create('10.244.1.0/24')).rejects.toThrow();
    expect(await tenant.entryOf('10.244.1.0/24')).toBeUndefined();
    world.inject({ operation: /^Create/, when: 'after', effect: { kind: 'cut' } });
    await expect(tenant.create('10.244.1.0/24')).rejects.toThrow();
    expect(await tenant.entryOf('10.244.1.0/24')).toBeDefined();
    world.inject({ operation: /^Create/, when: 'after', effect: { kind: 'status', status: 502 } });
    await expect(tenant.create('10.244.2.0/24')).rejects.toThrow();
    expect(await tenant.entryOf('10.244.2.0/24')).toBeDefined();
    world.inject({ effect: { kind: 'delay', ms: 50 } });
    const begun = performance.now();
    await list();
    expect(performance.now() - begun).toBeGreaterThanOrEqual(45);
    world.inject({ times: 9, effect: { kind: 'cut' } });
    world.clearFaults();
    expect(await codeOf(list())).toBe('ok');
  });

  it('logs what was asked, by whom, and what came of it', async () => {
    world.resetRequests();
    await tenant.create('10.244.1.0/24');
    await codeOf(tenant.create('10.244.1.0/24'));
    await list();
    const ours = { caller: 'test/one', at: expect.any(Number) };
    expect(world.requests()).toEqual([
      { ...ours, operation: 'CreateRouteEntry', changes: true, outcome: 'ok' },
      { ...ours, operation: 'CreateRouteEntry', changes: true, outcome: 'RouterEntryConflict.Duplicated' },
      { ...ours, operation: 'DescribeRouteTableList', changes: false, outcome: 'ok' },
    ]);
  });
});
