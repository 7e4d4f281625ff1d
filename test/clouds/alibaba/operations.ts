/** The operations by name: whose API they are of, what right they need, and what carries them out. */
import type * as z from 'zod';
import type { ChangeListeners } from '../simulator/change-listeners.ts';
import type { Operation } from '../simulator/front.ts';
import {
  describeRouteEntryList,
  describeRouteTableList,
  describeVpcAttribute,
  describeVpcs,
  describeVSwitches,
} from './describe-vpc.ts';
import {
  describeInstances,
  describeNetworkInterfaces,
  describeSecurityGroupAttribute,
  modifyNetworkInterfaceAttribute,
} from './ecs.ts';
import { accountId } from './keys.ts';
import { checkedParameters } from './parameters.ts';
import { refusals } from './refusals.ts';
import { createRouteEntries, deleteRouteEntries } from './route-batches.ts';
import { createRouteEntry, deleteRouteEntry, modifyRouteEntry, type RouteCloud } from './route-writes.ts';
import { type OperationName, type Parameters, schemas } from './schemas.ts';

export interface Cloud extends RouteCloud {
  readonly listeners: ChangeListeners;
}

export interface AlibabaOperation extends Operation {
  readonly product: 'vpc' | 'ecs';
  /** Of the API, as in `x-acs-version`. */
  readonly version: '2016-04-28' | '2014-05-26';
  /** Carries out a request of a caller whose rights `authorize` checks. @throws Refusal */
  perform(
    cloud: Cloud,
    flat: Readonly<Record<string, string>>,
    options: { readonly half: boolean; readonly authorize: (action: string, resource: string) => void },
  ): Promise<object>;
}

type Resources<Name extends OperationName> = (cloud: Cloud, asked: Parameters<Name>) => readonly string[];

function operation<Name extends OperationName>(
  product: 'vpc' | 'ecs',
  name: Name,
  resources: Resources<Name>,
  carryOut: (cloud: Cloud, asked: Parameters<Name>, half: boolean) => object | Promise<object>,
): AlibabaOperation {
  const isRead = name.startsWith('Describe');
  return {
    name,
    product,
    version: product === 'vpc' ? '2016-04-28' : '2014-05-26',
    changes: !isRead,
    async perform(cloud, flat, { half, authorize }) {
      // The union of all schemas' outputs, which TypeScript can't tell apart by a name.
      const asked = checkedParameters(schemas[name] as z.ZodType<unknown>, flat) as Parameters<Name>;
      cloud.account.checkRegion((asked as { readonly RegionId?: string | undefined }).RegionId);
      for (const resource of new Set(resources(cloud, asked))) {
        authorize(`${product}:${name}`, `acs:${product}:${cloud.account.region}:${accountId}:${resource}`);
      }
      // Changes look at more before they say so.
      if (isRead && (asked as { readonly DryRun?: boolean }).DryRun) throw refusals.dryRun();
      return await carryOut(cloud, asked, half);
    },
  };
}

const tableOf = (
  cloud: Cloud,
  asked: { readonly RouteTableId?: string | undefined; readonly RouteEntryId?: string | undefined },
) => `routetable/${asked.RouteTableId ?? cloud.account.entry(asked.RouteEntryId ?? '')?.tableId ?? '*'}`;
const tablesOf: Resources<'CreateRouteEntries'> & Resources<'DeleteRouteEntries'> = (_, asked) =>
  asked.RouteEntries.map(({ RouteTableId }) => `routetable/${RouteTableId}`);

const all = [
  operation(
    'vpc',
    'DescribeRouteTableList',
    (_, { RouteTableId = '*' }) => [`routetable/${RouteTableId}`],
    ({ account }, asked) => describeRouteTableList(account, asked),
  ),
  operation(
    'vpc',
    'DescribeRouteEntryList',
    (cloud, asked) => [tableOf(cloud, asked)],
    ({ account }, asked) => describeRouteEntryList(account, asked),
  ),
  operation('vpc', 'CreateRouteEntry', (cloud, asked) => [tableOf(cloud, asked)], createRouteEntry),
  operation('vpc', 'CreateRouteEntries', tablesOf, createRouteEntries),
  operation('vpc', 'ModifyRouteEntry', (cloud, asked) => [tableOf(cloud, asked)], modifyRouteEntry),
  operation('vpc', 'DeleteRouteEntry', (cloud, asked) => [tableOf(cloud, asked)], deleteRouteEntry),
  operation('vpc', 'DeleteRouteEntries', tablesOf, deleteRouteEntries),
  operation(
    'vpc',
    'DescribeVSwitches',
    (_, { VSwitchId = '*' }) => [`vswitch/${VSwitchId}`],
    ({ account }, asked) => describeVSwitches(account, asked),
  ),
  operation(
    'vpc',
    'DescribeVpcs',
    (_, { VpcId = '*' }) => VpcId.split(',').map((id) => `vpc/${id}`),
    ({ account }, asked) => describeVpcs(account, asked),
  ),
  operation(
    'vpc',
    'DescribeVpcAttribute',
    (_, { VpcId }) => [`vpc/${VpcId}`],
    ({ account }, asked) => describeVpcAttribute(account, asked),
  ),
  operation(
    'ecs',
    'DescribeNetworkInterfaces',
    () => ['eni/*'],
    ({ account }, asked) => describeNetworkInterfaces(account, asked),
  ),
  operation(
    'ecs',
    'ModifyNetworkInterfaceAttribute',
    (_, asked) => [`eni/${asked.NetworkInterfaceId}`],
    (cloud, asked) => modifyNetworkInterfaceAttribute(cloud.account, cloud.listeners, asked),
  ),
  operation(
    'ecs',
    'DescribeInstances',
    () => ['instance/*'],
    ({ account }, asked) => describeInstances(account, asked),
  ),
  operation(
    'ecs',
    'DescribeSecurityGroupAttribute',
    (_, asked) => [`securitygroup/${asked.SecurityGroupId}`],
    ({ account }, asked) => describeSecurityGroupAttribute(account, asked),
  ),
];

export const operations: ReadonlyMap<string, AlibabaOperation> = new Map(all.map((one) => [one.name, one]));
