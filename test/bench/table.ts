/** One line of the result for people: what, ours, the budget, and the peer's figure. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly budget?: string;
  /** Whether the budget is kept; undefined where there is none. */
  readonly ok?: boolean;
  readonly peer?: string | undefined;
}

/** A table with a mark for what is over its budget. */
export function tableText(rows: readonly Row[]): string {
  const head = ['', 'measured', 'here', 'budget', 'flannel (other run)'];
  const body = rows.map(({ what, ours, budget = '', ok, peer = '' }) => [mark(ok), what, ours, budget, peer]);
  const widths = head.map((_, at) => Math.max(...[head, ...body].map((cells) => cells[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

function mark(ok: boolean | undefined): string {
  if (ok === undefined) return '';
  return ok ? 'ok' : 'OVER';
}

/** Middle value; the lower one of two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new Error('nothing was measured');
  return middle;
}

/** `median (min-max)` of milliseconds. */
export function spread(values: readonly number[]): string {
  const round = (value: number): string => value.toFixed(0);
  return `${round(median(values))} ms (${round(Math.min(...values))}-${round(Math.max(...values))})`;
}
