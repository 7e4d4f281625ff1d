/** The network that stands from the start. */
import type { CloudSubnet } from '../cloud-world.ts';
import { formatId, shorten } from './ids.ts';
import { type AzureState, newEtag, type Subnet, type Table } from './state.ts';

/** The resource group of everything but the second table. */
export const nodesGroup = 'Nodes-RG';

/** The long id of the one network. */
export function networkId({ subscription }: AzureState): string {
  return formatId({
    subscription,
    group: nodesGroup,
    namespace: 'Microsoft.Network',
    types: ['virtualNetworks'],
    names: ['Nodes-VNet'],
  });
}

/** The network, its two subnets, and the security group that both have. */
export function addNetwork(
  state: AzureState,
  networkCidr: string,
  subnetCidrs: readonly [string, string],
  tables: readonly [Table, Table],
): readonly [CloudSubnet, CloudSubnet] {
  const { subscription } = state;
  const id = networkId(state);
  const groupId = formatId({
    subscription,
    group: nodesGroup,
    namespace: 'Microsoft.Network',
    types: ['networkSecurityGroups'],
    names: ['Nodes-NSG'],
  });
  state.securityGroups.set(shorten(groupId), { id: groupId, etag: newEtag(), rules: [] });
  const subnetAt = (place: 0 | 1): Subnet => ({
    id: `${id}/subnets/Subnet-${place + 1}`,
    name: `Subnet-${place + 1}`,
    prefixes: [subnetCidrs[place], `fd00:10:0:${place + 1}::/64`],
    tableId: tables[place].id,
    securityGroupId: groupId,
    etag: newEtag(),
    writer: undefined,
  });
  const subnets = [subnetAt(0), subnetAt(1)] as const;
  state.networks.set(shorten(id), {
    id,
    prefixes: [networkCidr, 'fd00:10::/48'],
    peerPrefixes: ['172.30.0.0/16'],
    subnets: [...subnets],
  });
  const shown = (place: 0 | 1): CloudSubnet => ({
    id: shorten(subnets[place].id),
    cidr: subnetCidrs[place],
    zone: String(place + 1),
    tableId: shorten(tables[place].id),
  });
  return [shown(0), shown(1)];
}
