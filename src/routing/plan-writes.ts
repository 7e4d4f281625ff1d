/** What one desired route asks of one table. Pure. */

import { type OwnershipRecord, removalUnderWay, type StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { NextHop, ProviderCapabilities, RouteEntry, RouteTable, RouteTarget } from '../../providers/provider.ts';
import { type Family, formatCidr, formatIp } from '../core/ip.ts';
import type { DesiredRoute } from './desired.ts';
import type { HeldRoute, KeptRoute, OthersRoute, WriteStep } from './route-plan.ts';

export interface TableVerdict {
  readonly steps: readonly WriteStep[];
  readonly kept: readonly KeptRoute[];
  readonly held: readonly HeldRoute[];
  readonly conflicts: readonly OthersRoute[];
}

export interface TableQuestion {
  readonly table: RouteTable;
  readonly route: DesiredRoute;
  /** What stands in the table for exactly this destination. */
  readonly standing: readonly RouteEntry[];
  readonly record: StoredOwnershipRecord | undefined;
  /** Routes that may still be added; Infinity where the cloud does not tell. */
  readonly room: number;
  readonly capabilities: Pick<ProviderCapabilities, 'replacesInPlace' | 'coexistingRoutes' | 'spareRoutes'>;
  readonly now: number;
}

const nothing: TableVerdict = { steps: [], kept: [], held: [], conflicts: [] };

/** Decides one route in one table: leave, create, replace, move, or say why not. */
export function planWrite(question: TableQuestion): TableVerdict {
  const { table, route, standing, record } = question;
  const base = { tableId: table.id, destination: route.destination };
  const blocking = standing.filter((entry) => entry.origin !== 'static' || !isMachine(entry.target));
  if (blocking.length > 0) {
    return {
      ...nothing,
      conflicts: blocking.map((entry) => ({ ...base, target: entry.target, reason: blockedReason(route, entry) })),
    };
  }
  const right = standing.filter((entry) => leadsTo(entry.target, route.nextHop));
  const wrong = standing.filter((entry) => !leadsTo(entry.target, route.nextHop));
  // A route that stands as it should is not safe either: the deletion may be on its way.
  if (record && isBeingRemoved(record, question.now)) {
    return hold(question, 'being-removed', `it is just being removed by somebody, until ${record.removingUntil}`);
  }
  if (right[0] && wrong.length === 0) {
    if (right.some(({ state }) => state === 'active')) return { ...nothing, kept: [{ tableId: table.id, route }] };
    return hold(
      question,
      'not-active',
      `the route leads to ${targetName(right[0].target)} and the cloud does not forward by it (${right[0].state})`,
    );
  }
  const write = { ...base, nextHop: route.nextHop, holder: route.holder };
  if (right.length === 0 && wrong.length === 0) {
    const { spareRoutes = 0 } = question.capabilities;
    if (question.room <= spareRoutes) {
      const spare = spareRoutes > 0 ? `, ${spareRoutes} of them kept free for moves` : '';
      return hold(question, 'quota', `the table is full: ${table.routeLimit} routes${spare}`);
    }
    return {
      ...nothing,
      steps: [{ ...write, action: 'create', reason: `no route leads to the lease of ${route.holder}` }],
    };
  }
  return { ...nothing, steps: moveSteps(question, write, right.length > 0, wrong) };
}

/** Takes wrong next hops out of the way: in place, or add before delete, or at worst delete before add. */
function moveSteps(
  { route, room, capabilities }: TableQuestion,
  write: Pick<WriteStep, 'tableId' | 'destination' | 'nextHop' | 'holder'>,
  rightStands: boolean,
  wrong: readonly RouteEntry[],
): readonly WriteStep[] {
  const [first] = wrong;
  const from = wrong.map((entry) => `${targetName(entry.target)} (${entry.state})`).join(', ');
  const reason = `it leads to ${from}, and the lease is held by ${route.holder}: ${route.nextHop.nicId}`;
  if (capabilities.replacesInPlace && first && !rightStands && wrong.length === 1) {
    return [{ ...write, action: 'replace', expected: first.target, ...handleOf(first), reason }];
  }
  const withdrawals = wrong.map((entry) => ({
    ...{ ...write, action: 'withdraw' as const, expected: entry.target, reason },
    ...handleOf(entry),
  }));
  if (rightStands) return withdrawals;
  const creation = { ...write, action: 'create' as const, reason };
  if (capabilities.coexistingRoutes && room > 0) {
    const beside = wrong.map(({ target, handle, preference }) => ({ target, handle, preference }));
    return [{ ...creation, beside }, ...withdrawals];
  }
  const why = capabilities.coexistingRoutes ? 'the table is full' : 'this cloud can’t replace a route';
  const withGap = { reason: `${reason}; for a moment no route stands, since ${why}` };
  return [...withdrawals, creation].map((step) => ({ ...step, ...withGap }));
}

/** True when the record says that a route with this target is ours. */
export function isRecorded(
  { target, replaces }: Pick<OwnershipRecord, 'target' | 'replaces'>,
  { id, instanceId }: RouteTarget,
): boolean {
  return [target, replaces].some((name) => name !== undefined && (name === id || name === instanceId));
}

/** True when the record of this destination makes the route ours. */
export function isOurs({ target, origin }: RouteEntry, record: Pick<OwnershipRecord, 'target' | 'replaces'>): boolean {
  return origin === 'static' && isRecorded(record, target);
}

/** True while somebody's attempt to take the route out may still reach the cloud. */
export function isBeingRemoved(record: StoredOwnershipRecord, now: number): boolean {
  return removalUnderWay(record, now) !== undefined;
}

/** True for the kinds of target this program writes, and so may replace. */
export function isMachine({ kind }: RouteTarget): boolean {
  return kind === 'nic' || kind === 'instance' || kind === 'address';
}

/** What a route of ours to the next hop shows as its target, and so what records of ours say. */
export function targetIdOf(nextHop: NextHop, family: Family): string {
  return nextHop.target?.[family]?.id ?? nextHop.nicId;
}

/** What a change of the entry must name besides its target. */
export function handleOf({ handle }: Pick<RouteEntry, 'handle'>): { readonly handle?: string } {
  return handle === undefined ? {} : { handle };
}

/** True when a route with this target leads to the next hop. */
export function leadsTo(target: RouteTarget, nextHop: NextHop): boolean {
  if (target.kind === 'nic') return target.id === nextHop.nicId;
  if (target.kind === 'address') return nextHop.addresses?.some((address) => formatIp(address) === target.id) ?? false;
  return target.kind === 'instance' && nextHop.instanceId !== undefined && target.id === nextHop.instanceId;
}

/** A target for people: its id, and the instance behind a NIC. */
export function targetName(target: RouteTarget): string {
  const instance = target.instanceId !== undefined && target.instanceId !== target.id ? ` of ${target.instanceId}` : '';
  return `${target.id}${instance}`;
}

function blockedReason(route: DesiredRoute, entry: RouteEntry): string {
  const what = entry.origin === 'static' ? `a ${entry.target.kind} route` : `a ${entry.origin} route`;
  return `${what} to ${targetName(entry.target)} stands for ${formatCidr(route.destination)}, and this program never touches those`;
}

function hold({ table, route }: TableQuestion, code: HeldRoute['code'], reason: string): TableVerdict {
  return { ...nothing, held: [{ tableId: table.id, destination: route.destination, action: 'write', code, reason }] };
}
