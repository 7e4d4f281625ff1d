/** The modules of clouds whose providers can't be had here: what each is given, and how what it makes is read. */
import * as z from 'zod';
import { accountId } from '../clouds/alibaba/keys.ts';
import type { SchemaName } from './schema-provider.ts';
import type { Variables } from './terraform.ts';

/** A resource as Terraform applied it. */
export const resourceSchema = z.object({
  address: z.string(),
  type: z.string(),
  name: z.string(),
  index: z.union([z.string(), z.number()]).optional(),
  values: z.record(z.string(), z.unknown()),
});
export type Resource = z.infer<typeof resourceSchema>;

/** What a firewall lets in. */
export interface Opening {
  readonly from: string;
  /** `etcd`: its machine alone. */
  readonly to: 'all' | 'etcd';
  readonly protocol: 'all' | 'icmp' | 'tcp' | 'udp';
  /** Undefined: all ports. */
  readonly port: number | undefined;
}

export interface CloudModule {
  /** Of `terraform/modules` and `terraform/examples`. */
  readonly name: 'gce' | 'alicloud' | 'azure';
  readonly provider: SchemaName;
  readonly backendType: string;
  /** mock_provider, with what Terraform can't make up. */
  readonly mock: string;
  readonly variables: Variables;
  /** Range of the machines. */
  readonly machineRange: string;
  /** User data by machine. */
  userData(resources: readonly Resource[]): ReadonlyMap<string, string>;
  /** Machines with credentials of the cloud. */
  withCredentials(resources: readonly Resource[]): readonly string[];
  openings(resources: readonly Resource[]): readonly Opening[];
  /** Where a rule for the pod network is made in its HCL, and what takes it away. */
  readonly podRule: readonly [file: string, text: RegExp, instead: string];
  /** An argument, misspelt. */
  readonly typo: readonly [file: string, right: string, wrong: string];
  /** A needed argument, the only one of its name in the file. */
  readonly needed: readonly [file: string, name: string];
  /** An attribute that no resource has. */
  readonly nothing: string;
  /** What the program changes at resources of Terraform's, which a later apply must not undo: file and attribute. */
  readonly leftAlone: readonly (readonly [file: string, attribute: string])[];
  /** Resources that would make routes Terraform's. */
  readonly routeResources: readonly string[];
}

const text = z.string();
const texts = z.array(z.string());
const withoutPods = 'if (rule.to == "all" || local.own_etcd) && rule.from != "pods"';

function only(resources: readonly Resource[], type: string, name: string): readonly Resource[] {
  return resources.filter((resource) => resource.type === type && resource.name === name);
}

function machineOf({ index }: Resource): string {
  return text.parse(index);
}

function portOf(range: string): number | undefined {
  return range === '*' || range === '-1/-1' ? undefined : Number(range.split('/')[0]);
}

function decoded(base64: unknown): string {
  return Buffer.from(text.parse(base64), 'base64').toString('utf8');
}

const gce: CloudModule = {
  ...{ name: 'gce', provider: 'google', backendType: 'gce', mock: 'mock_provider "google" {}' },
  variables: {
    ...{ name: 'pods', project_id: 'my-project', region: 'europe-west1' },
    ...{
      zones: ['europe-west1-b', 'europe-west1-c'],
      ssh_public_key: 'ubuntu:ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== me',
    },
  },
  machineRange: '10.0.0.0/20',
  userData(resources) {
    const metadata = z.object({ 'user-data': z.string() });
    const machines = only(resources, 'google_compute_instance', 'machine');
    return new Map(machines.map((each) => [machineOf(each), metadata.parse(each.values['metadata'])['user-data']]));
  },
  withCredentials(resources) {
    const account = z.array(z.object({ email: z.string(), scopes: texts }));
    return only(resources, 'google_compute_instance', 'machine')
      .filter(({ values }) => account.parse(values['service_account']).length > 0)
      .map(machineOf);
  },
  openings(resources) {
    const rule = z.object({
      ...{ source_ranges: texts, target_tags: texts, direction: z.literal('INGRESS') },
      allow: z.array(z.object({ protocol: z.enum(['all', 'icmp', 'tcp', 'udp']), ports: texts.nullable() })),
    });
    return resources
      .filter(({ type }) => type === 'google_compute_firewall')
      .flatMap(({ values }) => {
        const { source_ranges: ranges, target_tags: tags, allow } = rule.parse(values);
        const to = tags.includes('pods-etcd') ? ('etcd' as const) : ('all' as const);
        return ranges.flatMap((from) =>
          allow.flatMap(({ protocol, ports }) =>
            (ports === null || ports.length === 0 ? ['*'] : ports).map((port) => ({
              from,
              to,
              protocol,
              port: portOf(port),
            })),
          ),
        );
      });
  },
  podRule: ['firewall.tf', /if rule\.to == "all" \|\| local\.own_etcd/, withoutPods],
  typo: ['network.tf', 'ip_cidr_range', 'ip_cidr_rnge'],
  needed: ['role.tf', 'account_id'],
  nothing: 'google_compute_network.cluster.nothing',
  leftAlone: [],
  routeResources: ['google_compute_route'],
};

const alicloud: CloudModule = {
  ...{ name: 'alicloud', provider: 'alicloud', backendType: 'ali-vpc' },
  mock: `mock_provider "alicloud" {
    mock_data "alicloud_images" {
      defaults = { ids = ["ubuntu_24_04_x64_20G_alibase_20260101.vhd"] }
    }
    mock_data "alicloud_account" {
      defaults = { id = "${accountId}" }
    }
    mock_resource "alicloud_route_table" {
      defaults = { id = "vtb-bp145q7glnuzd0000001" }
    }
  }`,
  variables: { name: 'pods', region: 'cn-hangzhou', zones: ['cn-hangzhou-h', 'cn-hangzhou-i'] },
  machineRange: '10.0.0.0/16',
  userData(resources) {
    const machines = only(resources, 'alicloud_instance', 'machine');
    return new Map(machines.map((each) => [machineOf(each), decoded(each.values['user_data'])]));
  },
  withCredentials: (resources) => only(resources, 'alicloud_ecs_ram_role_attachment', 'writer').map(machineOf),
  openings(resources) {
    const rule = z.object({
      ...{ type: z.literal('ingress'), policy: z.literal('accept'), nic_type: z.literal('intranet') },
      ...{ ip_protocol: z.enum(['all', 'icmp', 'tcp', 'udp']), port_range: z.string(), cidr_ip: z.string() },
    });
    return resources
      .filter(({ type }) => type === 'alicloud_security_group_rule')
      .map(({ values, index }) => {
        const { cidr_ip: from, ip_protocol: protocol, port_range: range } = rule.parse(values);
        // One group for all: etcd's machine is in it like the others, which have nothing at that port.
        return { from, to: index === 'etcd' ? 'etcd' : 'all', protocol, port: portOf(range) };
      });
  },
  podRule: ['firewall.tf', /if rule\.to == "all" \|\| local\.own_etcd/, withoutPods],
  typo: ['machines.tf', 'internet_max_bandwidth_out', 'internet_max_bandwith_out'],
  needed: ['role.tf', 'policy_type'],
  nothing: 'alicloud_vpc.cluster.nothing',
  leftAlone: [['machines.tf', 'source_dest_check']],
  routeResources: ['alicloud_route_entry', 'alicloud_vpc_route_entry'],
};

const azure: CloudModule = {
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
      ...{ source_address_prefix: z.string().nullish(), source_address_prefixes: texts.nullish() },
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

export const cloudModules: readonly CloudModule[] = [gce, alicloud, azure];
