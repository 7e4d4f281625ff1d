/** Members of net-conf whose values nobody is to see: flannel's ali-vpc takes an access key there. */
import { hiddenText, Secret } from '../core/secret.ts';

/** By its name, also where that is misspelt: `AccessKeyID`, `AccessKeySecret` and the like. */
export function isSecretMember(name: string): boolean {
  return /secret|accesskey|password|token/i.test(name);
}

/** For `JSON.stringify`: shows what stands under a secret member's name as hidden, whatever it is. */
export function hideSecrets(name: string, value: unknown): unknown {
  const isEmpty = value === undefined || value === null || value === '';
  return isSecretMember(name) && !isEmpty ? hiddenText : value;
}

/**
 * One JSON string, and after it what stands under it if it is a member's name; or one without an end, taken whole: looked for anew from
 * each quote in it, it would take the square of its length in steps.
 */
const strings = /("(?:[^"\\]|\\.)*")(?:(\s*:\s*)("(?:[^"\\]|\\.)*"|[-+.\w]+))?|"(?:[^"\\]|\\.)*$/g;

/** A net-conf's text with the values of secret members hidden, and otherwise as it stands. */
export function withoutSecretValues(text: string): string {
  return text.replace(strings, (all: string, name?: string, colon?: string, value?: string) => {
    const isShown =
      name === undefined || colon === undefined || value === '""' || value === 'null' || !isSecretMember(decoded(name));
    return isShown ? all : `${name}${colon}${JSON.stringify(hiddenText)}`;
  });
}

function decoded(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

/** Whether two configurations hold the same secrets, which no text of theirs shows. */
export function haveSameSecrets(a: unknown, b: unknown): boolean {
  return JSON.stringify(secretsIn(a)) === JSON.stringify(secretsIn(b));
}

/** Only for comparison. */
function secretsIn(value: unknown): readonly (readonly [string, string])[] {
  if (value instanceof Secret) return [['', value.reveal()]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    secretsIn(member).map(([path, secret]) => [`${name}.${path}`, secret] as const),
  );
}
