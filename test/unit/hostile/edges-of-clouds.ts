/** What clouds answer, by each provider's own reading of it. */
import { EC2ServiceException } from '@aws-sdk/client-ec2';
import fc from 'fast-check';
import * as ali from '../../../providers/ali-vpc/answers.ts';
import { routeEntry as aliRoute } from '../../../providers/ali-vpc/entries.ts';
import { codeError } from '../../../providers/ali-vpc/errors.ts';
import { translateError as awsError } from '../../../providers/aws-vpc/errors.ts';
import { routeEntry as awsRoute } from '../../../providers/aws-vpc/routes.ts';
import { refusalError } from '../../../providers/azure-vnet/errors.ts';
import { armPath, kinds, shortId } from '../../../providers/azure-vnet/ids.ts';
import { nicOf } from '../../../providers/azure-vnet/nics.ts';
import { parseRaw } from '../../../providers/azure-vnet/raw-json.ts';
import {
  routeEntry as azureRoute,
  foreignController,
  RouteNames,
  routesOf,
  tableShape,
} from '../../../providers/azure-vnet/routes.ts';
import { operationError } from '../../../providers/gce/errors.ts';
import {
  instanceOfLink,
  networkOfLink,
  parseInstanceId,
  parseNetworkId,
  subnetOfLink,
} from '../../../providers/gce/names.ts';
import { routeEntry as gceRoute } from '../../../providers/gce/routes.ts';
import * as gce from '../../../providers/gce/schemas.ts';
import type { RouteEntry } from '../../../providers/provider.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { cidr } from '../../support/addresses.ts';
import { hostileJson, hostileText, mutated } from '../../support/hostile.ts';
import { createTestClock } from '../../support/test-clock.ts';
import type { Edge } from './edge.ts';

const networks = [cidr('10.244.0.0/16'), cidr('fd42::/48')];
const isThere = (result: unknown): boolean => result !== undefined;
const isFull = (result: unknown): boolean => Array.isArray(result) && result.length > 0;
const never = new AbortController().signal;

/** What every route must be, whatever the cloud said: the planner rests on it. */
function checked(route: RouteEntry): RouteEntry {
  const { destination, destinationText, target, origin, state } = route;
  if (typeof destinationText !== 'string' || typeof target.id !== 'string')
    throw new TypeError('a route that is no route');
  if (destination && formatCidr(destination) !== destinationText)
    throw new TypeError(`${destinationText} is not its destination`);
  if (!['static', 'local', 'propagated'].includes(origin)) throw new TypeError(`its origin is ${origin}`);
  if (!['active', 'blackhole', 'other'].includes(state)) throw new TypeError(`its state is ${state}`);
  if (typeof target.kind !== 'string') throw new TypeError(`it leads to a ${typeof target.kind}`);
  return route;
}

