/** The parts of the APIs' answers that are used, in their own spelling. Lists are wrapped, and empty ones may be missing. */
import * as z from 'zod';

/** An absent, null or empty text is none. */
const text = z
  .string()
  .nullish()
  .transform((value) => value || undefined);
const token = text;

/** A list that is wrapped in an object under the name of its members. */
function wrapped<Item extends z.ZodType>(name: string, item: Item) {
  return z
    .object({ [name]: z.array(item).nullish() })
    .nullish()
    .transform((value): readonly z.output<Item>[] => (value?.[name] ?? []) as readonly z.output<Item>[]);
}

const hop = z.object({
  NextHopId: text,
  NextHopType: text,
  /** 0: a hop that is out of order. */
  Enabled: z.coerce.number().optional().catch(undefined),
});

const entry = z.object({
  RouteEntryId: z.string(),
  DestinationCidrBlock: z.string(),
  RouteEntryName: text,
  Description: text,
  Status: text,
  /** Custom, System, BGP, CEN, ECR. */
  Type: text,
  /** TR: a transit router's. */
  ServiceType: text,
  NextHops: wrapped('NextHop', hop),
});
/** One entry as DescribeRouteEntryList has it. */
export type Entry = z.output<typeof entry>;

export const entryList = z.object({ RouteEntrys: wrapped('RouteEntry', entry), NextToken: token });

const table = z.object({
  RouteTableId: z.string(),
  VpcId: text,
  /** System or Custom. */
  RouteTableType: text,
  /** VSwitch or Gateway. */
  AssociateType: text,
  VSwitchIds: wrapped('VSwitchId', z.string()),
  Tags: wrapped('Tag', z.object({ Key: z.string(), Value: z.string().nullish() })),
});
/** One table as DescribeRouteTableList has it. */
export type Table = z.output<typeof table>;

export const tableList = z.object({
  RouterTableList: wrapped('RouterTableListType', table),
  TotalCount: z.number(),
});

const nic = z.object({
  NetworkInterfaceId: z.string(),
  /** Primary or Secondary. */
  Type: text,
  InstanceId: text,
  VpcId: text,
  VSwitchId: text,
  Status: text,
  PrivateIpAddress: text,
  AssociatedPublicIp: z.object({ PublicIpAddress: text }).nullish(),
  PrivateIpSets: wrapped(
    'PrivateIpSet',
    z.object({
      PrivateIpAddress: text,
      AssociatedPublicIp: z.object({ PublicIpAddress: text }).nullish(),
    }),
  ),
  Ipv6Sets: wrapped('Ipv6Set', z.object({ Ipv6Address: text })),
  SecurityGroupIds: wrapped('SecurityGroupId', z.string()),
  /** Absent in regions that have no such check. */
  SourceDestCheck: z.boolean().nullish(),
});
/** One network interface as DescribeNetworkInterfaces has it. */
export type Nic = z.output<typeof nic>;

export const nicList = z.object({
  NetworkInterfaceSets: wrapped('NetworkInterfaceSet', nic),
  NextToken: token,
});

export const instanceList = z.object({
  Instances: wrapped('Instance', z.object({ InstanceId: z.string(), Status: text })),
  NextToken: token,
});

/** What came of a write of one entry. */
export const written = z.object({ RouteEntryId: text });
/** An answer that says no more than that there is one. */
export const acknowledged = z.object({});

/** What came of a write of several: the failures, each with its own code. */
export const writtenMany = z.object({
  FailedCount: z.number().nullish(),
  FailedRouteEntries: z
    .array(
      z.object({
        DstCidrBlock: text,
        NextHop: text,
        FailedCode: text,
        FailedMessage: text,
      }),
    )
    .nullish()
    .transform((value) => value ?? []),
});

const pageCount = { TotalCount: z.number() };
export const vpcList = z.object({
  Vpcs: wrapped(
    'Vpc',
    z.object({
      VpcId: z.string(),
      CidrBlock: text,
      Ipv6CidrBlock: text,
      SecondaryCidrBlocks: wrapped('SecondaryCidrBlock', z.string()),
    }),
  ),
  ...pageCount,
});
export const vSwitchList = z.object({
  VSwitches: wrapped('VSwitch', z.object({ VSwitchId: z.string(), CidrBlock: text, Ipv6CidrBlock: text })),
  ...pageCount,
});

const permission = z.object({
  Direction: text,
  /** Accept or Drop. */
  Policy: text,
  IpProtocol: text,
  PortRange: text,
  SourceCidrIp: text,
  Ipv6SourceCidrIp: text,
  SourceGroupId: text,
  SourcePrefixListId: text,
  /** 1 goes before 100. */
  Priority: z.coerce.number().optional().catch(undefined),
});
/** One rule of a security group as DescribeSecurityGroupAttribute has it. */
export type Permission = z.output<typeof permission>;
export const permissionList = z.object({ Permissions: wrapped('Permission', permission), NextToken: token });
