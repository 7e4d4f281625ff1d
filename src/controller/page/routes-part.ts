import type { RouteRow, RouteState } from '../../report/cluster-report.ts';
import { type Html, html } from './html.ts';
import { emptyPart, hasView, type PageInput } from './part.ts';
import { badge, count, type Grade, remainder, table } from './pieces.ts';
import { shownRoutes } from './view.ts';

const routeGrades: Readonly<Record<RouteState, Grade>> = {
  present: 'good',
  missing: 'near',
  misdirected: 'bad',
  held: 'near',
  stale: 'quiet',
  foreign: 'quiet',
  conflict: 'bad',
};

/** Routes that are not simply present. */
export function routesPart({ report, filter }: PageInput): Html {
  if (report === undefined || !hasView(report)) return emptyPart('routes');
  const shown = shownRoutes(report, filter);
  const columns = [
    { title: 'Destination', kind: 'code', cell: ({ destination }: RouteRow) => destination },
    { title: 'State', cell: ({ state }: RouteRow) => html`${badge(routeGrades[state], state)}` },
    { title: 'Table', kind: 'code', cell: ({ tableId }: RouteRow) => tableId },
    { title: 'Leads to', kind: 'code', cell: ({ target }: RouteRow) => target },
    { title: 'In the cloud', cell: ({ cloudState }: RouteRow) => cloudState ?? 'absent' },
    { title: 'Why', kind: 'wide', cell: ({ reason }: RouteRow) => reason },
  ] as const;
  return html`<section id="routes" data-part aria-labelledby="routes-title">
<h2 id="routes-title">Routes that need a look <span class="total">${count(shown.all)}</span></h2>
${shown.rows.length > 0 ? table('routes', 'Routes that are not simply present', columns, shown.rows, ({ state }) => routeGrades[state]) : html`<p class="note">${shown.all > 0 ? 'None matches the filter.' : 'Every route is present, and there are no others.'}</p>`}
${remainder(shown, 'routes')}
</section>
`;
}
