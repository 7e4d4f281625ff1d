/**
 * Reads JSON objects as Go's decoder does, which is how flannel reads net-conf: member names match in any case, the last of
 * several wins, unknown ones are ignored. Here the ignored ones are named, since most of them are misspelt.
 */
import { plainText } from '../core/plain-text.ts';
import { nearest } from '../core/suggest.ts';
import { ownersOf } from './member-owners.ts';

export interface Members {
  /** Values by canonical name. */
  readonly values: Readonly<Record<string, unknown>>;
  /** One line for each member that means nothing. */
  readonly warnings: readonly string[];
}

/** In front of the members of `Backend`, of which another type may have those that this one has not. */
const backendPath = 'Backend.';

/** Names that mean nothing and are named. Who has more has another document in mind. */
const mostWarnings = 20;

/** True for a JSON object, which an array and null are not. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Matches the members of `object` with the known names; `path` goes in front of names in warnings. */
export function readMembers(
  object: Readonly<Record<string, unknown>>,
  known: readonly string[],
  path: string,
): Members {
  const canonical = new Map(known.map((name) => [name.toLowerCase(), name]));
  const values: Record<string, unknown> = {};
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(object)) {
    const match = canonical.get(name.toLowerCase());
    if (match !== undefined) {
      values[match] = value;
      continue;
    }
    const meant = nearest(name.slice(0, 64), known);
    const owners = path === backendPath ? ownersOf(name) : '';
    const hint = owners || (meant === undefined ? '' : `; did you mean ${path}${meant}?`);
    warnings.push(`${path}${plainText(name, 64)} is not known and was ignored${hint}`);
  }
  const more = warnings.length - mostWarnings;
  if (more > 0) warnings.splice(mostWarnings, more, `${more} more members are not known and were ignored`);
  return { values, warnings };
}
