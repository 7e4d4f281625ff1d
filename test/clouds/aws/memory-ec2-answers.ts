/** What the memory cloud behind EC2's wire answers, action by action. */
import type { MemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import type { NicSpec } from '../../../providers/memory/world.ts';
import type { NextHop, RouteChange, RouteEntry, RouteTarget } from '../../../providers/provider.ts';
import { isFlannelVpcError } from '../../../src/core/errors.ts';
import { type Cidr, parseCidr } from '../../../src/core/ip.ts';
import { Ec2Refusal, refusals } from './ec2-error.ts';
import { filtersOf } from './ec2-request.ts';
import { escapeXml } from './xml.ts';

export interface MemoryTable {
  readonly id: string;
  readonly subnetId: string;
}

export interface MemoryEc2State {
  readonly cloud: MemoryCloud;
  readonly vpcId: string;
  readonly tables: readonly MemoryTable[];
  /** Who has a private address. */
  readonly owners: ReadonlyMap<string, { readonly nic: NicSpec; readonly instanceId: string }>;
}

type Handler = (state: MemoryEc2State, parameters: URLSearchParams) => string | Promise<string>;

const never = new AbortController().signal;
const done = '<return>true</return>';

/** The actions there are; each gives the content of its answer. @throws Ec2Refusal */
export const memoryEc2Handlers: Readonly<Record<string, Handler>> = {
  DescribeRouteTables({ cloud, vpcId, tables }, parameters) {
    const named = valuesOf(parameters, 'route-table-id');
    const chosen = tables.filter(({ id }) => named?.includes(id) ?? true);
    return set(
      'routeTableSet',
      chosen.map(({ id, subnetId }) => {
        const association =
          text('routeTableId', id) +
          text('subnetId', subnetId) +
          '<main>false</main><associationState><state>associated</state></associationState>';
        return (
          text('routeTableId', id) +
          text('vpcId', vpcId) +
          set('associationSet', [association]) +
          set('routeSet', cloud.routes(id).map(routeXml))
        );
      }),
    );
  },
  DescribeNetworkInterfaces({ cloud, vpcId, owners }, parameters) {
    const addresses = valuesOf(parameters, 'addresses.private-ip-address') ?? [];
    if (addresses.length > 200) throw refusals.filterLimit();
    return set(
      'networkInterfaceSet',
      addresses.flatMap((address) => {
        const owner = owners.get(address);
        if (!owner) return [];
        const { nic, instanceId } = owner;
        return (
          text('networkInterfaceId', nic.id) +
          text('subnetId', nic.subnetId) +
          text('vpcId', vpcId) +
          text('privateIpAddress', address) +
          text('sourceDestCheck', String(!cloud.forwards(nic.id))) +
          `<attachment>${text('instanceId', instanceId)}<status>attached</status></attachment>` +
          set('privateIpAddressesSet', [`${text('privateIpAddress', address)}<primary>true</primary>`])
        );
      }),
    );
  },
  async DescribeInstances({ cloud }, parameters) {
    const states = await cloud.provider('ec2').instances(valuesOf(parameters, 'instance-id') ?? [], never);
    const instances = [...states].map(
      ([id, state]) => `${text('instanceId', id)}<instanceState>${text('name', state)}</instanceState>`,
    );
    return set('reservationSet', [set('instancesSet', instances)]);
  },
  CreateRoute: (state, parameters) => write(state, parameters, 'create'),
  ReplaceRoute: (state, parameters) => write(state, parameters, 'replace'),
  DeleteRoute: (state, parameters) => write(state, parameters, 'delete'),
  async ModifyNetworkInterfaceAttribute({ cloud }, parameters) {
    const id = parameters.get('NetworkInterfaceId') ?? '';
    await cloud
      .provider('ec2')
      .prepare(hop(id), never)
      .catch(() => {
        throw refusals.noSuchNic(id);
      });
    return done;
  },
};

async function write(
  { cloud }: MemoryEc2State,
  parameters: URLSearchParams,
  action: RouteChange['action'],
): Promise<string> {
  const destinationText = parameters.get('DestinationCidrBlock') ?? parameters.get('DestinationIpv6CidrBlock') ?? '';
  const destination = parseCidr(destinationText);
  if (!destination) throw refusals.badCidr(destinationText);
  const tableId = parameters.get('RouteTableId') ?? '';
  try {
    await cloud.provider('ec2').apply(changeOf(action, tableId, destination, parameters), never);
  } catch (error) {
    if (isFlannelVpcError(error, 'QUOTA_EXCEEDED')) throw refusals.routeLimit();
    if (isFlannelVpcError(error, 'CONFLICT'))
      throw action === 'create' ? refusals.routeExists(destinationText) : refusals.nothingToReplace(destinationText);
    throw new Ec2Refusal('InvalidParameterValue', String(error));
  }
  return done;
}

function changeOf(
  action: RouteChange['action'],
  tableId: string,
  destination: Cidr,
  parameters: URLSearchParams,
): RouteChange {
  // What stood there is no part of an EC2 request.
  const expected: RouteTarget = { kind: 'other', id: '' };
  if (action === 'delete') return { action, tableId, destination, expected };
  const nextHop = hop(parameters.get('NetworkInterfaceId') ?? '');
  return action === 'create'
    ? { action, tableId, destination, nextHop }
    : { action, tableId, destination, nextHop, expected };
}

function hop(nicId: string): NextHop {
  return { nicId, instanceId: undefined, subnetId: undefined, networkId: undefined, forwards: false };
}

function routeXml({ destinationText, target, state, origin }: RouteEntry): string {
  const name = destinationText.includes(':') ? 'destinationIpv6CidrBlock' : 'destinationCidrBlock';
  const to =
    target.kind === 'nic'
      ? text('instanceId', target.instanceId ?? '') +
        '<instanceOwnerId>123456789012</instanceOwnerId>' +
        text('networkInterfaceId', target.id)
      : text('gatewayId', target.id);
  return `${text(name, destinationText)}${to}${text('state', state)}${text('origin', origin === 'local' ? 'CreateRouteTable' : 'CreateRoute')}`;
}

/** Undefined where the request has no such filter. */
function valuesOf(parameters: URLSearchParams, name: string): readonly string[] | undefined {
  return filtersOf(parameters).find((filter) => filter.name === name)?.values;
}

function text(name: string, value: string): string {
  return `<${name}>${escapeXml(value)}</${name}>`;
}

function set(name: string, items: readonly string[]): string {
  return `<${name}>${items.map((item) => `<item>${item}</item>`).join('')}</${name}>`;
}
