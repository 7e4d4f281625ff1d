/** How findings are made and grouped. */
import type { Finding } from '../../providers/diagnosis.ts';
import { errorMessage, isFlannelVpcError } from '../core/errors.ts';

export type { Finding, FindingStatus } from '../../providers/diagnosis.ts';

/** In the order they are shown: what later ones rest on comes first. */
export const groups = ['store', 'net-conf', 'cloud', 'routes', 'node'] as const;
export type Group = (typeof groups)[number];

export interface FindingGroup {
  readonly group: Group;
  readonly findings: readonly Finding[];
}

export function ok(check: string, found: string): Finding {
  return { check, status: 'ok', found };
}

export function warning(check: string, found: string, remedy: string): Finding {
  return { check, status: 'warning', found, remedy };
}

export function failed(check: string, found: string, remedy: string): Finding {
  return { check, status: 'failed', found, remedy };
}

/** What a check comes to that ended by an error. Its hint, where it has one, is the remedy. */
export function fromError(check: string, error: unknown, status: 'warning' | 'failed', remedy: string): Finding {
  const hint = isFlannelVpcError(error) ? error.hint : undefined;
  return { check, status, found: errorMessage(error), remedy: hint ?? remedy };
}
