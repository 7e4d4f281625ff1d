import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import type { Compute } from './compute.ts';

export async function diagnose(
  _compute: Compute,
  _subject: DiagnosisSubject,
  _signal: AbortSignal,
  _project: (signal: AbortSignal) => Promise<string>,
): Promise<readonly Finding[]> {
  return [];
}
