/** What an account still has of a VPC, its machines and roles. */
import {
  DescribeInstancesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
} from '@aws-sdk/client-ec2';
import type { AwsAccount } from '../clouds/aws/account.ts';

/** Ids of everything there, and names of roles and instance profiles. Terminated instances are shown for an hour, and gone. */
export async function whatIsLeft({ admin, iam }: AwsAccount, vpcId: string): Promise<readonly string[]> {
  const Filters = [{ Name: 'vpc-id', Values: [vpcId] }];
  const { Vpcs = [] } = await admin.send(new DescribeVpcsCommand({ Filters }));
  const { Subnets = [] } = await admin.send(new DescribeSubnetsCommand({ Filters }));
  const { RouteTables = [] } = await admin.send(new DescribeRouteTablesCommand({ Filters }));
  const { SecurityGroups = [] } = await admin.send(new DescribeSecurityGroupsCommand({ Filters }));
  const { Reservations = [] } = await admin.send(new DescribeInstancesCommand({}));
  const { roles, profiles } = await iam.names();
  return [
    ...Vpcs.map((each) => each.VpcId),
    ...Subnets.map((each) => each.SubnetId),
    ...RouteTables.map((each) => each.RouteTableId),
    ...SecurityGroups.map((each) => each.GroupId),
    ...Reservations.flatMap(({ Instances = [] }) => Instances)
      .filter(({ State }) => State?.Name !== 'terminated')
      .map((each) => each.InstanceId),
    ...[...roles, ...profiles],
  ].map((each) => each ?? 'something without a name');
}
