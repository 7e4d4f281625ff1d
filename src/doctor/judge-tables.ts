/** Which tables serve this node, and whether they are those that are written. Pure. */
import type { RouteTable, TableTag } from '../../providers/provider.ts';
import { type Finding, failed, ok } from './findings.ts';

export interface TableFacts {
  /** Ids named in net-conf, or the tag; neither: the cloud finds the table that serves the node. */
  readonly tableIds: readonly string[];
  readonly tag: TableTag | undefined;
  /** The tables that are written. */
  readonly tables: readonly RouteTable[];
  /** The table that packets from this node's subnet follow; undefined where it was not asked for. */
  readonly serving: readonly RouteTable[] | undefined;
  readonly subnetId: string | undefined;
}

/** Packets follow the table of their sender's subnet: one that is not written reaches no other node's pods. */
export function judgeTables({ tableIds, tag, tables, serving, subnetId }: TableFacts): readonly Finding[] {
  const subnet = subnetId ?? 'this subnet';
  const why =
    tableIds.length > 0
      ? 'named by RouteTableID in net-conf'
      : tag
        ? `tagged ${tag.key}=${tag.value}, as RouteTableTag in net-conf says`
        : `found as serving ${subnet}`;
  const written = ok('tables', `${ids(tables)}: ${why}`);
  if (!serving) return [written];
  const missing = serving.filter(({ id }) => !tables.some((table) => table.id === id));
  if (missing.length === 0) return [written, ok('serving table', `${ids(serving)} serves ${subnet}`)];
  const remedy = tableIds.length > 0 ? 'Add it to RouteTableID in net-conf' : 'Give it the tag';
  return [
    written,
    failed(
      'serving table',
      `${ids(missing)} serves ${subnet} and is not written: pods here reach no other node's`,
      `${remedy}, and restart the agents.`,
    ),
  ];
}

function ids(tables: readonly RouteTable[]): string {
  return tables.map(({ id }) => id).join(', ');
}
