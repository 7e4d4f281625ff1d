/** What a change means for the routes of a table, as they were just read. Pure. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, formatCidr, parseCidr } from '../../src/core/ip.ts';
import type { NextHop, RouteChange, RouteTarget } from '../provider.ts';
import type { RawObject } from './raw-json.ts';
import { isSettled, machineHop, type Route, type RouteNames, routeShape, routeTarget } from './routes.ts';

/** What is to be done to a table. */
export type Edit =
  /** The table is as wanted. */
  | { readonly kind: 'none' }
  /** `route`: in whole, to stand at `at`, or at the end when absent. `etag`: of the route in its place, if Azure told one. */
  | {
      readonly kind: 'put';
      readonly name: string;
      readonly route: RawObject;
      readonly at?: number | undefined;
      readonly etag?: string | undefined;
    }
  | { readonly kind: 'remove'; readonly name: string; readonly at: number; readonly etag: string | undefined };

export interface EditOptions {
  readonly names: RouteNames;
  /** This change was made by an operation of ours that has ended: what it made is no conflict. */
  readonly made: boolean;
}

/** @throws CONFLICT when what stands is not what the change expects; INVALID when the next hop has no address of the family. */
export function editFor(routes: readonly RawObject[], change: RouteChange, { names, made }: EditOptions): Edit {
  const at = indexOf(routes, change);
  const raw = at === undefined ? undefined : routes[at];
  const standing = raw && routeShape.parse(raw);
  const target = standing && routeTarget(standing.properties);
  if (change.action === 'delete') {
    if (!standing || at === undefined) return { kind: 'none' };
    if (!sameTarget(target, change.expected)) throw conflict(change, `leads to ${target?.id ?? ''}`);
    return { kind: 'remove', name: standing.name, at, etag: standing.etag };
  }
  const address = addressFor(change.nextHop, change.destination);
  if (made && target?.kind === 'address' && target.id === address) return { kind: 'none' };
  if (change.action === 'create') {
    if (standing) throw conflict(change, `exists already, as ${standing.name}, and leads to ${target?.id ?? ''}`);
    const name = names.nameFor(change.destination);
    if (routes.some((route) => nameOf(route) === name)) throw conflict(change, `has its name ${name} taken`);
    return { kind: 'put', name, route: newRoute(name, change.destination, address) };
  }
  if (!standing || !raw) throw conflict(change, 'does not exist');
  if (!sameTarget(target, change.expected)) throw conflict(change, `leads to ${target?.id ?? ''}`);
  return { kind: 'put', name: standing.name, route: withNextHop(raw, address), at, etag: standing.etag };
}

/** The routes after an edit; the others as they are, in their order. */
export function edited(routes: readonly RawObject[], edit: Edit): readonly RawObject[] {
  if (edit.kind === 'none') return routes;
  if (edit.kind === 'remove') return routes.toSpliced(edit.at, 1);
  return edit.at === undefined ? [...routes, edit.route] : routes.with(edit.at, edit.route);
}

/** Whether a route, as it stands now, is what the edit wanted; undefined is one that is not there. */
export function isAsWanted(standing: Route | undefined, edit: Edit): boolean {
  if (edit.kind === 'none') return true;
  if (edit.kind === 'remove') return standing === undefined;
  const wanted = routeShape.safeParse(edit.route).data;
  if (!standing || !wanted || !isSettled(standing)) return false;
  return sameTarget(routeTarget(standing.properties), routeTarget(wanted.properties));
}

/** The name by which Azure finds a route, which it compares without regard to case. */
export function nameOf(route: RawObject): string {
  return String(route['name']).toLowerCase();
}

/** The machine's address that a route to the next hop has. @throws INVALID when it has none of the family. */
export function addressFor(nextHop: NextHop, { family }: Cidr): string {
  const target = nextHop.target?.[family];
  if (target?.kind === 'address') return target.id;
  throw new FlannelVpcError('INVALID', `${nextHop.nicId} has no IPv${family} address to route to`, {
    hint:
      family === 6
        ? 'give the node’s network interface an IPv6 configuration, and its subnet an IPv6 range'
        : 'see the network interface’s IP configurations',
    details: { nicId: nextHop.nicId },
  });
}

/** Where the route of a change stands: by its name where that is known, if it still has that destination; else by its destination. */
function indexOf(routes: readonly RawObject[], change: RouteChange): number | undefined {
  const text = formatCidr(change.destination);
  const handle = change.action === 'create' ? undefined : change.handle?.toLowerCase();
  const found = routes.flatMap((route, at) => (destinationOf(route) === text ? [at] : []));
  const byName = found.find((at) => handle !== undefined && nameOf(routes[at] ?? {}) === handle);
  return byName ?? found[0];
}

function destinationOf(route: RawObject): string | undefined {
  const parsed = routeShape.safeParse(route).data;
  const cidr = parsed && parseCidr(parsed.properties.addressPrefix);
  return cidr && formatCidr(cidr);
}

function newRoute(name: string, destination: Cidr, address: string): RawObject {
  return {
    name,
    properties: { addressPrefix: formatCidr(destination), nextHopType: machineHop, nextHopIpAddress: address },
  };
}

/** The same route, but for where it leads. */
function withNextHop(route: RawObject, address: string): RawObject {
  const properties = route['properties'] as RawObject;
  return { ...route, properties: { ...properties, nextHopType: machineHop, nextHopIpAddress: address } };
}

function sameTarget(a: RouteTarget | undefined, b: RouteTarget): boolean {
  return a?.kind === b.kind && a.id === b.id;
}

function conflict({ tableId, destination }: RouteChange, what: string): FlannelVpcError {
  const text = formatCidr(destination);
  return new FlannelVpcError('CONFLICT', `the route ${text} of ${tableId} ${what}`, {
    hint: 'what stands was changed by somebody else; it is read again',
    details: { tableId, destination: text },
  });
}
