/** Small pieces that every part of the page is made of. */
import { type Html, html } from './html.ts';
import type { Shown } from './view.ts';

/** How something stands, in three grades; `quiet` is neither good nor bad. */
export type Grade = 'good' | 'near' | 'bad' | 'quiet';

const marks: Readonly<Record<Grade, string>> = { good: '✓', near: '!', bad: '✕', quiet: '·' };

/** A word with its grade, told by colour and by a mark. */
export function badge(grade: Grade, word: string): Html {
  return html`<span class="badge ${grade}"><span class="mark" aria-hidden="true">${marks[grade]}</span>${word}</span>`;
}

/** A number with its thousands apart. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** A moment in UTC, to the second; what is no time is shown as it is. */
export function moment(iso: string): Html {
  const time = Date.parse(iso);
  if (Number.isNaN(time)) return html`${iso}`;
  const canonical = new Date(time).toISOString();
  return html`<time datetime="${canonical}">${canonical.slice(0, 10)} ${canonical.slice(11, 19)} UTC</time>`;
}

export interface Column<Row> {
  readonly title: string;
  /** `number` stands to the right; `code` and `short` on one line while they are short; `wide` gets the room that is left. */
  readonly kind?: 'number' | 'code' | 'short' | 'wide';
  readonly cell: (row: Row) => Html | string | number | undefined;
}

/** A table whose first column names the row. Titles go along with the cells, for narrow screens. */
export function table<Row>(
  id: string,
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  rowClass: (row: Row) => string = () => '',
): Html {
  const head = columns.map(({ title, kind = '' }) => html`<th scope="col" class="${kind}">${title}</th>`);
  const body = rows.map((row) => {
    const cells = columns.map(({ title, kind = '', cell }, index) => {
      const value = cell(row);
      // A lease can carry a name of any length, which must not push the rest of its row away.
      const long = typeof value === 'string' && value.length > 40 ? ' long' : '';
      const content = value === undefined || value === '' ? html`<span class="none">–</span>` : html`${value}`;
      return index === 0
        ? html`<th scope="row" class="${kind}${long}" data-label="${title}">${content}</th>`
        : html`<td class="${kind}${long}" data-label="${title}">${content}</td>`;
    });
    return html`<tr class="${rowClass(row)}">${cells}</tr>
`;
  });
  return html`<div class="scroll" id="${id}-scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption class="unseen">${caption}</caption>
<thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody></table></div>`;
}

/** What of a list is not shown; nothing when all of it is. */
export function remainder({ rows, matching, all }: Shown<unknown>, what: string): Html {
  const parts: string[] = [];
  if (matching < all) parts.push(`${count(matching)} of ${count(all)} ${what} match the filter`);
  if (rows.length < matching) parts.push(`the first ${count(rows.length)} are shown: narrow it down with the filter`);
  return parts.length === 0 ? html`` : html`<p class="note">${capital(parts.join('; '))}.</p>`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
