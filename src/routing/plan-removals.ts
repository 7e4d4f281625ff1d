/** Which routes of ours have outlived their lease, and which of them may go now. Pure. */

import type { StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { RouteEntry, RouteTable } from '../../providers/provider.ts';
import { type Cidr, formatCidr } from '../core/ip.ts';
import { type CidrSet, createCidrSet } from './cidr-set.ts';
import { type CidrKey, cidrKey, insideNetworks } from './networks.ts';
import { handleOf, isBeingRemoved, isMachine, isRecorded, targetName } from './plan-writes.ts';
import type { HeldRoute, HoldCode, OthersRoute, PlanInput, RemovalStep } from './route-plan.ts';
import { indexTable, type RecordIndex, type TableIndex } from './table-index.ts';

export interface RemovalVerdict {
  readonly steps: readonly RemovalStep[];
  readonly held: readonly HeldRoute[];
  readonly foreign: readonly OthersRoute[];
}

/** A route of the table that no lease asks for. */
export interface Leftover {
  readonly tableId: string;
  readonly destination: Cidr;
  readonly key: CidrKey;
  readonly entry: RouteEntry;
}

/** Routes inside the networks that nobody desires: the only ones removal is ever about. */
export function leftovers(
  input: Pick<PlanInput, 'networks' | 'tables' | 'desired'>,
  indexOf: (table: RouteTable) => TableIndex = indexTable,
): readonly Leftover[] {
  const wanted = new Set(input.desired.map((route) => cidrKey(route.destination)));
  const found: Leftover[] = [];
  for (const table of input.tables) {
    for (const [key, entries] of indexOf(table)) {
      if (wanted.has(key)) continue;
      for (const entry of entries) {
        const { destination, origin } = entry;
        if (!destination || origin === 'local' || !insideNetworks(input.networks, destination)) continue;
        found.push({ tableId: table.id, destination, key, entry });
      }
    }
  }
  return found;
}

/**
 * True for a leftover that this writer would remove if it proved to be ours: the cluster's one writer any, an agent only a
 * blackhole, or its own former route.
 */
export function isCandidate(scope: PlanInput['scope'], { entry }: Pick<Leftover, 'entry'>): boolean {
  if (entry.origin !== 'static' || !isMachine(entry.target)) return false;
  if (scope.kind === 'all' || entry.state === 'blackhole') return true;
  const { targets } = scope.identity;
  return (
    targets.includes(entry.target.id) ||
    (entry.target.instanceId !== undefined && targets.includes(entry.target.instanceId))
  );
}

/** Plans removals; with records unread nothing is ours, and so nothing goes. */
export function planRemovals(
  input: PlanInput,
  records: RecordIndex | undefined,
  indexOf: (table: RouteTable) => TableIndex,
): RemovalVerdict {
  if (!records) return { steps: [], held: [], foreign: [] };
  const leased = createCidrSet([
    ...(input.leases.kind === 'known' ? input.leases.live : []),
    ...input.desired.map(({ destination }) => destination),
  ]);
  const { ended } = input.leases.kind === 'known' ? input.leases : {};
  const steps: RemovalStep[] = [];
  const suspicious = new Set<RemovalStep>();
  const held: HeldRoute[] = [];
  const foreign: OthersRoute[] = [];
  for (const leftover of leftovers(input, indexOf)) {
    const { tableId, destination, key, entry } = leftover;
    const { target } = entry;
    const base = { tableId, destination };
    const record = records.get(tableId)?.get(key);
    const othersReason = isCandidate(input.scope, leftover) ? othersOf(entry, record) : othersEntry(entry);
    if (othersReason !== undefined) {
      // Thousands of agents would each report the same routes; the cluster's one writer does, an agent says what it may not collect.
      if (input.scope.kind === 'all' || isCandidate(input.scope, leftover))
        foreign.push({ ...base, target, reason: othersReason });
      continue;
    }
    const obstacle = record ? obstacleTo(input, record, leftover, leased) : noRecord;
    if (!record || obstacle) {
      const [code, reason] = obstacle ?? noRecord;
      held.push({ ...base, action: 'delete', code, reason });
      continue;
    }
    const terminated = isTerminated(input, record, entry);
    const lease = ended?.get(key);
    const why = terminated ? `its instance ${record.holder} is terminated` : 'its lease is gone';
    const reason = `${why}; it led to ${targetName(target)} (${entry.state})`;
    const step: RemovalStep = {
      ...base,
      action: 'delete',
      record,
      expected: target,
      ...handleOf(entry),
      reason,
      ...(lease && { ended: lease }),
    };
    steps.push(step);
    if (!terminated) suspicious.add(step);
  }
  const deletions = withoutMassDeletion(input, records, steps, suspicious);
  return {
    steps: [...deletions.steps, ...forgotten(input, records, indexOf, leased)],
    held: [...held, ...deletions.held],
    foreign,
  };
}

const noRecord = ['no-record', 'marked as ours, but no record of it is left'] as const;

/** Why a route to a machine is not ours, if it isn't. */
function othersOf(entry: RouteEntry, record: StoredOwnershipRecord | undefined): string | undefined {
  if (!record) return entry.marked ? undefined : 'no record says that it is ours';
  if (isRecorded(record, entry.target)) return undefined;
  return `our record says ${record.target}, but it leads to ${targetName(entry.target)}`;
}

function othersEntry({ target, origin }: RouteEntry): string {
  return origin === 'static'
    ? `it leads to a ${target.kind}: ${target.id}`
    : `it is a ${origin} route to ${targetName(target)}`;
}

/** What stands against removing a route of ours, if anything. */
function obstacleTo(
  input: PlanInput,
  record: StoredOwnershipRecord,
  { destination, key, entry }: Leftover,
  leased: CidrSet,
): readonly [HoldCode, string] | undefined {
  const { leases } = input;
  if (leases.kind === 'unknown') return ['leases-unknown', leases.reason];
  if (leased.overlaps(destination)) {
    return ['lease-live', 'a lease holds the subnet or a part of it, though it asks for no such route'];
  }
  const doubt = doubtAboutStore(input);
  if (doubt) return doubt;
  if (isBeingRemoved(record, input.now)) {
    return ['being-removed', `somebody is removing it, until ${record.removingUntil}`];
  }
  if (isTerminated(input, record, entry)) return undefined;
  const absences = leases.absences.get(key) ?? 0;
  const { requiredAbsences } = input.policy;
  if (absences >= requiredAbsences) return undefined;
  return ['lease-absent-lately', `no lease for it in ${absences} of ${requiredAbsences} looks`];
}

/**
 * True for the route of a machine that the cloud calls terminated. Its NIC is gone with it, and a cloud then no longer says whose it
 * was; so for a route that leads nowhere our record's word counts.
 */
function isTerminated(
  { terminatedInstances }: Pick<PlanInput, 'terminatedInstances'>,
  { holder }: Pick<StoredOwnershipRecord, 'holder'>,
  { target, state }: Pick<RouteEntry, 'target' | 'state'>,
): boolean {
  if (terminatedInstances.has(target.instanceId ?? target.id)) return true;
  return state === 'blackhole' && target.instanceId === undefined && terminatedInstances.has(holder);
}

/** Why the list of leases can't be trusted to show that one is gone. */
export function doubtAboutStore({ leases }: Pick<PlanInput, 'leases'>): readonly [HoldCode, string] | undefined {
  if (leases.kind === 'unknown') return ['leases-unknown', leases.reason];
  if (leases.live.length === 0 && !leases.ended?.size)
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
  return undefined;
}

/** Holds all deletions back when there are suspiciously many; what the cloud calls terminated does not count. */
function withoutMassDeletion(
  { policy, tables, desired }: PlanInput,
  records: RecordIndex,
  steps: readonly RemovalStep[],
  suspicious: ReadonlySet<RemovalStep>,
): { readonly steps: readonly RemovalStep[]; readonly held: readonly HeldRoute[] } {
  const going = new Set([...suspicious].map((step) => cidrKey(step.destination))).size;
  if (policy.allowMassDelete || going <= policy.massDeleteCount) return { steps, held: [] };
  // With what is yet to be written, or the hold would end by the plan's own writes.
  const recorded = tables.flatMap(({ id }) => [...(records.get(id)?.keys() ?? [])]);
  const ours = new Set([...recorded, ...desired.map(({ destination }) => cidrKey(destination))]).size;
  if (going <= policy.massDeleteShare * ours) return { steps, held: [] };
  const reason = `${going} of ${ours} destinations would go at once; that waits for a person`;
  return {
    steps: steps.filter((step) => !suspicious.has(step)),
    held: [...suspicious].map(({ tableId, destination }) => ({
      tableId,
      destination,
      action: 'delete',
      code: 'mass-delete',
      reason,
    })),
  };
}

/** Records whose route is gone from a table that was read, and that no live lease needs. */
function forgotten(
  input: PlanInput,
  records: RecordIndex,
  indexOf: (table: RouteTable) => TableIndex,
  leased: CidrSet,
): readonly RemovalStep[] {
  if (doubtAboutStore(input)) return [];
  const { networks, scope, now, leases } = input;
  const { ended } = leases.kind === 'known' ? leases : {};
  const steps: RemovalStep[] = [];
  for (const table of input.tables) {
    const standing = indexOf(table);
    for (const [key, record] of records.get(table.id) ?? []) {
      const { tableId, destination, holder } = record;
      if (standing.has(key) || (scope.kind === 'node' && scope.identity.holder !== holder)) continue;
      if (!insideNetworks(networks, destination) || isBeingRemoved(record, now) || leased.overlaps(destination))
        continue;
      const reason = `${formatCidr(destination)} is no longer in the table, and no lease asks for it`;
      const lease = ended?.get(key);
      steps.push({ action: 'forget', tableId, destination, record, reason, ...(lease && { ended: lease }) });
    }
  }
  return steps;
}
