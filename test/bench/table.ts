/** The result for people: one line for each thing measured. */

export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly budget?: string | undefined;
  /** Whether the budget is kept; undefined where there is none. */
  readonly ok?: boolean | undefined;
  /** flanneld's figure in this run, with the ratio. */
  readonly here?: string | undefined;
  /** The peer's recorded figure. */
  readonly peer?: string | undefined;
}

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** One table for all sections. The column of this run's flanneld is left out where there was none. */
export function tableText(sections: readonly Section[]): string {
  const withHere = sections.some(({ rows }) => rows.some(({ here }) => here !== undefined));
  const cellsOf = (row: Row): readonly string[] => [
    ...[`  ${row.what}`, row.ours, row.budget ?? '', verdict(row.ok)],
    ...(withHere ? [row.here ?? ''] : []),
    row.peer ?? '',
  ];
  const head = ['', 'here', 'budget', '', ...(withHere ? ['flanneld, this run'] : []), 'flannel, other run'];
  const lines = [head, ...sections.flatMap(({ rows }) => rows.map(cellsOf))];
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const text = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [text(head), ...sections.flatMap(({ title, rows }) => [title, ...rows.map((row) => text(cellsOf(row)))])].join(
    '\n',
  );
}

function verdict(ok: boolean | undefined): string {
  if (ok === undefined) return '';
  return ok ? 'ok' : 'OVER';
}

/** A row whose budget is a largest value. */
export function atMost(what: string, value: number, most: number, show: (value: number) => string): Row {
  return { what, ours: show(value), budget: `<= ${show(most)}`, ok: value <= most };
}

/** Overs of all sections. */
export function overs(sections: readonly Section[]): readonly Row[] {
  return sections.flatMap(({ rows }) => rows.filter(({ ok }) => ok === false));
}
