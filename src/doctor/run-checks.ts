/** Runs checks side by side, each with its own deadline. One that can't be run is a finding as well. */
import type { Clock } from '../core/clock.ts';
import { isAbortError } from '../core/errors.ts';
import { NotKnown } from './facts.ts';
import { type Finding, type FindingGroup, fromError, type Group, groups, warning } from './findings.ts';

export interface Check {
  readonly group: Group;
  /** Names the finding where the check itself fails. */
  readonly name: string;
  /** What it counts as when it can't be run: whether an agent could work where this fails. */
  readonly unless: 'failed' | 'warning';
  run(signal: AbortSignal): Promise<readonly Finding[]>;
}

export interface RunChecksOptions {
  readonly clock: Clock;
  /** Longest time for one check, milliseconds. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** Every finding, in the order of the groups and of the checks. @throws only the signal's reason. */
export async function runChecks(checks: readonly Check[], options: RunChecksOptions): Promise<readonly FindingGroup[]> {
  const found = await Promise.all(checks.map((check) => runCheck(check, options)));
  options.signal.throwIfAborted();
  return groups
    .map((group) => ({
      group,
      findings: checks.flatMap((check, at) => (check.group === group ? (found[at] ?? []) : [])),
    }))
    .filter(({ findings }) => findings.length > 0);
}

async function runCheck(check: Check, { clock, deadlineMs, signal }: RunChecksOptions): Promise<readonly Finding[]> {
  const done = new AbortController();
  const ending = AbortSignal.any([signal, done.signal]);
  const late = clock.sleep(deadlineMs, ending).then(
    () => [
      {
        ...warning(check.name, `gave no result within ${deadlineMs / 1_000} s`, 'Run doctor again; see what is slow.'),
        status: check.unless,
      },
    ],
    () => [],
  );
  // A check that goes on although its time is up must not end the program.
  const running = guarded(check, ending);
  try {
    return await Promise.race([running, late]);
  } finally {
    done.abort(new DOMException('the check is over', 'AbortError'));
  }
}

async function guarded(check: Check, signal: AbortSignal): Promise<readonly Finding[]> {
  try {
    return await check.run(signal);
  } catch (error) {
    if (error instanceof NotKnown) {
      return [
        warning(
          check.name,
          `not checked: ${error.message}`,
          `Mend what is said of ${error.what}, then run doctor again.`,
        ),
      ];
    }
    if (signal.aborted && isAbortError(error)) return [];
    return [fromError(check.name, error, check.unless, 'Run doctor as root on the node itself.')];
  }
}
