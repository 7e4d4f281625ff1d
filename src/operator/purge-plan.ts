/** What taking all routes of ours out means: which routes, which leases first, and what stays. Pure. */
import type { Lease } from '../../lease/lease.ts';
import { subnetsOf } from '../../lease/lease-key.ts';
import type { StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { RouteTable } from '../../providers/provider.ts';
import { cidrsOverlap, compareCidrs, formatCidr } from '../core/ip.ts';
import { cidrKey, insideNetworks, type RouteNetworks } from '../routing/networks.ts';
import { handleOf, isBeingRemoved, isMachine, isRecorded, targetName } from '../routing/plan-writes.ts';
import type { OthersRoute, RemovalStep } from '../routing/route-plan.ts';
import { compareText, indexRecords, indexTable } from '../routing/table-index.ts';

export interface PurgeInput {
  readonly networks: RouteNetworks;
  readonly records: readonly StoredOwnershipRecord[];
  /** Those of the records' tables that exist. */
  readonly tables: readonly RouteTable[];
  readonly leases: readonly Lease[];
  /**
   * The overlay that the cluster comes from and goes back to (`--backend-type`): leases of this type need no route, and stand. Those of
   * nodes that have moved keep theirs.
   */
  readonly overlay?: string | undefined;
  /** Wall clock, milliseconds. */
  readonly now: number;
}

/** A record whose route is left as it is. */
export interface LeftRoute {
  readonly tableId: string;
  readonly destination: string;
  readonly reason: string;
}

export interface PurgePlan {
  /** By table and address. */
  readonly steps: readonly RemovalStep[];
  /** Leases to end before: a route is never taken from a lease that stands. */
  readonly leases: readonly Lease[];
  readonly left: readonly LeftRoute[];
  /** Routes inside the networks that are not ours. */
  readonly foreign: readonly OthersRoute[];
}

/** Plans it. Only what a record says is ours is ever touched. */
export function planPurge({ networks, records, tables, leases, overlay, now }: PurgeInput): PurgePlan {
  const steps: RemovalStep[] = [];
  const left: LeftRoute[] = [];
  const indexes = new Map(tables.map((table) => [table.id, indexTable(table)]));
  for (const record of [...records].sort(byPlace)) {
    const { tableId, destination } = record;
    const stay = (reason: string): void => void left.push({ tableId, destination: formatCidr(destination), reason });
    if (!insideNetworks(networks, destination)) {
      stay('it lies outside the pod network');
      continue;
    }
    if (isBeingRemoved(record, now)) {
      stay(`somebody is removing it, until ${record.removingUntil}`);
      continue;
    }
    if (overlay !== undefined && leases.some((lease) => hasMoved(lease) && overlaps(lease, { destination }))) {
      stay('its node sends by routes like this one: start its agent without --backend-type first');
      continue;
    }
    const index = indexes.get(tableId);
    const entries = (index?.get(cidrKey(destination)) ?? []).filter(({ origin }) => origin === 'static');
    const ours = entries.find(({ target }) => isMachine(target) && isRecorded(record, target));
    const [other] = entries;
    const base = { tableId, destination, record };
    if (ours) {
      steps.push({
        ...base,
        action: 'delete',
        expected: ours.target,
        ...handleOf(ours),
        reason: `it leads to ${targetName(ours.target)}`,
      });
    } else if (other) {
      stay(`our record says ${record.target}, but it leads to ${targetName(other.target)}`);
    } else {
      const reason = index ? 'it is no longer in the table' : 'the table is gone';
      steps.push({ ...base, action: 'forget', reason: `${reason}; only our record is left` });
    }
  }
  return {
    steps,
    left,
    leases: leases.filter((lease) => !needsNoRoute(lease, overlay) && steps.some((step) => overlaps(lease, step))),
    foreign: foreignRoutes({ networks, records, tables }),
  };
}

/** True for a lease of a node on the overlay that a purge does not end. */
export function needsNoRoute({ attributes }: Lease, overlay: string | undefined): boolean {
  return overlay !== undefined && attributes.backendType === overlay && attributes.node?.movedTo === undefined;
}

function hasMoved({ attributes }: Lease): boolean {
  return attributes.node?.movedTo !== undefined;
}

/** True when the lease stands against taking the route out. */
export function overlaps({ subnets }: Lease, { destination }: Pick<RemovalStep, 'destination'>): boolean {
  return subnetsOf(subnets).some((subnet) => cidrsOverlap(subnet, destination));
}

function foreignRoutes({
  networks,
  records,
  tables,
}: Pick<PurgeInput, 'networks' | 'records' | 'tables'>): OthersRoute[] {
  const index = indexRecords(records);
  return tables.flatMap(({ id, routes }) =>
    routes.flatMap(({ destination, target, origin }) => {
      if (!destination || origin === 'local' || !insideNetworks(networks, destination)) return [];
      if (index.get(id)?.has(cidrKey(destination))) return [];
      return [{ tableId: id, destination, target, reason: 'no record says that it is ours' }];
    }),
  );
}

function byPlace(a: StoredOwnershipRecord, b: StoredOwnershipRecord): number {
  return compareText(a.tableId, b.tableId) || compareCidrs(a.destination, b.destination);
}
