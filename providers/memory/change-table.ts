/** What a change makes of a memory cloud's table: its rules for what may stand beside what. Pure, but for the names it gives routes. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, cidrContains, formatCidr, formatIp, sameCidr } from '../../src/core/ip.ts';
import type { NextHop, ProviderCapabilities, RouteChange, RouteTarget } from '../provider.ts';
import type { Nic, StoredRoute, Table, World } from './world.ts';

/** What routes of a cloud point at: the NIC (AWS), the instance (GCE, Alibaba) or one of the machine's addresses (Azure). */
export type TargetKind = 'nic' | 'instance' | 'address';

/** What decides how a table changes. */
export interface TableRules {
  readonly world: World;
  readonly capabilities: ProviderCapabilities;
  readonly targets: TargetKind;
  /** Whether what a change expects is a condition. On AWS it is none: the key is table and destination. */
  readonly compares: boolean;
}

/** The two preferences that a move takes in turn, so that neither half of it splits packets. The first where nothing stands beside. */
const preferences = [1000, 990] as const;

/**
 * The table's routes once the change is made; undefined when there is nothing to do.
 *
 * @throws CONFLICT where another one stands than was expected, or none; INVALID, NOT_FOUND and QUOTA_EXCEEDED.
 */
export function routesAfter(rules: TableRules, table: Table, change: RouteChange): readonly StoredRoute[] | undefined {
  const { capabilities } = rules;
  const { destination } = change;
  const written = table.routes.filter(
    (route) => route.origin === 'static' && route.destination && sameCidr(route.destination, destination),
  );
  if (change.action === 'delete') return routesAfterDelete(rules, table, change, written);
  checkDestination(rules, table, destination);
  const target = targetOf(rules, change.nextHop, destination);
  const route: StoredRoute = {
    destination,
    destinationText: formatCidr(destination),
    target,
    state: undefined,
    origin: 'static',
    ...(capabilities.marksRoutes ? { marked: true } : {}),
  };
  if (change.action === 'create') return routesAfterCreate(rules, table, route, written);
  if (!capabilities.replacesInPlace) {
    throw new FlannelVpcError('INVALID', 'this cloud does not replace routes', { details: detailsOf(table, change) });
  }
  const replaced = written.find((other) => isMeant(rules, change, other));
  if (!replaced) throw conflict(`there is no such route ${route.destinationText} in ${table.id}`, table, change);
  const named = replaced.handle === undefined ? {} : { handle: replaced.handle };
  return table.routes.map((other) => (other === replaced ? { ...route, ...named } : other));
}

function routesAfterCreate(
  { capabilities }: TableRules,
  table: Table,
  route: StoredRoute,
  written: readonly StoredRoute[],
): readonly StoredRoute[] {
  const { coexistingRoutes } = capabilities;
  const clash = coexistingRoutes ? written.find(({ target }) => target.id === route.target.id) : written[0];
  const { destinationText } = route;
  if (clash) {
    throw new FlannelVpcError('CONFLICT', `the route ${destinationText} already exists in ${table.id}`, {
      details: { tableId: table.id, destination: destinationText },
    });
  }
  checkQuota(capabilities, table, route);
  if (!coexistingRoutes) return [...table.routes, route];
  // What stands decides, and not what the caller has seen: two of one preference would split the packets.
  const preference = preferences.find((one) => written.every((other) => other.preference !== one)) ?? 980;
  return [...table.routes, { ...route, preference, handle: `route ${destinationText} ${preference}` }];
}

function routesAfterDelete(
  rules: TableRules,
  table: Table,
  change: RouteChange & { readonly action: 'delete' },
  written: readonly StoredRoute[],
): readonly StoredRoute[] | undefined {
  const doomed = written.filter((route) => isMeant(rules, change, route));
  // Beside each other, what is gone says nothing of what else stands.
  if (doomed.length === 0 && (written.length === 0 || rules.capabilities.coexistingRoutes)) return undefined;
  if (doomed.length === 0) {
    throw conflict(`${formatCidr(change.destination)} leads elsewhere in ${table.id} by now`, table, change);
  }
  return table.routes.filter((route) => !doomed.includes(route));
}

/** True for the route that the change is about: by its name where routes have one, and only while it leads where it was seen to lead. */
function isMeant(
  { capabilities: { coexistingRoutes }, compares }: TableRules,
  { expected, handle }: RouteChange & { readonly action: 'replace' | 'delete' },
  route: StoredRoute,
): boolean {
  if (coexistingRoutes && handle !== undefined && route.handle !== handle) return false;
  return route.target.id === expected.id || !(compares || coexistingRoutes);
}

/** What a route to the next hop shows as its target. @throws NOT_FOUND for a NIC that is not there; INVALID without such an address. */
function targetOf({ world, targets }: TableRules, { nicId }: NextHop, { family }: Cidr): RouteTarget {
  const nic = existingNic(world, nicId);
  const target = targetOfNic(nic, targets, family);
  if (target) return target;
  throw new FlannelVpcError('INVALID', `the interface ${nicId} has no IPv${family} address`, { details: { nicId } });
}

/** As `targetOf`; undefined where routes lead to addresses and the NIC has none of the family. */
export function targetOfNic(nic: Nic, targets: TargetKind, family: Cidr['family']): RouteTarget | undefined {
  const { instanceId } = nic;
  if (targets === 'nic') return { kind: 'nic', id: nic.id, instanceId };
  if (targets === 'instance') return { kind: 'instance', id: instanceId, instanceId };
  const address = nic.addresses.find((one) => one.family === family);
  return address && { kind: 'address', id: formatIp(address) };
}

/** @throws NOT_FOUND. */
export function existingNic(world: World, nicId: string): Nic {
  const nic = world.nic(nicId);
  if (nic) return nic;
  throw new FlannelVpcError('NOT_FOUND', `there is no interface ${nicId}`, { details: { nicId } });
}

function checkDestination({ world, capabilities }: TableRules, table: Table, destination: Cidr): void {
  if (!capabilities.families.includes(destination.family)) {
    throw new FlannelVpcError('INVALID', `this cloud has no IPv${destination.family} routes`);
  }
  const own = world.networks.get(table.networkId)?.cidrs.find((cidr) => cidrContains(cidr, destination));
  if (own) {
    throw new FlannelVpcError(
      'INVALID',
      `the route ${formatCidr(destination)} lies inside the network's own range ${formatCidr(own)}`,
      { hint: 'choose a pod network outside every range of the VPC', details: { tableId: table.id } },
    );
  }
}

function checkQuota(capabilities: ProviderCapabilities, table: Table, route: StoredRoute): void {
  const limit = table.routeLimit ?? capabilities.defaultRouteLimit;
  const family = route.destination?.family;
  const used = table.routes.filter(
    ({ destination, origin }) => destination?.family === family && origin !== 'propagated',
  ).length;
  if (used < limit) return;
  throw new FlannelVpcError('QUOTA_EXCEEDED', `table ${table.id} is full: ${used} of ${limit} routes`, {
    hint: 'ask for a higher quota, or use a shorter subnet length',
    details: { limit, used, tableId: table.id },
  });
}

function conflict(message: string, table: Table, change: RouteChange): FlannelVpcError {
  return new FlannelVpcError('CONFLICT', message, { details: detailsOf(table, change) });
}

function detailsOf(table: Table, { destination }: Pick<RouteChange, 'destination'>): Readonly<Record<string, unknown>> {
  return { tableId: table.id, destination: formatCidr(destination) };
}
