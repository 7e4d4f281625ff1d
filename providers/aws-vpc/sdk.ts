/**
 * The parts of the AWS SDK that are used, and nothing else: a bundler drops the other 700 commands. Loaded by `import()` at
 * the first EC2 call, so that a process which never makes one does not pay for it.
 */
export {
  CreateRouteCommand,
  DeleteRouteCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  EC2Client,
  ModifyNetworkInterfaceAttributeCommand,
  ReplaceRouteCommand,
} from '@aws-sdk/client-ec2';

/** What `import()` of this file gives. */
export type Sdk = typeof import('./sdk.ts');
