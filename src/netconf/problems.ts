/** What is wrong with a net-conf, in a form for people and programs. */

import { plainText } from '../core/plain-text.ts';
import { hiddenText } from '../core/secret.ts';
import { hideSecrets, isSecretMember } from './secrets.ts';

/**
 * What an agent does about a problem, as flannel does: `wait` for somebody to store a better net-conf, or `exit`, because the
 * net-conf is well-formed and asks for what this program can't do.
 */
export type Severity = 'wait' | 'exit';

export interface NetConfProblem {
  /** Path of the member, such as `Backend.RouteTableID`; `''` for the document as a whole. */
  readonly field: string;
  /** What stands there, as JSON text cut to a bearable length; undefined where nothing does. */
  readonly value: string | undefined;
  /** What may stand there. */
  readonly allowed: string;
  /** What is wrong, as one sentence: flannel's own text where flannel has one. */
  readonly text: string;
  readonly severity: Severity;
  /** Everything above as one line. */
  readonly message: string;
}

/** Makes a problem; `value` is any JSON value. What stands under the name of a secret member is not shown. */
export function problem(
  field: string,
  value: unknown,
  text: string,
  allowed: string,
  severity: Severity = 'wait',
): NetConfProblem {
  const shown = value === undefined ? undefined : shorten(textOf(field, value));
  const where = field === '' ? '' : `${field}: `;
  const found = shown === undefined ? '' : ` (found ${shown})`;
  return {
    field,
    value: shown,
    allowed,
    text,
    severity,
    message: plainText(`${where}${text}${found}; allowed: ${allowed}`),
  };
}

function textOf(field: string, value: unknown): string {
  if (isSecretMember(field)) return JSON.stringify(hiddenText);
  return JSON.stringify(value, hideSecrets) ?? String(value);
}

const longest = 80;

function shorten(text: string): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}…`;
}
