/** What is modelled of ECS: instances, their NICs and the security group. */
import type { ChangeListeners } from '../simulator/change-listeners.ts';
import { accountId } from './keys.ts';
import { tokenPage } from './pages.ts';
import { refusals } from './refusals.ts';
import type { Parameters } from './schemas.ts';
import type { Account, Instance, Nic, Rule } from './state.ts';

export function describeNetworkInterfaces(account: Account, asked: Parameters<'DescribeNetworkInterfaces'>): object {
  const { MaxResults, NextToken, ...filter } = asked;
  const { NetworkInterfaceId, PrivateIpAddress, Ipv6Address } = filter;
  const all = [...account.nics.values()];
  const found = all.filter(
    (nic) =>
      fits(filter.VpcId, nic.vpcId) &&
      fits(filter.VSwitchId, nic.vSwitchId) &&
      fits(filter.InstanceId, nic.instanceId) &&
      fits(filter.PrimaryIpAddress, nic.primaryIp) &&
      fits(filter.Type, nic.type) &&
      fits(filter.Status, 'InUse') &&
      (!NetworkInterfaceId || NetworkInterfaceId.includes(nic.id)) &&
      (!PrivateIpAddress || nic.secondaryIps.some((one) => PrivateIpAddress.includes(one))) &&
      (!Ipv6Address || nic.ipv6s.some((one) => Ipv6Address.includes(one))),
  );
  const page = tokenPage(found, (nic) => all.indexOf(nic), {
    size: Math.min(MaxResults, account.pageLimit ?? MaxResults),
    token: NextToken,
    filter,
  });
  return {
    TotalCount: found.length,
    NextToken: page.next,
    NetworkInterfaceSets: { NetworkInterfaceSet: page.items.map((nic) => showNic(account, nic)) },
  };
}

export async function modifyNetworkInterfaceAttribute(
  account: Account,
  listeners: ChangeListeners,
  wanted: Parameters<'ModifyNetworkInterfaceAttribute'>,
): Promise<object> {
  const nic = account.nics.get(wanted.NetworkInterfaceId);
  if (!nic) throw refusals.noNic();
  if (wanted.SourceDestCheck !== undefined) {
    if (!account.hasSourceDestCheck) throw refusals.unknownParameter('SourceDestCheck');
    nic.sourceDestCheck = wanted.SourceDestCheck;
    await listeners.tell({ kind: 'forwards', nicId: nic.id, forwards: !nic.sourceDestCheck });
  }
  nic.name = wanted.NetworkInterfaceName ?? nic.name;
  nic.description = wanted.Description ?? nic.description;
  return {};
}

export function describeInstances(account: Account, asked: Parameters<'DescribeInstances'>): object {
  const { MaxResults, NextToken, ...filter } = asked;
  const { InstanceIds, PrivateIpAddresses } = filter;
  const all = [...account.instances.values()];
  const found = all.filter(
    (one) =>
      fits(filter.VpcId, one.vpcId) &&
      fits(filter.VSwitchId, one.vSwitchId) &&
      fits(filter.Status, one.status) &&
      fits(filter.InstanceNetworkType, 'vpc') &&
      fits(filter.SecurityGroupId, account.securityGroup.id) &&
      (!InstanceIds || InstanceIds.includes(one.id)) &&
      (!PrivateIpAddresses || account.nicsOf(one.id).some(({ primaryIp }) => PrivateIpAddresses.includes(primaryIp))),
  );
  const page = tokenPage(found, (one) => all.indexOf(one), {
    size: Math.min(MaxResults, account.pageLimit ?? MaxResults),
    token: NextToken,
    filter,
  });
  return {
    TotalCount: found.length,
    NextToken: page.next,
    Instances: { Instance: page.items.map((one) => showInstance(account, one)) },
  };
}

