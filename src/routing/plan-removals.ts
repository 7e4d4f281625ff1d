/** Which routes of ours have outlived their lease, and which of them may go now. Pure. */

import type { StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { RouteEntry, RouteTable } from '../../providers/provider.ts';
import { cidrsOverlap, formatCidr } from '../core/ip.ts';
import { cidrKey, insideNetworks } from './networks.ts';
import { isMachine, targetName } from './plan-writes.ts';
import type { HeldRoute, HoldCode, OthersRoute, PlanInput, RemovalStep } from './route-plan.ts';

export interface RemovalVerdict {
  readonly steps: readonly RemovalStep[];
  readonly held: readonly HeldRoute[];
  readonly foreign: readonly OthersRoute[];
}

/** A route of the table that no lease asks for. */
export interface Leftover {
  readonly table: RouteTable;
  readonly entry: RouteEntry;
}

/** Routes inside the networks that nobody desires: the only ones removal is ever about. */
export function leftovers(input: Pick<PlanInput, 'networks' | 'tables' | 'desired'>): readonly Leftover[] {
  const wanted = new Set(input.desired.map((route) => cidrKey(route.destination)));
  return input.tables.flatMap((table) =>
    table.routes
      .filter(
        ({ destination }) =>
          destination && insideNetworks(input.networks, destination) && !wanted.has(cidrKey(destination)),
      )
      .map((entry) => ({ table, entry })),
  );
}

/**
 * True for a leftover that this writer would remove if it proved to be ours: the cluster's one writer any, an agent only a
 * blackhole, or its own former route.
 */
export function isCandidate(scope: PlanInput['scope'], { entry }: Leftover): boolean {
  if (entry.origin !== 'static' || !isMachine(entry.target)) return false;
  if (scope.kind === 'all' || entry.state === 'blackhole') return true;
  const { targets } = scope.identity;
  return (
    targets.includes(entry.target.id) ||
    (entry.target.instanceId !== undefined && targets.includes(entry.target.instanceId))
  );
}

/** Plans removals; with records unread (`undefined`) nothing is ours, and so nothing goes. */
export function planRemovals(input: PlanInput): RemovalVerdict {
  const { records } = input;
  if (!records) return { steps: [], held: [], foreign: [] };
  const byRoute = new Map(records.map((record) => [routeKey(record.tableId, record.destination), record]));
  const steps: RemovalStep[] = [];
  const held: HeldRoute[] = [];
  const foreign: OthersRoute[] = [];
  for (const leftover of leftovers(input)) {
    const { table, entry } = leftover;
    const { destination, target } = entry;
    if (!destination || entry.origin === 'local') continue;
    const base = { tableId: table.id, destination };
    const record = byRoute.get(routeKey(table.id, destination));
    if (!isCandidate(input.scope, leftover)) {
      if (!record && input.scope.kind === 'all')
        foreign.push({ ...base, target, reason: 'no record says that it is ours' });
      continue;
    }
    if (!record) {
      if (entry.marked)
        held.push({
          ...base,
          action: 'delete',
          code: 'no-record',
          reason: 'marked as ours, but no record of it is left',
        });
      else foreign.push({ ...base, target, reason: 'no record says that it is ours' });
      continue;
    }
    if (record.target !== target.id && record.target !== target.instanceId) {
      foreign.push({
        ...base,
        target,
        reason: `our record says ${record.target}, but it leads to ${targetName(target)}`,
      });
      continue;
    }
    const obstacle = obstacleTo(input, record, entry);
    if (obstacle) {
      held.push({ ...base, action: 'delete', code: obstacle[0], reason: obstacle[1] });
      continue;
    }
    const reason = `its lease is gone; it led to ${targetName(target)} (${entry.state})`;
    steps.push({ ...base, action: 'delete', record, expected: target, reason });
  }
  const deletions = withoutMassDeletion(input, byRoute, steps);
  return { steps: [...deletions.steps, ...forgotten(input, records)], held: [...held, ...deletions.held], foreign };
}

/** What stands against removing a route of ours, if anything. */
function obstacleTo(
  input: PlanInput,
  record: StoredOwnershipRecord,
  entry: RouteEntry,
): readonly [HoldCode, string] | undefined {
  const { leases } = input;
  if (leases.kind === 'unknown') return ['leases-unknown', leases.reason];
  if (leases.live.some((subnet) => cidrsOverlap(subnet, record.destination))) {
    return ['lease-live', 'a lease holds the subnet, though no usable next hop is known for it'];
  }
  if (leases.live.length === 0)
    return ['lease-list-empty', 'the store lists no lease at all, which a lost store does too'];
  const { store, remembered } = leases;
  if (remembered && remembered.storeId !== store.storeId) {
    return ['store-changed', `the store is another one (${store.storeId}) than last time (${remembered.storeId})`];
  }
  if (remembered && BigInt(store.revision) < BigInt(remembered.revision)) {
    return [
      'store-went-back',
      `the store went back from revision ${remembered.revision} to ${store.revision}, as after a restored backup`,
    ];
  }
  if (record.removingUntil !== undefined && Date.parse(record.removingUntil) > input.now) {
    return ['being-removed', `somebody is removing it, until ${record.removingUntil}`];
  }
  const instance = entry.target.instanceId ?? entry.target.id;
  if (input.terminatedInstances.has(instance)) return undefined;
  const absences = leases.absences.get(cidrKey(record.destination)) ?? 0;
  const { requiredAbsences } = input.policy;
  if (absences >= requiredAbsences) return undefined;
  return ['lease-absent-lately', `no lease for it in ${absences} of ${requiredAbsences} looks`];
}

/** Holds all deletions back when there are suspiciously many; what the cloud calls terminated does not count. */
function withoutMassDeletion(
  input: PlanInput,
  byRoute: ReadonlyMap<string, StoredOwnershipRecord>,
  steps: readonly RemovalStep[],
): { readonly steps: readonly RemovalStep[]; readonly held: readonly HeldRoute[] } {
  const { policy, terminatedInstances } = input;
  const suspicious = steps.filter(
    (step) => step.action === 'delete' && !terminatedInstances.has(step.expected.instanceId ?? step.expected.id),
  );
  const destinations = new Set(suspicious.map((step) => cidrKey(step.destination)));
  const ours = new Set([...byRoute.values()].map((record) => cidrKey(record.destination)));
  const tooMany = destinations.size > policy.massDeleteCount && destinations.size > policy.massDeleteShare * ours.size;
  if (!tooMany || policy.allowMassDelete) return { steps, held: [] };
  const reason = `${destinations.size} of ${ours.size} destinations would go at once; that waits for a person`;
  return {
    steps: steps.filter((step) => !suspicious.includes(step)),
    held: suspicious.map(({ tableId, destination }) => ({
      tableId,
      destination,
      action: 'delete',
      code: 'mass-delete',
      reason,
    })),
  };
}

/** Records whose route is gone from a table that was read, and that no live lease needs. */
function forgotten(input: PlanInput, records: readonly StoredOwnershipRecord[]): readonly RemovalStep[] {
  const { leases, scope } = input;
  if (leases.kind === 'unknown') return [];
  const tables = new Map(input.tables.map((table) => [table.id, table]));
  return records
    .filter((record) => {
      const table = tables.get(record.tableId);
      if (!table || !insideNetworks(input.networks, record.destination)) return false;
      if (scope.kind === 'node' && scope.identity.holder !== record.holder) return false;
      const stands = table.routes.some(
        ({ destination }) => destination && cidrKey(destination) === cidrKey(record.destination),
      );
      const live = [...leases.live, ...input.desired.map((route) => route.destination)];
      return !stands && !live.some((subnet) => cidrsOverlap(subnet, record.destination));
    })
    .map((record) => ({
      action: 'forget',
      tableId: record.tableId,
      destination: record.destination,
      record,
      reason: `${formatCidr(record.destination)} is no longer in the table, and no lease asks for it`,
    }));
}

function routeKey(tableId: string, destination: StoredOwnershipRecord['destination']): string {
  return `${tableId} ${cidrKey(destination)}`;
}
