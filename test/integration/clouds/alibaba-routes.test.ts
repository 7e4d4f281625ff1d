/** Route entries of the simulated Alibaba Cloud, through the official SDK: what is let through and what is refused. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type SdkCall, sdkCall } from '../../clouds/alibaba/sdk.ts';
import { codeOf, startTenant, type Tenant } from '../../clouds/alibaba/tenant.ts';
import { addGateway, addStanding } from '../../clouds/alibaba/topology.ts';
import { type AlibabaWorld, createAlibabaWorld } from '../../clouds/alibaba/world.ts';

let tenant: Tenant;
let world: AlibabaWorld;
let call: SdkCall;

beforeEach(async () => {
  tenant = await startTenant();
  ({ world, call } = tenant);
});
afterEach(async () => await world.stop());

describe('one entry', () => {
  it('is created, shown, led elsewhere and deleted', async () => {
    const { RouteEntryId } = await tenant.create('10.244.1.0/24', {
      RouteEntryName: 'a name',
      Description: 'Größe: 1+1=2 & so',
    });
    expect(await tenant.entryOf('10.244.1.0/24')).toMatchObject({
      ...{
        RouteEntryId,
        RouteTableId: tenant.tableId,
        Type: 'Custom',
        Status: 'Available',
        IpVersion: 'IPv4',
        ServiceType: '',
      },
      ...{ RouteEntryName: 'a name', Description: 'Größe: 1+1=2 & so' },
      NextHops: { NextHop: [{ NextHopId: tenant.node.id, NextHopType: 'Instance', Enabled: 1 }] },
    });

    await call('ModifyRouteEntry', { RouteEntryId, NewNextHopId: tenant.other.id, NewNextHopType: 'Instance' });
    expect(await tenant.entryOf('10.244.1.0/24')).toMatchObject({
      ...{ RouteEntryId, RouteEntryName: 'a name' },
      NextHops: { NextHop: [{ NextHopId: tenant.other.id }] },
    });
    expect(await world.forwarding(tenant.tableId)).toContainEqual({
      ...{ destination: '10.244.1.0/24', target: { kind: 'nic', nicId: tenant.other.nicId } },
    });

    await call('DeleteRouteEntry', { RouteEntryId });
    expect(await tenant.entryOf('10.244.1.0/24')).toBeUndefined();
  });

  it('is named by table and destination as well, and its next hop is a condition of its deletion', async () => {
    const named = { RouteTableId: tenant.tableId, DestinationCidrBlock: '10.244.1.0/24' };
    await tenant.create('10.244.1.0/24');
    await call('ModifyRouteEntry', { ...named, RouteEntryName: 'another' });
    expect(await tenant.entryOf('10.244.1.0/24')).toMatchObject({ RouteEntryName: 'another' });

    expect(await codeOf(call('DeleteRouteEntry', named))).toBe('InvalidNextHop');
    expect(await codeOf(call('DeleteRouteEntry', { ...named, NextHopId: tenant.other.id }))).toBe(
      'InvalidRouteEntry.NotFound',
    );
    expect(await codeOf(call('DeleteRouteEntry', { ...named, NextHopId: tenant.node.id }))).toBe('ok');
    expect(await codeOf(call('DeleteRouteEntry', { ...named, NextHopId: tenant.node.id }))).toBe(
      'InvalidRouteEntry.NotFound',
    );
    expect(await codeOf(call('DeleteRouteEntry', { RouteEntryId: 'rte-none' }))).toBe('InvalidRouteEntryId.NotFound');
    const both = { RouteEntryId: 'rte-none', DestinationCidrBlock: '10.244.1.0/24' };
    expect(await codeOf(call('DeleteRouteEntry', both))).toMatch(/^ParamExclusive/);
  });

  it('of IPv6 is there where the VPC has IPv6', async () => {
    await tenant.create('fd00:244:0:1:0::/64');
    expect(await tenant.entryOf('fd00:244:0:1::/64')).toMatchObject({
      IpVersion: 'IPv6',
      DestinationCidrBlock: 'fd00:244:0:1::/64',
    });
    expect(await tenant.entries({ IpVersion: 'ipv6', RouteEntryType: 'Custom' })).toHaveLength(1);

    const plain = await createAlibabaWorld({ ipv6: false });
    const { id: NextHopId } = await plain.runInstance(plain.subnets[0], '10.0.1.10');
    const asked = { RouteTableId: plain.tableIds[0], DestinationCidrBlock: 'fd00:244:0:1::/64', NextHopId };
    const refused = sdkCall({ ...plain, credentials: plain.keys.issue('test/one') })('CreateRouteEntry', asked);
    expect(await codeOf(refused)).toBe('InvalidCidrBlock');
    await plain.stop();
  });

  it.each([
    ['100.64.0.0/10', 'InvalidCidrBlock'],
    ['100.100.0.0/16', 'InvalidCidrBlock'],
    ['10.0.1.0/24', 'InvalidCidrBlock'],
    ['10.0.1.128/25', 'InvalidCidrBlock'],
    ['10.0.0.0/8', 'ok'],
    ['10.244.1.7/24', 'InvalidCidrBlock.Malformed'],
    ['10.244.1/24', 'InvalidCidrBlock.Malformed'],
    ['172.30.0.0/16', 'RouterEntryConflict.Duplicated'],
    ['10.244.1.7', 'ok'],
  ])('to %s: %s', async (destination, code) => {
    expect(await codeOf(tenant.create(destination))).toBe(code);
  });

  it('leads to an instance or a secondary NIC of the VPC', async () => {
    const { metadata } = await world.addNic(tenant.node, world.subnets[0], '10.0.1.11');
    const [, secondary] = (metadata.state as { readonly nics: readonly { readonly nicId: string }[] }).nics;
    const leads = (destination: string, NextHopType: string, NextHopId?: string) =>
      codeOf(tenant.create(destination, { NextHopType, NextHopId }));

    expect(await leads('10.244.1.0/24', 'NetworkInterface', secondary?.nicId)).toBe('ok');
    expect(await leads('10.244.2.0/24', 'NetworkInterface', tenant.node.nicId)).toBe('InvalidNextHopType');
    expect(await leads('10.244.2.0/24', 'NetworkInterface', 'eni-none')).toBe('InvalidNextHopId.NotFound');
    expect(await leads('10.244.2.0/24', 'Instance', 'i-none')).toBe('InvalidNextHop.NotFound');
    expect(await leads('10.244.2.0/24', 'Router', tenant.node.id)).toBe('IllegalParam.NextHopType');
    expect(await leads('10.244.2.0/24', 'VpcPeer', addGateway(world.account, 'VpcPeer', 'pcc'))).toBe('ok');
  });

  it('takes a client token once', async () => {
    const { RouteEntryId } = await tenant.create('10.244.1.0/24', { ClientToken: 'one' });
    expect(await tenant.create('10.244.1.0/24', { ClientToken: 'one' })).toMatchObject({ RouteEntryId });
    expect(await codeOf(tenant.create('10.244.2.0/24', { ClientToken: 'one' }))).toBe('IdempotenceParamNotMatch');
    expect(await codeOf(tenant.create('10.244.1.0/24', { ClientToken: 'two' }))).toBe('RouterEntryConflict.Duplicated');
    expect(await tenant.entries({ RouteEntryType: 'Custom', NextHopId: tenant.node.id })).toHaveLength(1);
  });

  it.each([
    [{ RouteEntryName: '' }, 'IllegalParam.RouteEntryName'],
    [{ RouteEntryName: 'x'.repeat(129) }, 'IllegalParam.RouteEntryName'],
    [{ RouteEntryName: 'http://x' }, 'IllegalParam.RouteEntryName'],
    [{ Description: 'x'.repeat(257) }, 'IllegalParam.Description'],
    [{ Description: 'https://x' }, 'IllegalParam.Description'],
    [{ RouteEntryName: 'x'.repeat(128), Description: 'x'.repeat(256) }, 'ok'],
    [{ RouteTableId: 'vtb-none' }, 'InvalidRouteTableId.NotFound'],
    [{ RegionId: 'cn-nowhere' }, 'InvalidRegionId.NotFound'],
    [{ DryRun: true }, 'DryRunOperation'],
    [{ DryRun: 'maybe' }, 'IllegalParam.DryRun'],
    [{ Discription: 'misspelt' }, 'InvalidParameter'],
  ])('with %j: %s', async (more, code) => {
    expect(await codeOf(tenant.create('10.244.1.0/24', more))).toBe(code);
    expect(await tenant.entries({ DestinationCidrBlock: '10.244.1.0/24' })).toHaveLength(code === 'ok' ? 1 : 0);
  });

  it('is not made in a gateway’s table', async () => {
    const gateway = [...world.account.tables.values()].find(({ associateType }) => associateType === 'Gateway');
    const refused = tenant.create('10.244.1.0/24', { RouteTableId: gateway?.id });
    expect(await codeOf(refused)).toBe('OperationDenied.RouteTableTypeNotPermitted');
  });

  it('that is unchanged by a modification is refused, as is one without a new next hop’s type', async () => {
    const { RouteEntryId } = await tenant.create('10.244.1.0/24');
    const modify = (more: object) => codeOf(call('ModifyRouteEntry', { RouteEntryId, ...more }));
    expect(await modify({ NewNextHopId: tenant.node.id, NewNextHopType: 'Instance' })).toBe(
      'OperationDenied.NextHopNotChanged',
    );
    expect(await modify({ NewNextHopId: tenant.other.id })).toBe('MissingParameter');
    expect(await modify({})).toBe('MissingParameter');
    expect(await modify({ NewNextHopId: 'i-none', NewNextHopType: 'Instance' })).toBe('InvalidNextHop.NotFound');
    expect(await modify({ Description: 'new', DryRun: true })).toBe('DryRunOperation');
  });

  it.each([
    ['of the system', { type: 'System' }, 'OperationDenied'],
    ['of a transit router', { serviceType: 'TR' }, 'OperationDenied.DeleteManagedRouteEntry'],
    ['from a CEN', { type: 'CEN' }, 'Forbbiden'],
    ['from BGP', { type: 'BGP' }, 'Forbbiden'],
    [
      'with several next hops',
      { hops: ['ri-1', 'ri-2'].map((id) => ({ type: 'RouterInterface' as const, id })) },
      'InvalidNextHopList.Size',
    ],
  ] as const)('%s is nobody’s to change', async (_, fields, code) => {
    const hops = [{ type: 'Instance', id: tenant.node.id }] as const;
    const { id: RouteEntryId } = addStanding(world.account, {
      tableId: tenant.tableId,
      destination: '10.244.1.0/24',
      hops,
      ...fields,
    });
    const before = await world.document?.(tenant.tableId, []);
    const modified = call('ModifyRouteEntry', {
      RouteEntryId,
      NewNextHopId: tenant.other.id,
      NewNextHopType: 'Instance',
    });
    expect(await codeOf(modified)).toBe(code);
    expect(await codeOf(call('DeleteRouteEntry', { RouteEntryId }))).toBe(code);
    const batch = await call('DeleteRouteEntries', { RouteEntries: [{ RouteTableId: tenant.tableId, RouteEntryId }] });
    expect(batch).toMatchObject({ SuccessCount: 0, FailedRouteEntries: [{ FailedCode: code, RouteEntryId }] });
    expect(await world.document?.(tenant.tableId, [])).toBe(before);
  });

  it('is one too many above the quota, in which others’ custom entries count', async () => {
    world.setRouteLimit(3);
    await tenant.create('10.244.1.0/24');
    expect(await codeOf(tenant.create('10.244.2.0/24'))).toBe('QuotaExceeded');
    expect(await codeOf(tenant.create('10.244.2.0/24', { RouteTableId: tenant.systemTableId }))).toBe('ok');
  });
});

describe('a batch', () => {
  it('makes what can be made, says which can’t and why, and is deleted in the same way', async () => {
    await tenant.create('10.244.1.0/24');
    const answer = await call('CreateRouteEntries', {
      RouteEntries: [
        tenant.batchEntry('10.244.1.0/24'),
        tenant.batchEntry('10.244.2.0/24', { Name: 'two', Description: 'second' }),
        tenant.batchEntry('10.0.0.0/8'),
        tenant.batchEntry('10.244.3.0/24', { NextHop: 'i-none' }),
        tenant.batchEntry('fd00:244:0:3::/64'),
        tenant.batchEntry('fd00:244:0:4::/64', { IpVersion: 6 }),
      ],
    });
    expect(answer).toMatchObject({ SuccessCount: 2, FailedCount: 4 });
    expect(answer.RouteEntryIds).toHaveLength(2);
    const failed = (list: readonly Record<string, string>[]) =>
      list.map(({ DstCidrBlock, NextHop, FailedCode }) => [DstCidrBlock, NextHop, FailedCode]);
    expect(failed(answer.FailedRouteEntries)).toEqual([
      ['10.244.1.0/24', tenant.node.id, 'VPC_ROUTE_ENTRY_CIDR_BLOCK_DUPLICATE'],
      ['10.0.0.0/8', tenant.node.id, 'VPC_ROUTE_ENTRY_CIDR_BLOCK_INVALID'],
      ['10.244.3.0/24', 'i-none', 'VPC_ROUTE_ENTRY_NEXT_HOP_NOT_EXIST'],
      ['fd00:244:0:3::/64', tenant.node.id, 'VPC_ROUTE_ENTRY_CIDR_BLOCK_INVALID'],
    ]);
    expect(await tenant.entryOf('10.244.2.0/24')).toMatchObject({ RouteEntryName: 'two', Description: 'second' });

    const named = (DstCidrBlock: string) => ({ RouteTableId: tenant.tableId, DstCidrBlock, NextHop: tenant.node.id });
    const gone = await call('DeleteRouteEntries', {
      RouteEntries: [
        named('10.244.2.0/24'),
        named('10.244.9.0/24'),
        { ...named('10.244.1.0/24'), NextHop: tenant.other.id },
      ],
    });
    expect(gone).toMatchObject({ SuccessCount: 1, FailedCount: 2 });
    expect(failed(gone.FailedRouteEntries).map(([, , code]) => code)).toEqual([
      ...['VPC_ROUTER_ENTRY_NOT_EXIST', 'VPC_ROUTER_ENTRY_NOT_EXIST'],
    ]);
    expect(await tenant.entryOf('10.244.1.0/24')).toBeDefined();
  });

  it('has at most 50 entries, as a form too', async () => {
    const many = (count: number) => Array.from({ length: count }, (_, at) => tenant.batchEntry(`10.245.${at}.0/24`));
    const refused = call('CreateRouteEntries', { RouteEntries: many(51) }, { form: true });
    expect(await codeOf(refused)).toBe('IllegalParam.RouteEntries');
    const answer = await call('CreateRouteEntries', { RouteEntries: many(50) }, { form: true });
    expect(answer).toMatchObject({ SuccessCount: 50, FailedCount: 0 });
  });

  it('stops at the quota', async () => {
    world.setRouteLimit(3);
    const answer = await call('CreateRouteEntries', {
      RouteEntries: [tenant.batchEntry('10.244.1.0/24'), tenant.batchEntry('10.244.2.0/24')],
    });
    expect(answer).toMatchObject({
      SuccessCount: 1,
      FailedRouteEntries: [{ FailedCode: 'VPC_ROUTE_ENTRY_QUOTA_EXCEEDED' }],
    });
  });

  it.each([
    [{ NextHopType: undefined }, 'MissingParameter'],
    [{ RouteTableId: 'vtb-none' }, 'InvalidRouteTableId.NotFound'],
    [{ IpVersion: 5 }, 'IllegalParam.RouteEntries.0.IpVersion'],
    [{ DestinationCidrBlock: '10.244.1.0/24' }, 'InvalidParameter'],
  ])('with %j is refused as a whole: %s', async (more, code) => {
    expect(await codeOf(call('CreateRouteEntries', { RouteEntries: [tenant.batchEntry('10.244.1.0/24', more)] }))).toBe(
      code,
    );
  });
});
