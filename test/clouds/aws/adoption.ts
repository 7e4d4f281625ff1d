/**
 * A world that somebody else made, Terraform for one: its network, machines, roles and security group are read back from EC2 and IAM, so
 * that what is wrong there is wrong on the fabric too.
 */
import {
  DescribeInstanceAttributeCommand,
  DescribeInstancesCommand,
  DescribeInternetGatewaysCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  type EC2Client,
  type Instance,
  type RouteTableAssociation,
} from '@aws-sdk/client-ec2';
import type { IngressRule } from '../../fabric/vpc-rules.ts';
import type { AwsAccount } from './account.ts';
import type { InstanceMetadata } from './imds.ts';
import { known } from './known.ts';
import type { AwsNetwork, AwsSubnet } from './network.ts';

/** The VPC's two subnets of machines, in the order given, with the tables that serve them. @throws Error when something is not there. */
export async function readNetwork(
  admin: EC2Client,
  vpcId: string,
  subnetIds: readonly [string, string],
): Promise<AwsNetwork> {
  const { Vpcs: [vpc] = [] } = await admin.send(new DescribeVpcsCommand({ VpcIds: [vpcId] }));
  const ofVpc = [{ Name: 'vpc-id', Values: [vpcId] }];
  const { RouteTables = [] } = await admin.send(new DescribeRouteTablesCommand({ Filters: ofVpc }));
  const { Subnets = [] } = await admin.send(new DescribeSubnetsCommand({ SubnetIds: [...subnetIds] }));
  const { InternetGateways: [gateway] = [] } = await admin.send(
    new DescribeInternetGatewaysCommand({ Filters: [{ Name: 'attachment.vpc-id', Values: [vpcId] }] }),
  );
  const tableOf = (holds: (association: RouteTableAssociation) => boolean): string | undefined =>
    RouteTables.find(({ Associations = [] }) => Associations.some(holds))?.RouteTableId;
  const mainTableId = known(
    tableOf(({ Main }) => Main === true),
    'main table',
  );

  function subnet(id: string): AwsSubnet {
    const found = known(
      Subnets.find(({ SubnetId }) => SubnetId === id),
      `subnet ${id}`,
    );
    return {
      id,
      cidr: known(found.CidrBlock, 'range of a subnet'),
      cidr6: found.Ipv6CidrBlockAssociationSet?.[0]?.Ipv6CidrBlock ?? '',
      zone: known(found.AvailabilityZone, 'zone of a subnet'),
      tableId: tableOf(({ SubnetId }) => SubnetId === id) ?? mainTableId,
    };
  }

  const [first, second] = [subnet(subnetIds[0]), subnet(subnetIds[1])];
  return {
    ...{ vpcId, vpcCidr: known(vpc?.CidrBlock, 'range of the VPC') },
    vpcCidr6: vpc?.Ipv6CidrBlockAssociationSet?.[0]?.Ipv6CidrBlock ?? '',
    ...{ explicitSubnet: first, mainSubnet: second, explicitTableId: first.tableId, mainTableId: second.tableId },
    ...{ internetGatewayId: gateway?.InternetGatewayId ?? '', peeringId: '' },
  };
}

/** The instance as EC2 shows it. */
export async function readInstance(admin: EC2Client, id: string): Promise<Instance> {
  const { Reservations = [] } = await admin.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  return known(Reservations[0]?.Instances?.[0], `instance ${id}`);
}

/** Text that cloud-init reads on the instance. */
export async function readUserDataText(admin: EC2Client, id: string): Promise<string> {
  const answer = await admin.send(new DescribeInstanceAttributeCommand({ InstanceId: id, Attribute: 'userData' }));
  return Buffer.from(known(answer.UserData?.Value, `user data of ${id}`), 'base64').toString('utf8');
}

/** Credentials of the instance's own role, with the rights that IAM has for it now; undefined for an instance without a profile. */
export async function roleOfInstance(
  { proxy, iam }: Pick<AwsAccount, 'proxy' | 'iam'>,
  { InstanceId = '', IamInstanceProfile }: Instance,
): Promise<InstanceMetadata['role']> {
  if (IamInstanceProfile?.Arn === undefined) return undefined;
  const name = await iam.roleOfProfile(IamInstanceProfile.Arn);
  proxy.roles.setRole(name, await iam.policyOfRole(name));
  const { expiresAt = Date.now() + 6 * 3_600_000, ...credentials } = proxy.roles.issue(name, InstanceId);
  return { name, ...credentials, expiresAt };
}

/** What the security group lets in. @throws Error when it does not let everything out, which the fabric's always does. */
export async function readIngress(admin: EC2Client, groupId: string): Promise<readonly IngressRule[]> {
  const Filters = [{ Name: 'group-id', Values: [groupId] }];
  const { SecurityGroupRules: rules = [] } = await admin.send(new DescribeSecurityGroupRulesCommand({ Filters }));
  if (!rules.some((rule) => rule.IsEgress && rule.CidrIpv4 === '0.0.0.0/0' && rule.IpProtocol === '-1')) {
    throw new Error(`${groupId} does not let everything out`);
  }
  return rules
    .filter(({ IsEgress }) => !IsEgress)
    .map(({ CidrIpv4, CidrIpv6, ReferencedGroupInfo, IpProtocol, FromPort = 0, ToPort = 65_535 }) => {
      const from = ReferencedGroupInfo?.GroupId === groupId ? 'members' : (CidrIpv4 ?? CidrIpv6);
      const protocol = protocols[IpProtocol ?? ''];
      if (from === undefined || protocol === undefined) throw new Error(`a rule of ${groupId} that is not simulated`);
      return protocol === 'tcp' || protocol === 'udp'
        ? { from, protocol, ports: [FromPort, ToPort] }
        : { from, protocol };
    });
}

const protocols: Readonly<Record<string, IngressRule['protocol']>> = {
  ...{ '-1': 'all', tcp: 'tcp', udp: 'udp', icmp: 'icmp', icmpv6: 'icmp' },
};