const awsRoutes = [
  {
    DestinationCidrBlock: '10.244.7.0/24',
    NetworkInterfaceId: 'eni-07',
    InstanceId: 'i-07',
    State: 'active',
    Origin: 'CreateRoute',
  },
  { DestinationIpv6CidrBlock: 'fd42:0:0:7::/64', GatewayId: 'local', State: 'active', Origin: 'CreateRouteTable' },
  { DestinationPrefixListId: 'pl-1', GatewayId: 'vpce-1', State: 'blackhole', Origin: 'EnableVgwRoutePropagation' },
];
const gceRoutes = [
  {
    ...{ name: 'flannel-vpc-1', network: 'https://www.googleapis.com/compute/v1/projects/p/global/networks/default' },
    ...{ destRange: '10.244.7.0/24', priority: 1000, tags: ['a'], routeType: 'STATIC' },
    nextHopInstance: 'https://www.googleapis.com/compute/v1/projects/p/zones/europe-west1-b/instances/node-7',
    warnings: [{ code: 'NEXT_HOP_NOT_RUNNING', message: 'stopped' }],
  },
  {
    name: 'default-route',
    destRange: '0.0.0.0/0',
    nextHopGateway: 'projects/p/global/gateways/default',
    priority: 1000,
  },
];
const gceOperations = [
  {
    name: 'op',
    status: 'DONE',
    error: { errors: [{ code: 'QUOTA_EXCEEDED', message: 'Limit: 200.0 globally.' }] },
    httpErrorStatusCode: 403,
  },
];
const aliEntries = [
  {
    ...{
      RouteEntryId: 'rte-1',
      DestinationCidrBlock: '10.244.7.0/24',
      RouteEntryName: 'n',
      Description: 'd',
      Status: 'Available',
    },
    ...{ Type: 'Custom', NextHops: { NextHop: [{ NextHopId: 'i-07', NextHopType: 'Instance', Enabled: 1 }] } },
  },
];
const aliAnswers = [
  { RouteEntrys: { RouteEntry: aliEntries }, NextToken: '' },
  {
    RouterTableList: {
      RouterTableListType: [{ RouteTableId: 'vtb-1', VpcId: 'vpc-1', VSwitchIds: { VSwitchId: ['vsw-1'] } }],
    },
    TotalCount: 1,
  },
  {
    NetworkInterfaceSets: {
      NetworkInterfaceSet: [
        {
          NetworkInterfaceId: 'eni-1',
          InstanceId: 'i-07',
          PrivateIpAddress: '10.0.1.4',
          Ipv6Sets: { Ipv6Set: [{ Ipv6Address: 'fd00::4' }] },
        },
      ],
    },
  },
  { Instances: { Instance: [{ InstanceId: 'i-07', Status: 'Running' }] } },
];
const azureTables = [
  {
    ...{ name: 'table', etag: 'W/"1"', tags: { a: 'b' }, id: '/subscriptions/s' },
    properties: {
      routes: [
        {
          name: 'flannel-vpc-00-10-244-7-0-24',
          etag: 'W/"2"',
          properties: {
            addressPrefix: '10.244.7.0/24',
            nextHopType: 'VirtualAppliance',
            nextHopIpAddress: '10.0.1.4',
            provisioningState: 'Succeeded',
          },
        },
        { name: 'internet', properties: { addressPrefix: '0.0.0.0/0', nextHopType: 'Internet' } },
      ],
      subnets: [{ id: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/n/subnets/a' }],
    },
  },
];
const nicId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/n';
const azureNics = [
  {
    id: nicId,
    properties: {
      ...{
        enableIPForwarding: true,
        macAddress: '00-0D-3A-F8-06-EC',
        virtualMachine: { id: `${nicId.replace('Network/networkInterfaces', 'Compute/virtualMachines')}` },
      },
      ipConfigurations: [
        { properties: { privateIPAddress: '10.0.1.4', primary: true, subnet: { id: `${nicId.slice(0, 40)}` } } },
      ],
    },
  },
];
const azureErrors = [
  {
    error: {
      code: 'AnotherOperationInProgress',
      message: 'Please retry after 5 seconds.',
      details: [{ code: 'RetryableError', message: 'a' }],
    },
  },
];
const context = { action: 'x:CreateRoute', doing: 'create the route', details: {} };

export const edgesOfClouds: readonly Edge[] = [
  {
    name: "EC2's routes",
    files: ['providers/aws-vpc/routes.ts'],
    sound: awsRoutes,
    // The SDK gives texts, and nothing of another type.
    inputs: fc
      .tuple(
        fc.constantFrom(...awsRoutes),
        fc.dictionary(fc.constantFrom(...awsRoutes.flatMap((route) => Object.keys(route))), hostileText),
      )
      .map(([route, more]) => ({ ...route, ...more })),
    read: (route: object) => checked(awsRoute(route)),
    taken: isThere,
    refuses: 'result',
  },
  {
    name: "EC2's errors",
    files: ['providers/aws-vpc/errors.ts'],
    sound: [],
    inputs: fc.tuple(
      hostileText,
      fc.oneof(
        hostileText,
        hostileText.map((text) => `${text} Encoded authorization failure message: ${text}`),
      ),
      fc.constantFrom(400, 403, 500, 503),
      hostileText,
    ),
    read([name, message, httpStatusCode, retryAfter]: [string, string, number, string]) {
      const $response = { headers: { 'retry-after': retryAfter } };
      const error = new EC2ServiceException({ name, message, $fault: 'client', $metadata: { httpStatusCode } });
      throw awsError(Object.assign(error, { $response }), context, never);
    },
    taken: () => false,
    refuses: 'ours',
  },
  {
    name: "Compute Engine's routes",
    files: ['providers/gce/schemas.ts', 'providers/gce/routes.ts'],
    sound: gceRoutes,
    inputs: mutated(gceRoutes),
    read(value: unknown) {
      const parsed = gce.routeSchema.safeParse(value);
      return parsed.success ? checked(gceRoute(parsed.data, { tableId: 'p/default', networks })) : undefined;
    },
    taken: isThere,
    refuses: 'result',
  },
  {
    name: "Compute Engine's operations that failed",
    files: ['providers/gce/errors.ts'],
    sound: [],
    inputs: mutated(gceOperations),
    read(value: unknown) {
      const parsed = gce.operationSchema.safeParse(value);
      if (parsed.success) throw operationError(parsed.data, context, createTestClock());
      return undefined;
    },
    taken: isThere,
    refuses: 'ours',
  },
  {
    name: "Compute Engine's links and ids",
    files: ['providers/gce/names.ts'],
    sound: ['projects/p/zones/europe-west1-b/instances/node-7'],
    inputs: fc.oneof(
      hostileText,
      fc
        .tuple(hostileText, fc.constantFrom('projects/', '/zones/', '/instances/', '/networks/'), hostileText)
        .map((three) => three.join('')),
      fc.constant('projects/'.repeat(20_000)),
    ),
    read(text: string) {
      for (const parse of [networkOfLink, subnetOfLink, parseInstanceId, parseNetworkId]) parse(text);
      return instanceOfLink(text);
    },
    taken: isThere,
    refuses: 'result',
  },
  {
    name: "Alibaba's route entries",
    files: ['providers/ali-vpc/entries.ts'],
    sound: [aliAnswers[0]],
    inputs: mutated([aliAnswers[0]]),
    read: (value: unknown) =>
      ali.entryList.safeParse(value).data?.RouteEntrys.map((entry) => checked(aliRoute(entry, networks))),
    taken: isFull,
    refuses: 'result',
  },
  {
    name: "Alibaba's other lists",
    files: ['providers/ali-vpc/answers.ts'],
    sound: aliAnswers,
    inputs: mutated(aliAnswers),
    read: (value: unknown) =>
      [
        ali.entryList,
        ali.tableList,
        ali.nicList,
        ali.instanceList,
        ali.vpcList,
        ali.vSwitchList,
        ali.writtenMany,
        ali.permissionList,
      ].map((schema) => schema.safeParse(value).success),
    taken: (results) => (results as readonly boolean[]).includes(true),
    refuses: 'result',
  },
  {
    name: "Alibaba's errors",
    files: ['providers/ali-vpc/errors.ts'],
    sound: [],
    inputs: fc.tuple(hostileText, hostileText),
    read([code, message]: [string, string]) {
      throw codeError(code, message, context);
    },
    taken: () => false,
    refuses: 'ours',
  },
  {
    name: "Azure's route tables",
    files: ['providers/azure-vnet/routes.ts', 'providers/azure-vnet/tables.ts', 'providers/azure-vnet/raw-json.ts'],
    sound: azureTables.map((table) => JSON.stringify(table)),
    inputs: hostileJson(azureTables),
    read(text: string) {
      const parsed = tableShape.safeParse(parseRaw(text));
      if (!parsed.success) return undefined;
      foreignController(parsed.data);
      return routesOf(parsed.data).map((route) => checked(azureRoute(route, new RouteNames(networks))));
    },
    taken: isFull,
    // arm.ts turns it into "the answer is no JSON".
    refuses: 'error',
  },
  {
    name: "Azure's NICs",
    files: ['providers/azure-vnet/nics.ts'],
    sound: azureNics,
    inputs: mutated(azureNics),
    read: (value: unknown) => nicOf(value),
    taken: isThere,
    refuses: 'result',
  },
  {
    name: "Azure's refusals",
    files: ['providers/azure-vnet/errors.ts', 'providers/azure-vnet/arm.ts'],
    sound: [],
    inputs: fc.tuple(
      fc.oneof(mutated(azureErrors), hostileText),
      fc.constantFrom(400, 403, 409, 429, 500),
      hostileText,
    ),
    read([body, status, header]: [unknown, number, string]) {
      throw refusalError({ status, headers: { 'retry-after': header, 'x-ms-request-id': header }, body }, context);
    },
    taken: () => false,
    refuses: 'ours',
  },
  {
    name: "Azure's ids",
    files: ['providers/azure-vnet/ids.ts'],
    sound: [nicId],
    inputs: fc.oneof(
      hostileText,
      hostileText.map((text) => nicId.replace('/n', `/${text}`)),
      fc.constant('/'.repeat(50_000)),
    ),
    read(text: string) {
      const id = shortId(text, kinds.nic);
      // A path that is made of it leads nowhere else.
      const path = id === undefined ? undefined : armPath(id, kinds.nic);
      if (path !== undefined && path.split('/').length !== 9) throw new Error(`the path ${path}`);
      return id;
    },
    taken: isThere,
    refuses: 'result',
  },
];
