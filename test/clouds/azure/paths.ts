/** ARM's URLs: which resource, of which type, and in which API version it is to be asked for. Pure. */
import { refusals } from './errors.ts';
import { formatId, type ResourceId } from './ids.ts';

/** What @azure/arm-network 39.0.0 sends, and so what is taken. */
const networkVersions = ['2026-01-01'];
/** The NICs of scale sets: Microsoft.Network answers for them, in versions of its own. */
const scaleSetNicVersions = ['2018-10-01'];
const computeVersions = [
  ...['2022-03-01', '2022-08-01', '2022-11-01', '2023-03-01', '2023-07-01', '2023-09-01'],
  ...['2024-03-01', '2024-07-01', '2024-11-01', '2025-04-01'],
];
const authorizationVersions = ['2015-07-01', '2018-07-01', '2022-04-01'];

/** Every type that is answered for, in its published letter case. */
const types: Readonly<Record<string, readonly string[]>> = {
  'Microsoft.Network/routeTables': networkVersions,
  'Microsoft.Network/routeTables/routes': networkVersions,
  'Microsoft.Network/networkInterfaces': networkVersions,
  'Microsoft.Network/networkInterfaces/effectiveRouteTable': networkVersions,
  'Microsoft.Network/networkSecurityGroups': networkVersions,
  'Microsoft.Network/virtualNetworks': networkVersions,
  'Microsoft.Network/virtualNetworks/subnets': networkVersions,
  'Microsoft.Network/locations/operations': [...networkVersions, ...scaleSetNicVersions],
  'Microsoft.Network/locations/operationResults': [...networkVersions, ...scaleSetNicVersions],
  'Microsoft.Compute/virtualMachines': computeVersions,
  'Microsoft.Compute/virtualMachines/instanceView': computeVersions,
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines': computeVersions,
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/instanceView': computeVersions,
  'Microsoft.Compute/virtualMachineScaleSets/networkInterfaces': scaleSetNicVersions,
  'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces': scaleSetNicVersions,
  'Microsoft.Authorization/permissions': authorizationVersions,
};

const published = new Map(Object.keys(types).map((type) => [type.toLowerCase(), type]));

export interface Target {
  readonly subscription: string;
  /** Undefined where a whole subscription is asked. */
  readonly group: string | undefined;
  /** In its published letter case, such as `Microsoft.Network/routeTables/routes`. */
  readonly type: string;
  /** One for each part of the type; one less where a list, or an action, is asked for. */
  readonly names: readonly string[];
  /** The resource's long id as asked for, or what holds the list: what a right is needed over. */
  readonly scope: string;
}

/** @throws Refusal 404 a path of nothing we know */
export function parseTarget(pathname: string): Target {
  const segments = pathname.split('/').slice(1).map(decoded);
  const [first, subscription = '', ...rest] = segments;
  if (first?.toLowerCase() !== 'subscriptions' || subscription === '') throw refusals.badPath(pathname);
  const inGroup = rest[0]?.toLowerCase() === 'resourcegroups';
  const group = inGroup ? rest[1] : undefined;
  const tail = inGroup ? rest.slice(2) : rest;
  const last = tail.map((segment) => segment.toLowerCase()).lastIndexOf('providers');
  const [, namespace = '', ...pairs] = tail.slice(last);
  if (last < 0 || namespace === '' || pairs.length === 0 || pairs.includes('')) throw refusals.badPath(pathname);
  const typeNames = pairs.filter((_, index) => index % 2 === 0);
  const names = pairs.filter((_, index) => index % 2 === 1);
  const asked = [namespace, ...typeNames].join('/');
  const type = published.get(asked.toLowerCase());
  if (type === undefined) throw refusals.unknownType(typeNames.join('/'), namespace);
  const holder = pathname.split('/').slice(0, pathname.split('/').length - (names.length < typeNames.length ? 1 : 0));
  const scope = type.startsWith('Microsoft.Authorization/')
    ? `/${segments.slice(0, segments.length - tail.length + last).join('/')}`
    : pairs.length === 1
      ? `/subscriptions/${subscription}${group === undefined ? '' : `/resourceGroups/${group}`}`
      : holder.map(decoded).join('/');
  return { subscription, group, type, names, scope };
}

/** @throws Refusal 400 */
export function checkApiVersion(type: string, version: string | null, location: string): void {
  if (version === null || version === '') throw refusals.noApiVersion();
  const supported = types[type] ?? [];
  if (supported.includes(version)) return;
  const [, ...parts] = type.split('/');
  throw refusals.badApiVersion(parts.join('/'), version, supported, location);
}

/** The long id of a target in its published letter case. */
export function targetId({ subscription, group = '', type, names }: Target): string {
  const [namespace = '', ...parts] = type.split('/');
  const id: ResourceId = { subscription, group, namespace, types: parts, names };
  return formatId(id);
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw refusals.badPath(segment);
  }
}
