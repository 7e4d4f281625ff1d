/** All checks of this node, run once. */
import { cloudChecks } from './cloud-checks.ts';
import type { FindingGroup } from './findings.ts';
import { nodeChecks } from './node-checks.ts';
import { runChecks } from './run-checks.ts';
import { netConfChecks, storeChecks } from './store-checks.ts';
import { createSubject, type DoctorParts } from './subject.ts';

/** Longest time for one check, milliseconds: above what the facts below it may take. */
const checkMs = 15_000;

/** Looks at everything and changes nothing. @throws only the signal's reason. */
export async function examine(parts: DoctorParts, signal: AbortSignal): Promise<readonly FindingGroup[]> {
  const subject = createSubject(parts, signal);
  try {
    const checks = [
      ...storeChecks(subject),
      ...netConfChecks(subject),
      ...cloudChecks(subject),
      ...nodeChecks(subject),
    ];
    return await runChecks(checks, { clock: parts.clock, deadlineMs: checkMs, signal });
  } finally {
    await subject.close();
  }
}
