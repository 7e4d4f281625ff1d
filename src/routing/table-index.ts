/** A table's routes and our records by destination, so that plans for thousands of leases stay linear. */
import type { StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { RouteEntry, RouteTable } from '../../providers/provider.ts';
import { type CidrKey, cidrKey } from './networks.ts';

/** What stands for each destination, in an order of its own: the table's makes no difference. */
export type TableIndex = ReadonlyMap<CidrKey, readonly RouteEntry[]>;

/** Records by table, then by destination. */
export type RecordIndex = ReadonlyMap<string, ReadonlyMap<CidrKey, StoredOwnershipRecord>>;

/** Leaves out destinations that are no CIDR. */
export function indexTable({ routes }: Pick<RouteTable, 'routes'>): TableIndex {
  const index = new Map<CidrKey, RouteEntry[]>();
  for (const entry of routes) {
    if (!entry.destination) continue;
    const key = cidrKey(entry.destination);
    const entries = index.get(key);
    if (!entries) index.set(key, [entry]);
    else entries.splice(placeFor(entry, entries), 0, entry);
  }
  return index;
}

export function indexRecords(records: readonly StoredOwnershipRecord[]): RecordIndex {
  const index = new Map<string, Map<CidrKey, StoredOwnershipRecord>>();
  for (const record of records) {
    const ofTable = index.get(record.tableId) ?? new Map<CidrKey, StoredOwnershipRecord>();
    index.set(record.tableId, ofTable.set(cidrKey(record.destination), record));
  }
  return index;
}

/** Orders texts by their code units: the same everywhere, unlike a locale's order. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function placeFor(entry: RouteEntry, entries: readonly RouteEntry[]): number {
  const later = entries.findIndex((other) => compareText(orderOf(entry), orderOf(other)) < 0);
  return later < 0 ? entries.length : later;
}

function orderOf({ target, origin, state, marked }: RouteEntry): string {
  return [target.id, target.kind, target.instanceId, origin, state, marked].join(' ');
}
