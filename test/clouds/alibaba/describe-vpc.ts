/** The VPC's reads: tables, entries, vSwitches, VPCs. */
import { formatCidr, parseCidr } from '../../../src/core/ip.ts';
import { accountId } from './keys.ts';
import { numberedPage, tokenPage } from './pages.ts';
import type { Parameters } from './schemas.ts';
import type { Account, Entry, Table, Vpc, VSwitch } from './state.ts';

const createdAt = '2026-01-05T08:00:00Z';

export function describeRouteTableList(account: Account, asked: Parameters<'DescribeRouteTableList'>): object {
  const { VpcId, RouteTableId, RouteTableName, RouteTableType, RouterId, RouterType, Tag = [] } = asked;
  const found = [...account.tables.values()].filter(
    (table) =>
      fits(VpcId, table.vpcId) &&
      fits(RouteTableId, table.id) &&
      fits(RouteTableName, table.name) &&
      fits(RouteTableType, table.type) &&
      fits(RouterId, account.vpc(table.vpcId).routerId) &&
      RouterType !== 'VBR' &&
      Tag.every(({ Key, Value }) => table.tags.has(Key) && fits(Value, table.tags.get(Key))),
  );
  const { items, counts } = numberedPage(found, asked);
  return { ...counts, RouterTableList: { RouterTableListType: items.map((table) => showTable(account, table)) } };
}

export function describeRouteEntryList(account: Account, asked: Parameters<'DescribeRouteEntryList'>): object {
  const { MaxResult, NextToken, RouteTableId, ...filter } = asked;
  const { DestinationCidrBlock, DestCidrBlockList, IpVersion, RouteEntryType, ServiceType } = filter;
  const wanted = (DestCidrBlockList ?? (DestinationCidrBlock === undefined ? [] : [DestinationCidrBlock])).map(
    canonical,
  );
  const found = account
    .table(RouteTableId)
    .entries.before(account.readLagMs)
    .filter(
      (entry) =>
        (wanted.length === 0 || wanted.includes(entry.destination)) &&
        fits(IpVersion, entry.destination.includes(':') ? 'ipv6' : 'ipv4') &&
        fits(RouteEntryType, entry.type) &&
        fits(ServiceType, entry.serviceType) &&
        fits(filter.RouteEntryId, entry.id) &&
        fits(filter.RouteEntryName, entry.name) &&
        (filter.NextHopId === undefined || entry.hops.some(({ id }) => id === filter.NextHopId)) &&
        (filter.NextHopType === undefined || entry.hops.some(({ type }) => type === filter.NextHopType)),
    )
    .sort((a, b) => a.serial - b.serial);
  const page = tokenPage(found, ({ serial }) => serial, {
    size: Math.min(MaxResult, account.pageLimit ?? MaxResult),
    token: NextToken,
    filter: { RouteTableId, ...filter },
  });
  return {
    TotalCount: found.length,
    ...(page.next === '' ? {} : { NextToken: page.next }),
    RouteEntrys: { RouteEntry: page.items.map((entry) => showEntry(account, entry)) },
  };
}

export function describeVSwitches(account: Account, asked: Parameters<'DescribeVSwitches'>): object {
  const found = [...account.vSwitches.values()].filter(
    (one) =>
      fits(asked.VpcId, one.vpcId) &&
      fits(asked.VSwitchId, one.id) &&
      fits(asked.RouteTableId, one.tableId) &&
      fits(asked.ZoneId, one.zone),
  );
  const { items, counts } = numberedPage(found, asked);
  return { ...counts, VSwitches: { VSwitch: items.map((one) => showVSwitch(account, one)) } };
}

export function describeVpcs(account: Account, asked: Parameters<'DescribeVpcs'>): object {
  const ids = asked.VpcId?.split(',');
  const found = [...account.vpcs.values()].filter(({ id }) => !ids || ids.includes(id));
  const { items, counts } = numberedPage(found, asked);
  return { ...counts, Vpcs: { Vpc: items.map((vpc) => showVpc(account, vpc)) } };
}

