/** `routes [list]`: every destination inside the pod networks in every table, what is amiss first. Pure. */
import type { ClusterReport, RouteRow, RouteState } from '../report/cluster-report.ts';
import type { Paint } from './paint.ts';
import { withProblems } from './render-leases.ts';
import { type Column, renderTable, type TableStyle } from './table.ts';

const columns: readonly Column<RouteRow>[] = [
  { title: 'TABLE', cell: ({ tableId }) => tableId },
  { title: 'DESTINATION', cell: ({ destination }) => destination },
  {
    title: 'STATE',
    cell: ({ state, cloudState }) =>
      cloudState === undefined || cloudState === 'active' ? state : `${state}, ${cloudState}`,
    paint: ({ state }, paint) => stateColour(state, paint),
  },
  { title: 'NEXT HOP', cell: ({ target }) => target },
  { title: 'REASON', cell: ({ reason }) => reason },
];

/** Problems, an empty line, and the table. */
export function renderRoutes(report: ClusterReport, style: TableStyle): readonly string[] {
  const routes = [...report.routes].sort((a, b) => Number(isQuiet(a.state)) - Number(isQuiet(b.state)));
  const table = routes.length === 0 ? ['no routes inside the pod networks'] : renderTable(columns, routes, style);
  return withProblems(report, table, style);
}

function isQuiet(state: RouteState): boolean {
  return state === 'present' || state === 'foreign';
}

function stateColour(state: RouteState, paint: Paint): (text: string) => string {
  if (state === 'present') return paint.good;
  if (state === 'foreign') return paint.faint;
  return state === 'conflict' || state === 'missing' ? paint.bad : paint.caution;
}
