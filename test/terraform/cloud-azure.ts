/** The module for Azure. */
import * as z from 'zod';
import { type CloudModule, decoded, machineOf, only, portOf, withoutPods } from './cloud-module.ts';

export const azure: CloudModule = {
  ...{ name: 'azure', provider: 'azurerm', backendType: 'azure-vnet' },
  mock: `mock_provider "azurerm" {
    mock_resource "azurerm_route_table" {
      defaults = {
        id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/pods/providers/Microsoft.Network/routeTables/pods"
      }
    }
  }`,
  variables: { name: 'pods', location: 'westeurope', ssh_public_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== me' },
  machineRange: '10.0.0.0/16',
  userData(resources) {
    const machines = only(resources, 'azurerm_linux_virtual_machine', 'machine');
    return new Map(machines.map((each) => [machineOf(each), decoded(each.values['custom_data'])]));
  },
  withCredentials(resources) {
    return only(resources, 'azurerm_linux_virtual_machine', 'machine')
      .filter(({ values }) => z.array(z.unknown()).parse(values['identity']).length > 0)
      .map(machineOf);
  },
  openings(resources) {
    const rule = z.object({
      ...{ direction: z.literal('Inbound'), access: z.literal('Allow'), source_port_range: z.literal('*') },
      ...{ protocol: z.enum(['*', 'Icmp', 'Tcp', 'Udp']), destination_port_range: z.string() },
      ...{ source_address_prefix: z.string().nullish(), source_address_prefixes: z.array(z.string()).nullish() },
      destination_address_prefix: z.string(),
    });
    const protocols = { '*': 'all', Icmp: 'icmp', Tcp: 'tcp', Udp: 'udp' } as const;
    return resources
      .filter(({ type }) => type === 'azurerm_network_security_rule')
      .flatMap(({ values, name }) => {
        const read = rule.parse(values);
        const sources = name === 'ssh' ? (read.source_address_prefixes ?? []) : [read.source_address_prefix ?? ''];
        const to = read.destination_address_prefix === '10.0.0.4/32' ? ('etcd' as const) : ('all' as const);
        return sources.map((from) => ({
          ...{ from, to, protocol: protocols[read.protocol], port: portOf(read.destination_port_range) },
        }));
      });
  },
  withoutFirewall(resources) {
    const guarded = only(resources, 'azurerm_subnet_network_security_group_association', 'nodes');
    const ids = guarded.map(({ values }) => values['subnet_id']);
    return only(resources, 'azurerm_subnet', 'nodes')
      .filter(({ values }) => !ids.includes(values['id']))
      .map(({ address }) => address);
  },
  longestName: `a${'9'.repeat(29)}z`,
  // https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules; a rule's description has 140 characters.
  texts: {
    'azurerm_resource_group.name': /^[-\w.()]{1,90}(?<!\.)$/,
    'azurerm_virtual_network.name': /^[a-z0-9][-\w.]{0,62}\w$/,
    'azurerm_linux_virtual_machine.name': /^[a-z0-9][-a-z0-9]{0,62}[a-z0-9]$/,
    'azurerm_network_security_rule.description': /^.{1,140}$/,
    'azurerm_user_assigned_identity.name': /^[a-z0-9][-\w]{2,127}$/,
  },
  podRule: ['firewall.tf', /if rule\.to == "all" \|\| local\.own_etcd/, withoutPods],
  typo: ['machines.tf', 'private_ip_address_allocation', 'private_ip_adress_allocation'],
  needed: ['machines.tf', 'caching'],
  nothing: 'azurerm_virtual_network.cluster.nothing',
  leftAlone: [
    ['machines.tf', 'ip_forwarding_enabled'],
    ['network.tf', 'route'],
  ],
  routeResources: ['azurerm_route'],
};
