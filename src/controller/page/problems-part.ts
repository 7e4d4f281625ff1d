import { type Html, html } from './html.ts';
import { emptyPart, type PageInput } from './part.ts';
import { badge, count, remainder } from './pieces.ts';
import { shownProblems } from './view.ts';

/** Problems, errors first. */
export function problemsPart({ report }: PageInput): Html {
  if (report === undefined) return emptyPart('problems');
  const shown = shownProblems(report);
  const items = shown.rows.map(({ severity, code, text, hint }) => {
    const error = severity === 'error';
    return html`<li class="${error ? 'bad' : 'near'}">${badge(error ? 'bad' : 'near', error ? 'Error' : 'Warning')}
<div><p>${text} <code class="quiet">${code}</code></p>${hint ? html`<p class="hint">${hint}</p>` : ''}</div></li>
`;
  });
  return html`<section id="problems" data-part aria-labelledby="problems-title">
<h2 id="problems-title">Problems <span class="total">${count(shown.all)}</span></h2>
${items.length > 0 ? html`<ul class="problems">${items}</ul>${remainder(shown, 'problems')}` : html`<p class="note">None.</p>`}
</section>
`;
}
