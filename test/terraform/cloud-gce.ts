/** The module for Google Cloud. */
import * as z from 'zod';
import { type CloudModule, machineOf, only, portOf, withoutPods } from './cloud-module.ts';

const strings = z.array(z.string());

export const gce: CloudModule = {
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
    const account = z.array(z.object({ email: z.string(), scopes: strings }));
    return only(resources, 'google_compute_instance', 'machine')
      .filter(({ values }) => account.parse(values['service_account']).length > 0)
      .map(machineOf);
  },
  openings(resources) {
    const rule = z.object({
      ...{ source_ranges: strings, target_tags: strings, direction: z.literal('INGRESS') },
      allow: z.array(z.object({ protocol: z.enum(['all', 'icmp', 'tcp', 'udp']), ports: strings.nullable() })),
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
  withoutFirewall(resources) {
    const needed = (name: string): readonly string[] => [
      'pods-machine',
      ...(name === 'controller-1' ? ['pods-etcd'] : []),
    ];
    return only(resources, 'google_compute_instance', 'machine')
      .filter((each) => !needed(machineOf(each)).every((tag) => strings.parse(each.values['tags']).includes(tag)))
      .map(machineOf);
  },
  longestName: `a${'9'.repeat(18)}z`,
  // https://cloud.google.com/compute/docs/naming-resources, https://cloud.google.com/iam/docs/service-accounts-create, …/creating-custom-roles
  texts: {
    'google_compute_network.name': /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/,
    'google_compute_subnetwork.name': /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/,
    'google_compute_firewall.name': /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/,
    'google_compute_instance.name': /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/,
    'google_service_account.account_id': /^[a-z][-a-z0-9]{4,28}[a-z0-9]$/,
    'google_project_iam_custom_role.role_id': /^[a-zA-Z0-9_.]{3,64}$/,
    'google_project_iam_custom_role.title': /^.{1,100}$/,
  },
  podRule: ['firewall.tf', /if rule\.to == "all" \|\| local\.own_etcd/, withoutPods],
  typo: ['network.tf', 'ip_cidr_range', 'ip_cidr_rnge'],
  needed: ['role.tf', 'account_id'],
  nothing: 'google_compute_network.cluster.nothing',
  leftAlone: [],
  routeResources: ['google_compute_route'],
};
