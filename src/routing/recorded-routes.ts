/** The routes that a record makes ours. */
import type { OwnershipRecord } from '../../lease/ownership-store.ts';
import type { RouteEntry, RouteTable } from '../../providers/provider.ts';
import { cidrKey } from './networks.ts';
import { isOurs } from './plan-writes.ts';
import { indexTable, type TableIndex } from './table-index.ts';

/** The routes of a record in its table: two, where a move was cut off. */
export type RecordedRoutes = (record: OwnershipRecord) => readonly RouteEntry[];

/** Finds them among the tables; each is indexed when it is first asked for. */
export function recordedRoutesIn(tables: readonly RouteTable[]): RecordedRoutes {
  const indexes = new Map<string, TableIndex>();
  function indexOf(tableId: string): TableIndex {
    const known = indexes.get(tableId);
    if (known) return known;
    const index = indexTable({ routes: tables.find(({ id }) => id === tableId)?.routes ?? [] });
    indexes.set(tableId, index);
    return index;
  }
  return (record) => {
    const standing = indexOf(record.tableId).get(cidrKey(record.destination)) ?? [];
    return standing.filter((entry) => isOurs(entry, record));
  };
}
