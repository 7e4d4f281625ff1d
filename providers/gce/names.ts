/** How things of Compute Engine are named here, and how our routes are. Pure. */
import { createHash } from 'node:crypto';
import { type Cidr, type Family, formatCidr } from '../../src/core/ip.ts';
import type { RouteTarget } from '../provider.ts';

/** An instance, by what names it in the API. */
export interface InstanceName {
  readonly zone: string;
  readonly name: string;
}

/** A network, by what names it in the API. A route table's id is the same text. */
export interface NetworkName {
  readonly project: string;
  readonly name: string;
}

/** `ZONE/NAME`: unique in a project, and the end of Kubernetes' providerID. */
export function instanceId({ zone, name }: InstanceName): string {
  return `${zone}/${name}`;
}

/** Undefined when the text is no instance's id. */
export function parseInstanceId(id: string): InstanceName | undefined {
  const [, zone, name] = /^([a-z][-a-z0-9]{0,62})\/([a-z][-a-z0-9]{0,62})$/.exec(id) ?? [];
  return zone !== undefined && name !== undefined ? { zone, name } : undefined;
}

/** `PROJECT/NETWORK`. */
export function networkId({ project, name }: NetworkName): string {
  return `${project}/${name}`;
}

/** Undefined when the text is no network's id. */
export function parseNetworkId(id: string): NetworkName | undefined {
  const [, project, name] = /^([^/\s]{1,100})\/([a-z][-a-z0-9]{0,62})$/.exec(id) ?? [];
  return project !== undefined && name !== undefined ? { project, name } : undefined;
}

/** Links are compared by what they name: the host and the version in them vary. */
export function networkOfLink(link: string): NetworkName | undefined {
  const [, project, name] = /(?:^|\/)projects\/([^/]+)\/(?:global\/)?networks\/([^/]+)$/.exec(link) ?? [];
  return project !== undefined && name !== undefined ? { project, name } : undefined;
}

/** The project and the id of the instance that a link names. */
export function instanceOfLink(link: string): { readonly project: string; readonly id: string } | undefined {
  const [, project, zone, name] = /(?:^|\/)projects\/([^/]+)\/zones\/([^/]+)\/instances\/([^/]+)$/.exec(link) ?? [];
  if (project === undefined || zone === undefined || name === undefined) return undefined;
  return { project, id: instanceId({ zone, name }) };
}

/** `REGION/SUBNETWORK` of a link. */
export function subnetOfLink(link: string): string | undefined {
  const [, region, name] = /(?:^|\/)regions\/([^/]+)\/subnetworks\/([^/]+)$/.exec(link) ?? [];
  return region !== undefined && name !== undefined ? `${region}/${name}` : undefined;
}

/** A zone's region: its name without the letter. */
export function regionOfZone(zone: string): string | undefined {
  return /^([a-z0-9-]+)-[a-z]$/.exec(zone)?.[1];
}

/** What every route of ours is called by first. */
const prefix = 'flannel-vpc-';

/** What our marks say of whose a route is: the VPC network and the pod network. */
export interface Owner {
  readonly tableId: string;
  /** Pod networks of the cluster; empty where nobody said. */
  readonly networks: readonly Cidr[];
}

/** The pod networks of that family, or that nobody said. Two clusters of one VPC network never share any. */
function podNetwork({ networks }: Owner, family: Family): string {
  const own = networks.filter((network) => network.family === family).map(formatCidr);
  return own.length === 0 ? 'unknown' : own.join(' ');
}

/** A route's `description`: free text to Google, and half of our mark. */
export function ownerMark(owner: Owner, family: Family): string {
  return `managed by flannel-vpc; network=${podNetwork(owner, family)}`;
}

/** What the names of the owner's routes begin with: no two clusters, VPC networks or families have the same. */
function namePrefix(owner: Owner, family: Family): string {
  return `${prefix}${hash(8, owner.tableId, podNetwork(owner, family), String(family))}-`;
}

/**
 * The name of the route, 1 to 63 of `[a-z0-9-]`, unique in the project. The same for the same route only: destination, next hop and
 * priority are in the hash at its end, so that the old and the new route of a move never collide.
 */
export function routeName(owner: Owner, destination: Cidr, target: RouteTarget, priority: number): string {
  const text = formatCidr(destination);
  const end = `-${hash(10, text, target.kind, target.id, String(priority))}`;
  const start = namePrefix(owner, destination.family);
  const middle = text
    .replace(/[^0-9a-f]+/g, '-')
    .slice(0, 63 - start.length - end.length)
    .replace(/^-|-$/g, '');
  return `${start}${middle}${end}`;
}

/** True when name and description both say that the owner's flannel-vpc wrote the route. Either alone can be anybody's. */
export function isMarked(
  owner: Owner,
  family: Family,
  route: { readonly name: string; readonly description?: string | undefined },
): boolean {
  return route.name.startsWith(namePrefix(owner, family)) && route.description === ownerMark(owner, family);
}

function hash(length: number, ...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, length);
}
