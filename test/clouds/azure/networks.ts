/** Virtual networks, subnets and security groups. The one write is the association of a subnet with a table. */
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { begun, type Context, ok, page } from './answers.ts';
import { refusals } from './errors.ts';
import { respelled, sameId, shorten } from './ids.ts';
import { isObject, type JsonObject, sameJson, without } from './json.ts';
import { checkIdle, checkPreconditions, parseBody } from './preconditions.ts';
import { type AzureState, type Network, newEtag, type SecurityGroup, type Subnet } from './state.ts';

function networkDocument(state: AzureState, network: Network): JsonObject {
  return {
    name: network.id.split('/').at(-1) ?? '',
    id: network.id,
    etag: network.subnets[0]?.etag ?? '',
    type: 'Microsoft.Network/virtualNetworks',
    location: state.location,
    properties: {
      provisioningState: 'Succeeded',
      addressSpace: { addressPrefixes: [...network.prefixes] },
      subnets: network.subnets.map((subnet) => subnetDocument(state, subnet, false)),
      virtualNetworkPeerings: [
        {
          id: `${network.id}/virtualNetworkPeerings/to-hub`,
          name: 'to-hub',
          properties: {
            peeringState: 'Connected',
            remoteVirtualNetwork: { id: respelled(network.id).replace(/[^/]+$/, 'hub') },
            remoteAddressSpace: { addressPrefixes: [...network.peerPrefixes] },
            allowForwardedTraffic: true,
          },
        },
      ],
      enableDdosProtection: false,
    },
  };
}

/** @param expanded whether IP configurations are shown whole, as with `$expand=ipConfigurations`, or by their ids */
function subnetDocument(state: AzureState, subnet: Subnet, expanded: boolean): JsonObject {
  const configurations = [...state.nics.values()]
    .filter((nic) => nic.subnet === subnet && !nic.scaleSet)
    .flatMap((nic) => {
      const properties = nic.content.current.document['properties'] as JsonObject;
      return properties['ipConfigurations'] as readonly JsonObject[];
    });
  const [prefix] = subnet.prefixes;
  return {
    name: subnet.name,
    id: subnet.id,
    etag: subnet.etag,
    properties: {
      provisioningState: subnet.writer ? 'Updating' : 'Succeeded',
      ...(subnet.prefixes.length > 1 ? { addressPrefixes: [...subnet.prefixes] } : { addressPrefix: prefix ?? '' }),
      ...(subnet.securityGroupId === undefined
        ? {}
        : { networkSecurityGroup: { id: respelled(subnet.securityGroupId) } }),
      ...(subnet.tableId === undefined ? {} : { routeTable: { id: respelled(subnet.tableId) } }),
      ipConfigurations: configurations.map((configuration) =>
        expanded ? configuration : { id: respelled(String(configuration['id'])) },
      ),
      serviceEndpoints: [],
      delegations: [],
      privateEndpointNetworkPolicies: 'Disabled',
      privateLinkServiceNetworkPolicies: 'Enabled',
    },
    type: 'Microsoft.Network/virtualNetworks/subnets',
  };
}

export function getSubnet({ state, url }: Context, subnet: Subnet): SimulatorAnswer {
  const expand = url.searchParams.get('$expand')?.toLowerCase();
  return ok(subnetDocument(state, subnet, expand === 'ipconfigurations'));
}

export function listSubnets(context: Context, { subnets }: Network): SimulatorAnswer {
  return page(
    context,
    subnets.map((subnet) => subnetDocument(context.state, subnet, false)),
  );
}

export function getNetwork({ state }: Context, network: Network): SimulatorAnswer {
  return ok(networkDocument(state, network));
}

export function listNetworks(context: Context, networks: readonly Network[]): SimulatorAnswer {
  return page(
    context,
    networks.map((network) => networkDocument(context.state, network)),
  );
}

