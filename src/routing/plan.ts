/**
 * The plan: what would turn the tables as they are into the tables the leases ask for. Pure and deterministic; the order of
 * leases, tables and routes in the input makes no difference.
 */

import type { RouteQuota, RouteTable } from '../../providers/provider.ts';
import { type Cidr, compareCidrs, type Family, families, formatCidr } from '../core/ip.ts';
import type { DesiredRoute } from './desired.ts';
import { type CidrKey, cidrKey, isSubnetOf } from './networks.ts';
import { planRemovals } from './plan-removals.ts';
import { planWrite, type TableVerdict } from './plan-writes.ts';
import type { HeldRoute, PlanInput, QuotaFamily, RoutePlan, TableUse } from './route-plan.ts';
import { compareText, indexRecords, indexTable, type TableIndex } from './table-index.ts';

/**
 * Plans all tables. Carrying the plan out and planning again gives no step, but for routes that were held for want of room, where
 * the plan made some.
 */
export function planRoutes(input: PlanInput): RoutePlan {
  const tables = [...input.tables].sort((a, b) => compareText(a.id, b.id));
  const use = tables.flatMap((table) => tableUse(table, input.capabilities.routeQuota));
  const { accepted, held } = acceptDesired(input, tables);
  const records = input.records && indexRecords(input.records);
  const indexes = new Map(tables.map((table) => [table, indexTable(table)]));
  const indexOf = (table: RouteTable): TableIndex => indexes.get(table) ?? indexTable(table);
  const places = tables.map((table) => ({
    table,
    standing: indexOf(table),
    records: records?.get(table.id),
    room: roomOf(table.id, use),
  }));
  const { capabilities, now } = input;
  const verdicts: Mutable<TableVerdict> = { steps: [], kept: [], held: [], conflicts: [] };
  for (const route of accepted) {
    const key = cidrKey(route.destination);
    const { family } = route.destination;
    for (const { table, standing, records: ofTable, room } of places) {
      const verdict = planWrite({
        table,
        route,
        standing: standing.get(key) ?? [],
        record: ofTable?.get(key),
        room: room.left(family),
        capabilities,
        now,
      });
      verdicts.steps.push(...verdict.steps);
      verdicts.kept.push(...verdict.kept);
      verdicts.held.push(...verdict.held);
      verdicts.conflicts.push(...verdict.conflicts);
      room.take(family, needed(verdict));
    }
  }
  const removals = planRemovals({ ...input, tables }, records, indexOf);
  return {
    steps: [...verdicts.steps, ...[...removals.steps].sort(byPlace)],
    kept: verdicts.kept,
    held: [...held, ...verdicts.held, ...[...removals.held].sort(byPlace)],
    conflicts: verdicts.conflicts,
    foreign: [...removals.foreign].sort(byPlace),
    use,
  };
}

type Mutable<Verdict> = {
  -readonly [Part in keyof Verdict]: Verdict[Part] extends readonly (infer Item)[] ? Item[] : never;
};

/** Routes that may still be added to a table. */
interface Room {
  /** Without end where the cloud does not tell. */
  left(family: Family): number;
  take(family: Family, routes: number): void;
}

function roomOf(tableId: string, uses: readonly TableUse[]): Room {
  const room = new Map<QuotaFamily, number>();
  for (const use of uses)
    if (use.tableId === tableId && use.limit !== undefined) room.set(use.family, use.limit - use.used);
  const key = (family: Family): QuotaFamily => (room.has('both') ? 'both' : family);
  return {
    left: (family) => room.get(key(family)) ?? Number.POSITIVE_INFINITY,
    take(family, routes) {
      const left = room.get(key(family));
      if (left !== undefined) room.set(key(family), left - routes);
    },
  };
}

interface Place {
  readonly tableId: string;
  readonly destination: Cidr;
}

function byPlace(a: Place, b: Place): number {
  return compareCidrs(a.destination, b.destination) || compareText(a.tableId, b.tableId);
}

/** Desired routes by age and address; those that must never be written, or that two holders want, are held. */
function acceptDesired(
  input: PlanInput,
  tables: readonly RouteTable[],
): { readonly accepted: readonly DesiredRoute[]; readonly held: readonly HeldRoute[] } {
  const holders = new Map<CidrKey, Set<string>>();
  for (const route of input.desired) {
    const key = cidrKey(route.destination);
    holders.set(key, (holders.get(key) ?? new Set()).add(`${route.holder} ${route.nextHop.nicId}`));
  }
  const accepted: DesiredRoute[] = [];
  const held: HeldRoute[] = [];
  const seen = new Set<CidrKey>();
  const ordered = [...input.desired].sort(
    (a, b) =>
      (a.since ?? 0) - (b.since ?? 0) ||
      compareCidrs(a.destination, b.destination) ||
      compareText(a.holder, b.holder) ||
      compareText(a.nextHop.nicId, b.nextHop.nicId),
  );
  for (const route of ordered) {
    const key = cidrKey(route.destination);
    if (seen.has(key)) continue;
    seen.add(key);
    const obstacle = obstacleTo(input, route, holders.get(key) ?? new Set());
    if (!obstacle) accepted.push(route);
    else
      held.push(
        ...tables.map(({ id }) => ({
          tableId: id,
          destination: route.destination,
          action: 'write' as const,
          ...obstacle,
        })),
      );
  }
  return { accepted, held };
}

function obstacleTo(
  input: PlanInput,
  route: DesiredRoute,
  holders: ReadonlySet<string>,
): Pick<HeldRoute, 'code' | 'reason'> | undefined {
  if (!isSubnetOf(input.networks, route.destination)) {
    return {
      code: 'outside-network',
      reason: `${formatCidr(route.destination)} is no subnet of the configured networks`,
    };
  }
  if (holders.size < 2) return undefined;
  return { code: 'contested', reason: `wanted by ${[...holders].sort().join(' and ')}` };
}

/** Counts what counts against a table's limit. Destinations that are no CIDR count as IPv4, to be careful. */
function tableUse(
  { id: tableId, routes, routeLimit: limit }: RouteTable,
  quota: RouteQuota = 'each-family',
): readonly TableUse[] {
  if (quota === 'static')
    return [{ tableId, family: 'both', used: routes.filter(({ origin }) => origin === 'static').length, limit }];
  return families.map((family) => ({
    ...{ tableId, family, limit },
    used: routes.filter((entry) => entry.origin !== 'propagated' && (entry.destination?.family ?? 4) === family).length,
  }));
}

/** True when a route of the family counts in this use. */
export function countsIn({ family }: Pick<TableUse, 'family'>, ofRoute: Family): boolean {
  return family === 'both' || family === ofRoute;
}

/**
 * Room a verdict takes while it is carried out. What it frees shows in the next plan: steps of different routes go side by side, and
 * the withdrawal may be the last.
 */
function needed({ steps }: TableVerdict): number {
  return steps[0]?.action === 'create' ? 1 : 0;
}
