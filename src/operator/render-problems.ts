/** The problems of a report, the worst first, as an operator reads them. Pure. */

import { wrap } from '../cli/wrap.ts';
import type { ProblemRow } from '../report/cluster-report.ts';
import { counts } from './counts.ts';
import { type Paint, printable } from './paint.ts';

const indent = '         ';

/** Lines for each problem: what, and below it what to do. */
export function renderProblems(
  problems: readonly ProblemRow[],
  { paint, width }: { readonly paint: Paint; readonly width?: number | undefined },
): readonly string[] {
  const room = width === undefined ? undefined : Math.max(40, width - indent.length);
  return problems.flatMap(({ severity, code, text, hint }) => {
    const colour = severity === 'error' ? paint.bad : paint.caution;
    const [first = '', ...rest] = wrap(printable(`${code}: ${text}`), room);
    const below = [...rest, ...(hint === undefined ? [] : wrap(printable(hint), room).map(paint.faint))];
    return [`${colour(severity.padEnd(indent.length))}${first}`, ...below.map((line) => `${indent}${line}`)];
  });
}

/** `2 errors, 1 warning`; empty for none. */
export function countProblems(problems: readonly ProblemRow[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const warnings = problems.length - errors;
  return counts([errors, 'error'], [warnings, 'warning']);
}
