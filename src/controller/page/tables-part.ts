import type { LimitSource, TableRow, TableUseRow } from '../../report/cluster-report.ts';
import { type Html, html } from './html.ts';
import { emptyPart, hasView, type PageInput } from './part.ts';
import { badge, count, type Grade, table } from './pieces.ts';
import { type UseLevel, useOf } from './view.ts';

const limitSources: Readonly<Record<LimitSource, string>> = {
  api: 'limit told by the cloud',
  configured: 'limit set by --route-limit',
  refusal: 'the cloud refused one more',
  default: 'the cloud’s documented default; yours may be higher',
};

const useGrades: Readonly<Record<UseLevel, Grade>> = { fine: 'good', near: 'near', full: 'bad' };
const useWords: Readonly<Record<UseLevel, string>> = { fine: 'room left', near: 'nearly full', full: 'full' };

/** Route tables, each with a bar for the use of its quota. */
export function tablesPart({ report }: PageInput): Html {
  if (report === undefined || !hasView(report)) return emptyPart('tables');
  const columns = [
    { title: 'Table', kind: 'code', cell: ({ id }: TableRow) => id },
    { title: 'VPC', kind: 'code', cell: ({ networkId }: TableRow) => networkId },
    {
      title: 'Quota used',
      kind: 'wide',
      cell: ({ id, use }: TableRow) => html`${use.map((each) => quotaBar(id, each))}`,
    },
    { title: 'Wanted', kind: 'number', cell: ({ routesWanted }: TableRow) => count(routesWanted) },
    { title: 'Present', kind: 'number', cell: ({ routesPresent }: TableRow) => count(routesPresent) },
    { title: 'Waiting', kind: 'number', cell: ({ routesWaiting }: TableRow) => count(routesWaiting) },
    { title: 'Foreign', kind: 'number', cell: ({ routesForeign }: TableRow) => count(routesForeign) },
    { title: 'Stale', kind: 'number', cell: ({ routesStale }: TableRow) => count(routesStale) },
  ] as const;
  return html`<section id="tables" data-part aria-labelledby="tables-title">
<h2 id="tables-title">Route tables <span class="total">${count(report.tables.length)}</span></h2>
${report.tables.length > 0 ? table('tables', 'Route tables', columns, report.tables) : html`<p class="note">None read.</p>`}
</section>
`;
}

/** Drawn as SVG, since its width would need a style attribute otherwise, which the page's policy refuses. */
function quotaBar(tableId: string, use: TableUseRow): Html {
  const { share, level } = useOf(use);
  const percent = Math.floor(share * 100);
  const family = use.family === 'both' ? 'IPv4 and IPv6' : `IPv${use.family}`;
  const words = `${count(use.used)} of ${count(use.limit)}, ${percent} %`;
  return html`<div class="quota ${useGrades[level]}"><span class="family">${family}</span>
<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="${tableId}, ${family}: ${words}, ${useWords[level]}"><rect class="track" width="100" height="8"/><rect class="fill" width="${Math.min(100, percent)}" height="8"/></svg>
<span class="words">${words} ${badge(useGrades[level], useWords[level])} <span class="more">${limitSources[use.limitSource]}</span></span></div>
`;
}
