/** What the checks of `doctor` have in common. */
import type { DiagnosisSubject } from '../provider.ts';
import type { Compute } from './compute.ts';

/** What checks look by. */
export interface Look {
  readonly compute: Compute;
  readonly subject: DiagnosisSubject;
  readonly signal: AbortSignal;
  /** The project that the nodes are in. */
  readonly project: string;
}
