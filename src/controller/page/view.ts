/** What of a report the page shows: the worst first, filtered, and no more rows than a browser likes. */
import type {
  ClusterReport,
  NodeRow,
  NodeState,
  ProblemRow,
  RouteRow,
  RouteState,
  TableUseRow,
} from '../../report/cluster-report.ts';

/** Rows of one list that are shown at most. */
export const mostRows = 200;

/** A part of a list. */
export interface Shown<Row> {
  readonly rows: readonly Row[];
  /** How many the filter lets through. */
  readonly matching: number;
  /** How many there are. */
  readonly all: number;
}

/** The worst first. */
export const nodeOrder: readonly NodeState[] = ['refused', 'waiting', 'unready', 'ended', 'ok'];
const routeOrder: readonly RouteState[] = ['conflict', 'misdirected', 'missing', 'held', 'stale', 'foreign', 'present'];

/** Nodes with those first that are not ok. */
export function shownNodes(report: ClusterReport, filter: string): Shown<NodeRow> {
  return part(
    report.nodes.toSorted((a, b) => nodeOrder.indexOf(a.state) - nodeOrder.indexOf(b.state)),
    filter,
    (node) => [
      ...[node.state, node.lease, ...node.publicIps, node.instanceId, node.nicId, node.zone, node.nodeName],
      ...[node.backendType, node.reserved ? 'reserved' : '', node.reason, node.report?.reason],
    ],
  );
}

/** Routes that are not simply present. */
export function shownRoutes(report: ClusterReport, filter: string): Shown<RouteRow> {
  return part(
    report.routes
      .filter(({ state }) => state !== 'present')
      .sort((a, b) => routeOrder.indexOf(a.state) - routeOrder.indexOf(b.state)),
    filter,
    (route) => [
      route.state,
      route.tableId,
      route.destination,
      route.target,
      route.cloudState,
      route.lease,
      route.reason,
    ],
  );
}

/** Problems with the errors first. They are never filtered. */
export function shownProblems(report: ClusterReport): Shown<ProblemRow> {
  const errors = report.problems.filter(({ severity }) => severity === 'error');
  const warnings = report.problems.filter(({ severity }) => severity !== 'error');
  return part([...errors, ...warnings], '', () => []);
}

/** Every word of the filter must stand somewhere in the row. */
function part<Row>(
  rows: readonly Row[],
  filter: string,
  texts: (row: Row) => readonly (string | undefined)[],
): Shown<Row> {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const matching =
    words.length === 0 ? rows : rows.filter((row) => matches(texts(row).join('\n').toLowerCase(), words));
  return { rows: matching.slice(0, mostRows), matching: matching.length, all: rows.length };
}

function matches(text: string, words: readonly string[]): boolean {
  return words.every((word) => text.includes(word));
}

/** How near a table is to its limit: from 80 % on it is said, since a raise takes days. */
export type UseLevel = 'fine' | 'near' | 'full';

/** Share of the limit that is used, and what to call it. */
export function useOf({ used, limit }: TableUseRow): { readonly share: number; readonly level: UseLevel } {
  const share = limit > 0 ? used / limit : 1;
  return { share, level: share >= 1 ? 'full' : share >= 0.8 ? 'near' : 'fine' };
}

/** How many rows there are of each kind. */
export function countBy<Row, Key>(rows: readonly Row[], key: (row: Row) => Key): ReadonlyMap<Key, number> {
  const counts = new Map<Key, number>();
  for (const row of rows) counts.set(key(row), (counts.get(key(row)) ?? 0) + 1);
  return counts;
}
