/** What the checks of all clouds' diagnoses have in common: how one is run, and what an answer that can't be had is. */
import { isFlannelVpcError } from '../src/core/errors.ts';
import type { Finding } from './diagnosis.ts';

/** A check that rests on reads which a role may lack. */
export interface Check {
  readonly check: string;
  /** Throws what its reads throw. */
  run(): Promise<readonly Finding[]>;
}

/**
 * Runs the checks one after the other. One whose reads are refused is not made, and that is the finding. `rights`: where the policy of
 * who only looks stands, added to the remedy of a refusal.
 *
 * @throws what passes by itself, such as THROTTLED and TRANSIENT, and an AbortError.
 */
export async function whatCanBeRead(checks: readonly Check[], rights?: string): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { check, run } of checks) {
    try {
      findings.push(...(await run()));
    } catch (error) {
      if (!isFlannelVpcError(error) || error.retry === 'backoff') throw error;
      const denied = error.code === 'PERMISSION_DENIED' && error.details['action'] !== undefined;
      const why = denied ? `the credentials may not ${String(error.details['action'])}` : error.message;
      findings.push(notChecked(check, why, denied && rights !== undefined ? `${error.hint}; ${rights}` : error.hint));
    }
  }
  return findings;
}

/** The finding for what could not be found out. */
export function notChecked(check: string, why: string, remedy = 'look at it by hand'): Finding {
  return { check, status: 'warning', found: `not checked: ${why}`, remedy };
}

/** The finding of a check of this machine's network interface, where that one is not known: on a machine that is no node. */
export function interfaceNotKnown(check: string): Finding {
  return notChecked(check, 'the network interface of this machine is not known', 'run it on a node');
}
