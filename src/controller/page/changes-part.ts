import type { ChangeRow } from '../../report/cluster-report.ts';
import { type Html, html } from './html.ts';
import { emptyPart, type PageInput } from './part.ts';
import { count, moment, table } from './pieces.ts';

/** The changes made last, newest first. */
export function changesPart({ report }: PageInput): Html {
  const controller = report?.controller;
  if (controller?.role !== 'leader') return emptyPart('changes');
  const columns = [
    { title: 'When', cell: ({ at }: ChangeRow) => moment(at) },
    { title: 'Change', cell: ({ action }: ChangeRow) => action },
    { title: 'Destination', kind: 'code', cell: ({ destination }: ChangeRow) => destination },
    { title: 'Table', kind: 'code', cell: ({ tableId }: ChangeRow) => tableId },
    { title: 'Why', kind: 'wide', cell: ({ reason }: ChangeRow) => reason },
  ] as const;
  return html`<section id="changes" data-part aria-labelledby="changes-title">
<h2 id="changes-title">Last changes <span class="total">${count(controller.changes.length)}</span></h2>
${controller.changes.length > 0 ? table('changes', 'Last changes', columns, controller.changes) : html`<p class="note">None since this controller started.</p>`}
</section>
`;
}
