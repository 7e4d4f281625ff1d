/** `leases [list]`: every lease and what is with its node, those that are not well first. Pure. */
import type { ClusterReport, NodeRow, NodeState } from '../report/cluster-report.ts';
import type { Paint } from './paint.ts';
import { renderProblems } from './render-problems.ts';
import { type Column, renderTable, type TableStyle } from './table.ts';

const columns: readonly Column<NodeRow>[] = [
  { title: 'LEASE', cell: ({ lease }) => lease },
  { title: 'STATE', cell: ({ state }) => state, paint: ({ state }, paint) => stateColour(state, paint) },
  {
    title: 'ROUTES',
    cell: ({ routesWanted, routesPresent }) => (routesWanted === 0 ? '' : `${routesPresent}/${routesWanted}`),
    right: true,
  },
  { title: 'PINNED', cell: ({ reserved }) => (reserved ? 'yes' : '') },
  { title: 'BACKEND', cell: ({ backendType }) => backendType },
  { title: 'INSTANCE', cell: ({ instanceId }) => instanceId ?? '' },
  { title: 'ADDRESS', cell: ({ publicIps }) => publicIps.join(',') },
  { title: 'NODE', cell: ({ nodeName }) => nodeName ?? '' },
  { title: 'REASON', cell: ({ reason }) => reason },
];

/** Problems, an empty line, and the table. */
export function renderLeases(report: ClusterReport, style: TableStyle): readonly string[] {
  const nodes = [...report.nodes].sort((a, b) => Number(a.state === 'ok') - Number(b.state === 'ok'));
  const table = nodes.length === 0 ? ['no leases'] : renderTable(columns, nodes, style);
  return withProblems(report, table, style);
}

/** What a listing shows above itself. */
export function withProblems(
  { problems }: Pick<ClusterReport, 'problems'>,
  lines: readonly string[],
  style: TableStyle,
): readonly string[] {
  return problems.length === 0 ? lines : [...renderProblems(problems, style), '', ...lines];
}

function stateColour(state: NodeState, paint: Paint): (text: string) => string {
  if (state === 'ok') return paint.good;
  return state === 'refused' ? paint.bad : paint.caution;
}
