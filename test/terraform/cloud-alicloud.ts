/** The module for Alibaba Cloud. */
import * as z from 'zod';
import { accountId } from '../clouds/alibaba/keys.ts';
import { type CloudModule, decoded, machineOf, only, portOf, withoutPods } from './cloud-module.ts';

export const alicloud: CloudModule = {
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
  withoutFirewall(resources) {
    const [group] = only(resources, 'alicloud_security_group', 'machines');
    return only(resources, 'alicloud_instance', 'machine')
      .filter(({ values }) => !z.array(z.unknown()).parse(values['security_groups']).includes(group?.values['id']))
      .map(machineOf);
  },
  longestName: `a${'9'.repeat(29)}z`,
  // The parameters of RunInstances, CreateRole, CreatePolicy and AuthorizeSecurityGroup.
  texts: {
    'alicloud_instance.host_name': /^(?!.*--)[a-z0-9][-a-z0-9]{0,62}[a-z0-9]$/,
    'alicloud_instance.instance_name': /^[a-z][-\w.:]{1,127}$/,
    'alicloud_ram_role.role_name': /^[-\w.]{1,64}$/,
    'alicloud_ram_policy.policy_name': /^[-A-Za-z0-9]{1,128}$/,
    'alicloud_ram_policy.policy_document': /^[\s\S]{1,6144}$/,
    'alicloud_security_group_rule.description': /^.{1,512}$/,
  },
  podRule: ['firewall.tf', /if rule\.to == "all" \|\| local\.own_etcd/, withoutPods],
  typo: ['machines.tf', 'internet_max_bandwidth_out', 'internet_max_bandwith_out'],
  needed: ['role.tf', 'policy_type'],
  nothing: 'alicloud_vpc.cluster.nothing',
  leftAlone: [['machines.tf', 'source_dest_check']],
  routeResources: ['alicloud_route_entry', 'alicloud_vpc_route_entry'],
};
