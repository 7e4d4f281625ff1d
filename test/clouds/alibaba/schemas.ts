/** Request parameters of the operations that are modelled, as the public API references list them. What is not here is refused. */
import * as z from 'zod';

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(least).max(most));
/** ECS takes any number and bends it to what it has. */
const bent = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform((text) => Math.min(most, Math.max(least, Number(text))));
const yesOrNo = z.enum(['true', 'false']).transform((text) => text === 'true');
const text = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .refine((value) => !/^https?:\/\//.test(value), 'must not start with http:// or https://');
const idList = z.array(z.string()).min(1).max(100);
const jsonList = z.string().transform((value, context) => {
  try {
    return z.array(z.string()).max(100).parse(JSON.parse(value));
  } catch {
    context.addIssue({ code: 'custom', message: 'must be a JSON array of at most 100 texts' });
    return z.NEVER;
  }
});

/** Every operation takes them. */
const common = {
  RegionId: z.string(),
  OwnerId: whole(0, 999_999_999).optional(),
  OwnerAccount: z.string().optional(),
  ResourceOwnerId: whole(0, 999_999_999).optional(),
  ResourceOwnerAccount: z.string().optional(),
};
const pageNumbers = { PageNumber: whole(1, 1_000_000).default(1), PageSize: whole(1, 50).default(10) };
const tags = z
  .array(z.strictObject({ Key: z.string().min(1).max(128), Value: z.string().max(128).optional() }))
  .max(20)
  .optional();

export const nextHopTypes = [
  'Instance',
  'HaVip',
  'RouterInterface',
  'NetworkInterface',
  'VpnGateway',
  'IPv6Gateway',
  'NatGateway',
  'Attachment',
  'VpcPeer',
  'Ipv4Gateway',
  'GatewayEndpoint',
  'Ecr',
  'GatewayLoadBalancerEndpoint',
  'RouteTargetGroup',
] as const;
const nextHopType = z.enum(nextHopTypes);
export type NextHopType = z.infer<typeof nextHopType>;

export const schemas = {
  DescribeRouteTableList: z.strictObject({
    ...common,
    ...pageNumbers,
    VpcId: z.string().optional(),
    RouteTableId: z.string().optional(),
    RouteTableName: z.string().optional(),
    RouteTableType: z.enum(['System', 'Custom']).optional(),
    RouterId: z.string().optional(),
    RouterType: z.enum(['VRouter', 'VBR']).optional(),
    Tag: tags,
  }),
  DescribeRouteEntryList: z.strictObject({
    ...common,
    RouteTableId: z.string(),
    RouteEntryId: z.string().optional(),
    RouteEntryName: z.string().optional(),
    RouteEntryType: z.enum(['Custom', 'System', 'BGP', 'CEN', 'ECR']).optional(),
    DestinationCidrBlock: z.string().optional(),
    DestCidrBlockList: idList.optional(),
    IpVersion: z.enum(['ipv4', 'ipv6']).optional(),
    NextHopId: z.string().optional(),
    NextHopType: nextHopType.optional(),
    ServiceType: z.enum(['TR']).optional(),
    MaxResult: whole(1, 100).default(10),
    NextToken: z.string().optional(),
  }),
  CreateRouteEntry: z.strictObject({
    ...common,
    RegionId: z.string().optional(),
    RouteTableId: z.string(),
    DestinationCidrBlock: z.string(),
    NextHopId: z.string(),
    NextHopType: nextHopType.default('Instance'),
    RouteEntryName: text(128).optional(),
    Description: text(256).optional(),
    ClientToken: z
      .string()
      .regex(/^[\x21-\x7e]{1,64}$/, 'must be ASCII, at most 64 characters')
      .optional(),
    DryRun: yesOrNo.default(false),
  }),
  CreateRouteEntries: z.strictObject({
    ...common,
    RouteEntries: z
      .array(
        z.strictObject({
          RouteTableId: z.string(),
          DstCidrBlock: z.string(),
          NextHop: z.string(),
          NextHopType: nextHopType,
          IpVersion: z
            .enum(['4', '6'])
            .default('4')
            .transform((value) => (value === '4' ? 4 : 6)),
          Name: text(128).optional(),
          Description: text(256).optional(),
        }),
      )
      .min(1)
      .max(50),
    DryRun: yesOrNo.default(false),
  }),
  ModifyRouteEntry: z.strictObject({
    ...common,
    RouteEntryId: z.string().optional(),
    RouteTableId: z.string().optional(),
    DestinationCidrBlock: z.string().optional(),
    NewNextHopId: z.string().optional(),
    NewNextHopType: nextHopType.optional(),
    RouteEntryName: text(128).optional(),
    Description: text(256).optional(),
    DryRun: yesOrNo.default(false),
  }),
  DeleteRouteEntry: z.strictObject({
    ...common,
    RegionId: z.string().optional(),
    RouteEntryId: z.string().optional(),
    RouteTableId: z.string().optional(),
    DestinationCidrBlock: z.string().optional(),
    NextHopId: z.string().optional(),
    DryRun: yesOrNo.default(false),
  }),
  DeleteRouteEntries: z.strictObject({
    ...common,
    RouteEntries: z
      .array(
        z.strictObject({
          RouteTableId: z.string(),
          RouteEntryId: z.string().optional(),
          DstCidrBlock: z.string().optional(),
          NextHop: z.string().optional(),
        }),
      )
      .min(1)
      .max(50),
    DryRun: yesOrNo.default(false),
  }),
  DescribeVSwitches: z.strictObject({
    ...common,
    ...pageNumbers,
    VpcId: z.string().optional(),
    VSwitchId: z.string().optional(),
    RouteTableId: z.string().optional(),
    ZoneId: z.string().optional(),
    DryRun: yesOrNo.default(false),
  }),
  DescribeVpcs: z.strictObject({
    ...common,
    ...pageNumbers,
    /** Up to 20, with commas between them. */
    VpcId: z.string().optional(),
    DryRun: yesOrNo.default(false),
  }),
  DescribeVpcAttribute: z.strictObject({ ...common, VpcId: z.string(), DryRun: yesOrNo.default(false) }),
  DescribeNetworkInterfaces: z.strictObject({
    ...common,
    VpcId: z.string().optional(),
    VSwitchId: z.string().optional(),
    InstanceId: z.string().optional(),
    NetworkInterfaceId: idList.optional(),
    /** Primary addresses only. */
    PrimaryIpAddress: z.string().optional(),
    /** Secondary addresses only. */
    PrivateIpAddress: idList.optional(),
    Ipv6Address: idList.optional(),
    Type: z.enum(['Primary', 'Secondary']).optional(),
    Status: z.enum(['Available', 'Attaching', 'InUse', 'Detaching', 'Deleting']).optional(),
    MaxResults: bent(10, 500).default(10),
    NextToken: z.string().optional(),
  }),
  ModifyNetworkInterfaceAttribute: z.strictObject({
    ...common,
    NetworkInterfaceId: z.string(),
    SourceDestCheck: yesOrNo.optional(),
    NetworkInterfaceName: text(128).optional(),
    Description: text(255).optional(),
  }),
  DescribeInstances: z.strictObject({
    ...common,
    VpcId: z.string().optional(),
    VSwitchId: z.string().optional(),
    InstanceIds: jsonList.optional(),
    PrivateIpAddresses: jsonList.optional(),
    InstanceNetworkType: z.enum(['vpc', 'classic']).optional(),
    SecurityGroupId: z.string().optional(),
    Status: z.enum(['Pending', 'Running', 'Starting', 'Stopping', 'Stopped']).optional(),
    MaxResults: bent(10, 100).default(10),
    NextToken: z.string().optional(),
    DryRun: yesOrNo.default(false),
  }),
  DescribeSecurityGroupAttribute: z.strictObject({
    ...common,
    SecurityGroupId: z.string(),
    Direction: z.enum(['egress', 'ingress', 'all']).default('all'),
    NicType: z.enum(['intranet', 'internet']).optional(),
    MaxResults: bent(10, 1000).default(500),
    NextToken: z.string().optional(),
  }),
} as const;
export type OperationName = keyof typeof schemas;
export type Parameters<Name extends OperationName> = z.output<(typeof schemas)[Name]>;
