/** Which tables are written and why, and whether they are those that nodes' packets follow. Pure. */
import type { RouteTable, TableTag } from '../../providers/provider.ts';
import { type Finding, failed, ok } from './findings.ts';

export interface TableFacts {
  /** Ids named in net-conf, or the tag; neither: the cloud finds those that serve the nodes. */
  readonly tableIds: readonly string[];
  readonly tag: TableTag | undefined;
  /** The tables that are written. */
  readonly tables: readonly RouteTable[];
  /** The tables that packets of this node and of the others follow, by their subnets; undefined where that can't be read. */
  readonly serving: readonly RouteTable[] | undefined;
  /** The subnets of this node and of the others, as far as they are known. */
  readonly subnetIds: readonly string[];
}

/** Packets follow the table of their sender's subnet: from one whose table is not written no pod is reached. */
export function judgeTables({ tableIds, tag, tables, serving, subnetIds }: TableFacts): readonly Finding[] {
  const written = ok('tables', `${names(tables)}: ${whyChosen(tableIds, tag)}`);
  if (!serving || serving.length === 0) return [written];
  const missing = serving.filter(({ id }) => !tables.some((table) => table.id === id));
  const subnets = subnetIds.join(', ');
  if (missing.length === 0) return [written, ok('serving tables', `${names(serving)} for the subnets ${subnets}`)];
  const found = `${names(missing)} is not written, and nodes' packets follow it (subnets ${subnets}): they find no routes to pods`;
  const remedy =
    tableIds.length > 0
      ? 'Add it to the tables that net-conf names'
      : tag
        ? `Tag it ${tag.key}=${tag.value}`
        : 'Name every table that serves nodes in net-conf (docs/net-conf.md says by which member)';
  return [written, failed('serving tables', found, `${remedy}, and restart the agents.`)];
}

function whyChosen(tableIds: readonly string[], tag: TableTag | undefined): string {
  if (tableIds.length > 0) return 'named in net-conf';
  if (tag) return `tagged ${tag.key}=${tag.value}, as RouteTableTag in net-conf says`;
  return 'found by the subnets they serve';
}

const associations = { explicit: ' (associated explicitly)', main: ' (the main table)' } as const;

function names(tables: readonly RouteTable[]): string {
  return tables
    .map(({ id, association }) => `${id}${association === undefined ? '' : associations[association]}`)
    .join(', ');
}