export function describeSecurityGroupAttribute(
  account: Account,
  asked: Parameters<'DescribeSecurityGroupAttribute'>,
): object {
  const { MaxResults, NextToken, SecurityGroupId, Direction } = asked;
  const { id, rules } = account.securityGroup;
  if (SecurityGroupId !== id) throw refusals.noGroup();
  const found = rules.filter(({ direction }) => Direction === 'all' || direction === Direction);
  const page = tokenPage(found, (rule) => rules.indexOf(rule), {
    size: Math.min(MaxResults, account.pageLimit ?? MaxResults),
    token: NextToken,
    filter: { SecurityGroupId, Direction },
  });
  return {
    SecurityGroupId: id,
    SecurityGroupName: 'nodes',
    Description: '',
    RegionId: account.region,
    VpcId: [...account.vpcs.keys()][0],
    InnerAccessPolicy: 'Accept',
    NextToken: page.next,
    Permissions: { Permission: page.items.map(showRule) },
  };
}

function fits(wanted: string | undefined, own: string): boolean {
  return wanted === undefined || wanted === own;
}

function showNic(account: Account, nic: Nic): object {
  return {
    NetworkInterfaceId: nic.id,
    NetworkInterfaceName: nic.name,
    Description: nic.description,
    Type: nic.type,
    Status: 'InUse',
    InstanceId: nic.instanceId,
    VpcId: nic.vpcId,
    VSwitchId: nic.vSwitchId,
    ZoneId: nic.zone,
    MacAddress: nic.mac,
    PrivateIpAddress: nic.primaryIp,
    ...showAddresses(nic),
    SecurityGroupIds: { SecurityGroupId: [account.securityGroup.id] },
    ...(account.hasSourceDestCheck ? { SourceDestCheck: nic.sourceDestCheck } : {}),
    OwnerId: accountId,
    ServiceManaged: false,
    QueueNumber: 2,
    Tags: { Tag: [] },
  };
}

function showAddresses(nic: Nic) {
  return {
    PrivateIpSets: {
      PrivateIpSet: [nic.primaryIp, ...nic.secondaryIps].map((PrivateIpAddress, place) => ({
        PrivateIpAddress,
        Primary: place === 0,
      })),
    },
    Ipv6Sets: { Ipv6Set: nic.ipv6s.map((Ipv6Address) => ({ Ipv6Address })) },
  };
}

function showInstance(account: Account, one: Instance): object {
  const nics = account.nicsOf(one.id);
  return {
    InstanceId: one.id,
    InstanceName: one.id,
    HostName: one.id,
    Status: one.status,
    RegionId: account.region,
    ZoneId: one.zone,
    InstanceType: 'ecs.g7.large',
    InstanceNetworkType: 'vpc',
    CreationTime: one.createdAt.replace(/:\d\dZ$/, 'Z'),
    VpcAttributes: {
      VpcId: one.vpcId,
      VSwitchId: one.vSwitchId,
      PrivateIpAddress: { IpAddress: nics.slice(0, 1).map(({ primaryIp }) => primaryIp) },
      NatIpAddress: '',
    },
    NetworkInterfaces: {
      NetworkInterface: nics.map((nic) => ({
        NetworkInterfaceId: nic.id,
        MacAddress: nic.mac,
        PrimaryIpAddress: nic.primaryIp,
        Type: nic.type,
        ...showAddresses(nic),
      })),
    },
    SecurityGroupIds: { SecurityGroupId: [account.securityGroup.id] },
    MetadataOptions: { HttpEndpoint: 'enabled', HttpTokens: 'optional' },
  };
}

function showRule(rule: Rule): object {
  const to = rule.direction === 'egress';
  return {
    Direction: rule.direction,
    Policy: rule.policy,
    IpProtocol: rule.protocol,
    PortRange: rule.ports,
    Priority: String(rule.priority),
    NicType: 'intranet',
    Description: '',
    SourceCidrIp: (to ? undefined : rule.cidr) ?? '',
    Ipv6SourceCidrIp: (to ? undefined : rule.cidr6) ?? '',
    SourceGroupId: (to ? undefined : rule.groupId) ?? '',
    DestCidrIp: (to ? rule.cidr : undefined) ?? '',
    Ipv6DestCidrIp: (to ? rule.cidr6 : undefined) ?? '',
    DestGroupId: (to ? rule.groupId : undefined) ?? '',
  };
}