/** Associates the subnet with another table, or none; everything else must come back as it was. */
export async function putSubnet(context: Context, subnet: Subnet): Promise<SimulatorAnswer> {
  const { state } = context;
  const value = parseBody(context.body);
  if (!isObject(value) || !isObject(value['properties'])) throw refusals.badJson('A subnet is no object.');
  const table = value['properties']['routeTable'];
  const wanted = isObject(table) && typeof table['id'] === 'string' ? table['id'] : undefined;
  const known = wanted === undefined ? undefined : state.tables.get(shorten(wanted));
  if (wanted !== undefined && !known) throw refusals.noResource(wanted, '');
  checkIdle(context, subnet.id, subnet.writer, false);
  for (const used of [subnet.tableId, known?.id]) {
    const writer = used === undefined ? undefined : state.tables.get(shorten(used))?.writer;
    if (used !== undefined && writer) throw refusals.notProvisioned(used, subnet.id, writer.name);
  }
  checkPreconditions(context, subnet.id, subnet.etag);
  const before = subnetDocument(state, subnet, false)['properties'] as JsonObject;
  const others = ['routeTable', 'provisioningState', 'ipConfigurations'];
  if (!sameJson(without(value['properties'], others), without(before, others))) {
    const loss = `the PUT of subnet ${subnet.name} changes more than its route table`;
    state.offences.push(loss);
    throw refusals.offence(loss);
  }
  const operation = state.operations.begin('PutSubnetOperation');
  subnet.writer = operation;
  const touched = [subnet.tableId, known?.id].flatMap((id) => (id === undefined ? [] : shorten(id)));
  await state.operations.run(operation, async () => {
    try {
      subnet.tableId = known?.id;
      for (const tableId of new Set(touched)) await state.listeners.tell({ kind: 'routes', tableId });
    } finally {
      subnet.etag = newEtag();
      subnet.writer = undefined;
    }
    return undefined;
  });
  return begun(context, operation, subnetDocument(state, subnet, false), 200);
}

export function getSecurityGroup({ state }: Context, group: SecurityGroup): SimulatorAnswer {
  return ok(securityGroupDocument(state, group));
}

export function listSecurityGroups(context: Context, groups: readonly SecurityGroup[]): SimulatorAnswer {
  return page(
    context,
    groups.map((group) => securityGroupDocument(context.state, group)),
  );
}

function securityGroupDocument(state: AzureState, { id, etag, rules }: SecurityGroup): JsonObject {
  const ruled = (rule: JsonObject): JsonObject => ({
    name: String(rule['name']),
    id: `${id}/securityRules/${rule['name']}`,
    properties: { provisioningState: 'Succeeded', ...without(rule, ['name']) },
  });
  return {
    name: id.split('/').at(-1) ?? '',
    id,
    etag,
    type: 'Microsoft.Network/networkSecurityGroups',
    location: state.location,
    properties: {
      provisioningState: 'Succeeded',
      securityRules: rules.map(ruled),
      defaultSecurityRules: defaultRules.map(ruled),
      subnets: [...state.networks.values()]
        .flatMap(({ subnets }) => subnets)
        .filter(({ securityGroupId }) => securityGroupId !== undefined && sameId(securityGroupId, id))
        .map((subnet) => ({ id: respelled(subnet.id) })),
    },
  };
}

/** "Network security groups", default security rules. */
const defaultRules: readonly JsonObject[] = (['Inbound', 'Outbound'] as const).flatMap((direction) => {
  const common = { protocol: '*', sourcePortRange: '*', destinationPortRange: '*', direction };
  const rule = (name: string, priority: number, access: string, source: string, destination: string): JsonObject => ({
    ...{ name, priority, access, sourceAddressPrefix: source, destinationAddressPrefix: destination, ...common },
  });
  return direction === 'Inbound'
    ? [
        rule('AllowVnetInBound', 65_000, 'Allow', 'VirtualNetwork', 'VirtualNetwork'),
        rule('AllowAzureLoadBalancerInBound', 65_001, 'Allow', 'AzureLoadBalancer', '*'),
        rule('DenyAllInBound', 65_500, 'Deny', '*', '*'),
      ]
    : [
        rule('AllowVnetOutBound', 65_000, 'Allow', 'VirtualNetwork', 'VirtualNetwork'),
        rule('AllowInternetOutBound', 65_001, 'Allow', '*', 'Internet'),
        rule('DenyAllOutBound', 65_500, 'Deny', '*', '*'),
      ];
});
