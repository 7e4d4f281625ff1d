/** Findings as lines for people, and as data for programs. Pure. */
import { type Paint, printable } from '../operator/paint.ts';
import type { Finding, FindingGroup, FindingStatus } from './findings.ts';

/** True when nothing failed; warnings alone are no failure. */
export function isHealthy(report: readonly FindingGroup[]): boolean {
  return count(report).failed === 0;
}

/** What `-o json` and `-o yaml` show. */
export function reportDocument(report: readonly FindingGroup[]) {
  return { healthy: isHealthy(report), ...count(report), groups: report };
}

const marks: Readonly<Record<FindingStatus, string>> = { ok: 'ok  ', warning: 'warn', failed: 'FAIL' };
const paints: Readonly<Record<FindingStatus, 'good' | 'caution' | 'bad'>> = {
  ok: 'good',
  warning: 'caution',
  failed: 'bad',
};

/** A group, a line for each finding, its remedy below it, and the sum at the end. */
export function reportLines(report: readonly FindingGroup[], paint: Paint): readonly string[] {
  const { failed, warnings, passed } = count(report);
  const worst: FindingStatus = failed > 0 ? 'failed' : warnings > 0 ? 'warning' : 'ok';
  return [
    ...report.flatMap(({ group, findings }) => [
      paint.strong(group),
      ...findings.flatMap((finding) => findingLines(finding, paint)),
      '',
    ]),
    paint[paints[worst]](`${failed} failed, ${warnings} warnings, ${passed} ok`),
  ];
}

function findingLines({ check, status, found, remedy }: Finding, paint: Paint): readonly string[] {
  const line = `  ${paint[paints[status]](marks[status])}  ${printable(check)}: ${printable(found)}`;
  return remedy === undefined ? [line] : [line, `        → ${printable(remedy)}`];
}

function count(report: readonly FindingGroup[]) {
  const of = (status: FindingStatus): number =>
    report.reduce((sum, { findings }) => sum + findings.filter((finding) => finding.status === status).length, 0);
  return { failed: of('failed'), warnings: of('warning'), passed: of('ok') };
}
