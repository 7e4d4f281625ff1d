/** Tables for people: aligned, nothing cut off, and without columns in which nothing stands. Pure. */
import { wrap } from '../cli/wrap.ts';
import { type Paint, printable } from './paint.ts';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly paint?: (row: Row, paint: Paint) => (text: string) => string;
  readonly right?: boolean;
}

export interface TableStyle {
  readonly paint: Paint;
  /** Width of the terminal. There the last column goes on below itself; elsewhere a row is one line, for grep and awk. */
  readonly width?: number | undefined;
}

const gap = '  ';
/** Narrower than this a last column is left to the terminal. */
const narrowest = 20;

/** The table's lines, its titles first; none at all without rows. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { paint, width }: TableStyle,
): readonly string[] {
  if (rows.length === 0) return [];
  const filled = columns
    .map((column) => ({ column, texts: rows.map((row) => printable(column.cell(row))) }))
    .filter(({ texts }) => texts.some((text) => text !== ''))
    .map((each) => ({ ...each, width: longest([each.column.title, ...each.texts]) }));
  const pad = (text: string, at: number): string => {
    const used = filled[at];
    if (!used) return text;
    if (used.column.right) return text.padStart(used.width);
    return at === filled.length - 1 ? text : text.padEnd(used.width);
  };
  const before = filled.slice(0, -1).reduce((sum, each) => sum + each.width + gap.length, 0);
  const room = width === undefined || width - before < narrowest ? undefined : width - before;
  const titles = filled.map(({ column }, at) => paint.faint(pad(column.title, at))).join(gap);
  return [
    titles,
    ...rows.flatMap((row, index) => {
      const last = filled.at(-1);
      const [first = '', ...further] = wrap(last?.texts[index] ?? '', last?.column.right ? undefined : room);
      const painted = (at: number, text: string): string =>
        filled[at]?.column.paint?.(row, paint)(pad(text, at)) ?? pad(text, at);
      const cells = filled.map(({ texts }, at) => painted(at, at === filled.length - 1 ? first : (texts[index] ?? '')));
      const rest = further.map((text) => `${' '.repeat(before)}${painted(filled.length - 1, text)}`);
      return [cells.join(gap).trimEnd(), ...rest];
    }),
  ];
}

/** Length of the longest; of more texts than a call may have arguments. */
export function longest(texts: readonly string[]): number {
  return texts.reduce((most, { length }) => Math.max(most, length), 0);
}
