/** The parts of the AWS SDK that only a diagnosis uses, apart from `sdk.ts`, which every writer loads. */
export {
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcPeeringConnectionsCommand,
  DescribeVpcsCommand,
} from '@aws-sdk/client-ec2';