export function describeVpcAttribute(account: Account, { VpcId }: Parameters<'DescribeVpcAttribute'>): object {
  const { RouterTableIds, ...vpc } = showVpc(account, account.vpc(VpcId));
  return { ...vpc, ClassicLinkEnabled: false, AssociatedCens: { AssociatedCen: [] } };
}

function fits(wanted: string | undefined, own: string | undefined): boolean {
  return wanted === undefined || wanted === own;
}

function canonical(text: string): string {
  const parsed = parseCidr(text);
  return parsed ? formatCidr(parsed) : text;
}

function showTable(account: Account, table: Table): object {
  const served = [...account.vSwitches.values()].filter(({ tableId }) => tableId === table.id);
  return {
    RouteTableId: table.id,
    RouteTableName: table.name,
    RouteTableType: table.type,
    AssociateType: table.associateType,
    VpcId: table.vpcId,
    RouterId: account.vpc(table.vpcId).routerId,
    RouterType: 'VRouter',
    Status: 'Available',
    Description: '',
    CreationTime: createdAt,
    OwnerId: Number(accountId),
    ResourceGroupId: 'rg-acfmxazb4ph6aiy',
    RoutePropagationEnable: true,
    VSwitchIds: { VSwitchId: served.map(({ id }) => id) },
    GatewayIds: { GatewayIds: table.gatewayIds },
    Tags: { Tag: [...table.tags].map(([Key, Value]) => ({ Key, Value })) },
  };
}

function showEntry(account: Account, entry: Entry): object {
  return {
    RouteTableId: entry.tableId,
    RouteEntryId: entry.id,
    RouteEntryName: entry.name,
    Description: entry.description,
    DestinationCidrBlock: entry.destination,
    IpVersion: entry.destination.includes(':') ? 'IPv6' : 'IPv4',
    Type: entry.type,
    Status: entry.status,
    ServiceType: entry.serviceType,
    GmtModified: entry.modifiedAt,
    NextHops: {
      NextHop: entry.hops.map((hop) => ({
        NextHopId: hop.id,
        NextHopType: hop.type,
        NextHopRegionId: account.region,
        Enabled: account.isAlive(hop) ? 1 : 0,
        Weight: 0,
      })),
    },
    ...entry.extra,
  };
}

function showVSwitch(account: Account, one: VSwitch): object {
  const { id, type } = account.table(one.tableId);
  return {
    VSwitchId: one.id,
    VSwitchName: '',
    Description: '',
    VpcId: one.vpcId,
    ZoneId: one.zone,
    CidrBlock: one.cidr,
    Ipv6CidrBlock: one.cidr6 ?? '',
    EnabledIpv6: one.cidr6 !== undefined,
    Status: 'Available',
    IsDefault: false,
    AvailableIpAddressCount: 200,
    CreationTime: createdAt,
    OwnerId: Number(accountId),
    RouteTable: { RouteTableId: id, RouteTableType: type },
    Tags: { Tag: [] },
  };
}

function showVpc(account: Account, vpc: Vpc) {
  const own = <T extends { readonly vpcId: string; readonly id: string }>(all: Iterable<T>) =>
    [...all].filter(({ vpcId }) => vpcId === vpc.id).map(({ id }) => id);
  return {
    VpcId: vpc.id,
    VpcName: '',
    Description: '',
    RegionId: account.region,
    Status: vpc.status,
    CidrBlock: vpc.cidr,
    Ipv6CidrBlock: vpc.cidr6 ?? '',
    EnabledIpv6: vpc.cidr6 !== undefined,
    Ipv6CidrBlocks: { Ipv6CidrBlock: vpc.cidr6 === undefined ? [] : [{ Ipv6CidrBlock: vpc.cidr6, Ipv6Isp: 'BGP' }] },
    SecondaryCidrBlocks: { SecondaryCidrBlock: vpc.secondaryCidrs },
    UserCidrs: { UserCidr: [] },
    VRouterId: vpc.routerId,
    VSwitchIds: { VSwitchId: own(account.vSwitches.values()) },
    RouterTableIds: { RouterTableIds: own(account.tables.values()) },
    NatGatewayIds: { NatGatewayIds: [] },
    IsDefault: false,
    CreationTime: createdAt,
    OwnerId: Number(accountId),
    Tags: { Tag: [] },
  };
}
