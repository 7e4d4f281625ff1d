/** What the checks of `doctor` have in common. */
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import type { Compute } from './compute.ts';

/** One thing to look at. `run` throws what its reads throw. */
export interface Check {
  readonly check: string;
  run(): Promise<readonly Finding[]>;
}

/** What checks look by. */
export interface Look {
  readonly compute: Compute;
  readonly subject: DiagnosisSubject;
  readonly signal: AbortSignal;
  /** The project that the nodes are in. */
  readonly project: string;
}

/** The finding for what could not be found out. */
export function notChecked(check: string, why: string, remedy = 'look at it by hand'): Finding {
  return { check, status: 'warning', found: `not checked: ${why}`, remedy };
}
