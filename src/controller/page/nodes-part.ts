import type { NodeRow, NodeState } from '../../report/cluster-report.ts';
import { type Html, html } from './html.ts';
import { emptyPart, hasView, type PageInput } from './part.ts';
import { badge, count, type Grade, moment, remainder, table } from './pieces.ts';
import { shownNodes } from './view.ts';

const nodeGrades: Readonly<Record<NodeState, Grade>> = {
  ok: 'good',
  unready: 'near',
  waiting: 'near',
  refused: 'bad',
  ended: 'quiet',
};

/** Nodes, those that are not ok first. */
export function nodesPart({ report, filter }: PageInput): Html {
  if (report === undefined || !hasView(report)) return emptyPart('nodes');
  const shown = shownNodes(report, filter);
  const columns = [
    {
      title: 'Lease',
      kind: 'code',
      cell: (node: NodeRow) =>
        html`${stack(node.subnets.length > 0 ? node.subnets : [node.lease])}${node.reserved ? html` <span class="tag">reserved</span>` : ''}`,
    },
    { title: 'State', cell: (node: NodeRow) => html`${badge(nodeGrades[node.state], node.state)}` },
    { title: 'Node', kind: 'short', cell: ({ nodeName }: NodeRow) => nodeName },
    { title: 'Instance', kind: 'code', cell: ({ instanceId }: NodeRow) => instanceId },
    { title: 'NIC', kind: 'code', cell: ({ nicId }: NodeRow) => nicId },
    { title: 'Zone', kind: 'short', cell: ({ zone }: NodeRow) => zone },
    { title: 'Address', kind: 'code', cell: ({ publicIps }: NodeRow) => stack(publicIps) },
    { title: 'Routes', kind: 'number', cell: (node: NodeRow) => `${node.routesPresent}/${node.routesWanted}` },
    { title: 'Why, and what it says', kind: 'wide', cell: whyAndReport },
  ] as const;
  return html`<section id="nodes" data-part aria-labelledby="nodes-title">
<h2 id="nodes-title">Nodes <span class="total">${count(shown.all)}</span></h2>
${shown.rows.length > 0 ? table('nodes', 'Nodes', columns, shown.rows, ({ state }) => nodeGrades[state]) : html`<p class="note">${shown.all > 0 ? 'None matches the filter.' : 'No leases.'}</p>`}
${remainder(shown, 'nodes')}
</section>
`;
}

function whyAndReport({ reason, report, backendType }: NodeRow): Html {
  const said = report
    ? html`<span class="said">${report.ready ? 'Ready' : 'Not ready'}${report.reason ? `: ${report.reason}` : ''}, since ${moment(report.since)}</span>`
    : html`<span class="said">${backendType ? `A ${backendType} node; it` : 'It'} says nothing of itself</span>`;
  return html`${reason ? html`<span class="why">${reason}</span>` : ''}${said}`;
}

function stack(lines: readonly string[]): Html {
  return html`${lines.map((line) => html`<span class="line">${line}</span>`)}`;
}
