/** Everything but routes and operations as the API shows it. */
import { formatCidr, formatIp, nthAddress } from '../../../src/core/ip.ts';
import { idOf, linkTo, networkPath, timestamp } from './names.ts';
import { instancePath } from './route-view.ts';
import type { Firewall, GceState, Instance, Network, Subnet } from './state.ts';

/** A resource in the API's words. */
export interface Shown {
  readonly name: string;
  readonly [field: string]: unknown;
}

const made = timestamp(Date.UTC(2026, 0, 1));

export function subnetPath(project: string, id: string): string {
  const [region, name] = id.split('/');
  return `projects/${project}/regions/${region}/subnetworks/${name}`;
}

const projectOf = (networkId: string): string => networkId.split('/')[0] ?? '';

export function showInstance(instance: Instance): Shown {
  const { project, id, number, status, canIpForward, nics, scopes, tags, createdAt } = instance;
  const [zone = '', name = ''] = id.split('/');
  const path = instancePath(project, id);
  return {
    kind: 'compute#instance',
    id: number,
    creationTimestamp: timestamp(createdAt),
    name,
    tags: { ...(tags.length === 0 ? {} : { items: tags }), fingerprint: '42WmSpB8rSM=' },
    machineType: linkTo(`projects/${project}/zones/${zone}/machineTypes/e2-small`),
    status,
    zone: linkTo(`projects/${project}/zones/${zone}`),
    canIpForward,
    networkInterfaces: nics.map((nic) => ({
      kind: 'compute#networkInterface',
      network: linkTo(networkPath(nic.network)),
      subnetwork: linkTo(subnetPath(projectOf(nic.network), nic.subnet)),
      networkIP: formatIp(nic.address),
      name: nic.name,
      fingerprint: 'rGKeVH0HpIc=',
      stackType: nic.address6 === undefined ? 'IPV4_ONLY' : 'IPV4_IPV6',
      ...(nic.address6 === undefined
        ? {}
        : { ipv6Address: formatIp(nic.address6), internalIpv6PrefixLength: 96, ipv6AccessType: 'INTERNAL' }),
    })),
    serviceAccounts: scopes.length === 0 ? [] : [{ email: serviceAccountOf(project), scopes }],
    selfLink: linkTo(path),
    scheduling: { onHostMaintenance: 'MIGRATE', automaticRestart: true, preemptible: false },
    cpuPlatform: 'Intel Broadwell',
    labelFingerprint: '42WmSpB8rSM=',
    startRestricted: false,
    deletionProtection: false,
    fingerprint: 'uXRvTyGWbrU=',
  };
}

export function serviceAccountOf(project: string): string {
  return `nodes@${project}.iam.gserviceaccount.com`;
}

export function showNetwork(state: GceState, { id, number, mtu, range6 }: Network): Shown {
  const [project = '', name = ''] = id.split('/');
  return {
    kind: 'compute#network',
    id: number,
    creationTimestamp: made,
    name,
    selfLink: linkTo(networkPath(id)),
    selfLinkWithId: linkTo(`projects/${project}/global/networks/${number}`),
    autoCreateSubnetworks: false,
    subnetworks: state.subnets
      .filter(({ network }) => network === id)
      .map((subnet) => linkTo(subnetPath(project, subnet.id))),
    peerings: state.peers
      .filter(({ network }) => network === id)
      .map(({ peering }) => ({
        name: peering,
        network: linkTo(`projects/another-project/global/networks/${peering}`),
        state: 'ACTIVE',
        stateDetails: '[2026-01-01T00:00:00.000-08:00]: Connected.',
        autoCreateRoutes: true,
        exchangeSubnetRoutes: true,
      })),
    routingConfig: { routingMode: 'REGIONAL' },
    mtu,
    enableUlaInternalIpv6: true,
    internalIpv6Range: range6,
    networkFirewallPolicyEnforcementOrder: 'AFTER_CLASSIC_FIREWALL',
  };
}

export function showSubnet({ id, network, cidr, cidr6, secondary }: Subnet): Shown {
  const [region = '', name = ''] = id.split('/');
  const project = projectOf(network);
  return {
    kind: 'compute#subnetwork',
    id: idOf(id),
    creationTimestamp: made,
    name,
    network: linkTo(networkPath(network)),
    ipCidrRange: formatCidr(cidr),
    gatewayAddress: formatIp(nthAddress(cidr, 1)),
    region: linkTo(`projects/${project}/regions/${region}`),
    selfLink: linkTo(subnetPath(project, id)),
    privateIpGoogleAccess: true,
    ...(secondary.length === 0
      ? {}
      : {
          secondaryIpRanges: secondary.map((range, place) => ({
            rangeName: `range-${place}`,
            ipCidrRange: formatCidr(range),
          })),
        }),
    fingerprint: 'W9oN2kNCcvA=',
    purpose: 'PRIVATE',
    stackType: 'IPV4_IPV6',
    ipv6AccessType: 'INTERNAL',
    internalIpv6Prefix: formatCidr(cidr6),
    ipv6CidrRange: formatCidr(cidr6),
  };
}

export function showFirewall({ network, disabled = false, ...rule }: Firewall): Shown {
  const { name } = rule;
  return {
    kind: 'compute#firewall',
    id: idOf(`firewall ${name}`),
    creationTimestamp: made,
    network: linkTo(networkPath(network)),
    ...rule,
    logConfig: { enable: false },
    disabled,
    selfLink: linkTo(`projects/${projectOf(network)}/global/firewalls/${name}`),
  };
}

export function showZone(state: GceState, project: string, name: string): Shown {
  return {
    kind: 'compute#zone',
    id: idOf(name),
    creationTimestamp: made,
    name,
    description: name,
    status: 'UP',
    region: linkTo(`projects/${project}/regions/${state.region}`),
    selfLink: linkTo(`projects/${project}/zones/${name}`),
    supportsPzs: false,
  };
}

/** With the quotas of the project itself. Those of each network are no part of it, in Google as here. */
export function showProject(state: GceState, project: string): object {
  const count = [...state.routes.current.values()].filter((route) => route.project === project).length;
  return {
    kind: 'compute#project',
    id: state.projects.get(project),
    creationTimestamp: made,
    name: project,
    commonInstanceMetadata: { kind: 'compute#metadata', fingerprint: 'c3RhcnQ=' },
    quotas: [
      { metric: 'NETWORKS', limit: 15, usage: state.networks.filter(({ id }) => projectOf(id) === project).length },
      { metric: 'FIREWALLS', limit: 200, usage: state.firewalls.length },
      { metric: 'ROUTES', limit: 2000, usage: count },
    ],
    selfLink: linkTo(`projects/${project}`),
    defaultServiceAccount: serviceAccountOf(project),
    xpnProjectStatus: 'UNSPECIFIED_XPN_PROJECT_STATUS',
    defaultNetworkTier: 'PREMIUM',
  };
}
