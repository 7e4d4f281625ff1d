/** Short words for findings in tests. */
import type { Finding } from '../../../providers/diagnosis.ts';

/** `check: status`, in order. */
export function statuses(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ check, status }) => `${check}: ${status}`);
}

/** Everything that is not ok says what to do, and everything says what was found. */
export function isHelpful(findings: readonly Finding[]): boolean {
  return findings.every(({ status, found, remedy }) => found !== '' && (status === 'ok') === (remedy === undefined));
}
