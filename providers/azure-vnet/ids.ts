/**
 * Ids of resources, in ARM's form and in ours. ARM's differ in case from answer to answer, so ours are lower case; and short, since
 * leases and messages carry them: `SUBSCRIPTION/GROUP/NAME`, with a parent's name before its child's. Pure.
 */

interface Kind {
  /** Namespace of the resource provider. */
  readonly provider: string;
  /** Types from the outermost in, as Azure spells them; an id has a name after each. */
  readonly types: readonly string[];
}

const compute = 'Microsoft.Compute';
const network = 'Microsoft.Network';
const memberTypes = ['virtualMachineScaleSets', 'virtualMachines'] as const;

/** The kinds of resources that are read or written. */
export const kinds = {
  machine: { provider: compute, types: ['virtualMachines'] },
  /** An instance of a scale set in uniform mode. */
  member: { provider: compute, types: memberTypes },
  nic: { provider: network, types: ['networkInterfaces'] },
  /** A NIC of a member, which no list of NICs has. */
  memberNic: { provider: compute, types: [...memberTypes, 'networkInterfaces'] },
  scaleSet: { provider: compute, types: ['virtualMachineScaleSets'] },
  network: { provider: network, types: ['virtualNetworks'] },
  subnet: { provider: network, types: ['virtualNetworks', 'subnets'] },
  table: { provider: network, types: ['routeTables'] },
  firewall: { provider: network, types: ['networkSecurityGroups'] },
} as const satisfies Readonly<Record<string, Kind>>;

/** Our form of one of ARM's ids; undefined when it is none of that kind. */
export function shortId(armId: string | undefined, kind: Kind): string | undefined {
  const [empty, subscriptions, subscription, groups, group, providers, provider, ...rest] = (armId ?? '')
    .toLowerCase()
    .split('/');
  const framed = empty === '' && subscriptions === 'subscriptions' && groups === 'resourcegroups';
  if (!framed || !subscription || !group || providers !== 'providers') return undefined;
  if (provider !== kind.provider.toLowerCase() || rest.length !== kind.types.length * 2) return undefined;
  const names: string[] = [];
  for (const [index, type] of kind.types.entries()) {
    const name = rest[index * 2 + 1];
    if (rest[index * 2] !== type.toLowerCase() || !name) return undefined;
    names.push(name);
  }
  return [subscription, group, ...names].join('/');
}

/** ARM's path of one of our ids; undefined when it has not as many parts as that kind has. */
export function armPath(id: string, kind: Kind): string | undefined {
  const parts = id.split('/');
  if (parts.length !== kind.types.length + 2 || parts.some((part) => !part || part === '.' || part === '..')) {
    return undefined;
  }
  const [subscription = '', group = '', ...names] = parts.map(encodeURIComponent);
  const tail = kind.types.map((type, index) => `${type}/${names[index]}`).join('/');
  return `/subscriptions/${subscription}/resourceGroups/${group}/providers/${kind.provider}/${tail}`;
}

/** The first part of any of our ids. */
export function subscriptionOf(id: string): string | undefined {
  return id.split('/', 1)[0] || undefined;
}

/** The id of the network that a subnet's id is of. */
export function networkOf(subnetId: string): string {
  return subnetId.split('/').slice(0, 3).join('/');
}

/** Whether an id is one of a scale set's instances. */
export function isMember(instanceId: string): boolean {
  return instanceId.split('/').length === 4;
}
