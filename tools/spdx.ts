/** Licence expressions by SPDX's grammar: identifiers, AND, OR and brackets; `WITH` and `+` are not used by any package here. */

/** What packages say in words of their own. */
const corrections: Readonly<Record<string, string>> = { 'Apache License 2.0': 'Apache-2.0' };

/** The expression by SPDX's names. */
export function spdxOf(said: string): string {
  return corrections[said] ?? said;
}

/** True for a single identifier. */
export function isIdentifier(expression: string): boolean {
  return /^[\w.-]+$/.test(expression);
}

/**
 * Whether somebody who may use only these licences may use what has this one: with OR one of them is enough, AND needs all, and binds
 * tighter.
 *
 * @throws Error for what is no expression.
 */
export function isAllowed(expression: string, allowed: ReadonlySet<string>): boolean {
  const words = expression.match(/[()]|[^\s()]+/g) ?? [];
  let next = 0;
  const result = either();
  if (next < words.length) throw new Error(`not a licence expression: ${expression}`);
  return result;

  function either(): boolean {
    let any = all();
    while (words[next] === 'OR') {
      next++;
      any = all() || any;
    }
    return any;
  }

  function all(): boolean {
    let every = one();
    while (words[next] === 'AND') {
      next++;
      every = one() && every;
    }
    return every;
  }

  function one(): boolean {
    const word = words[next++];
    if (word === '(') {
      const inner = either();
      if (words[next++] !== ')') throw new Error(`a bracket is left open: ${expression}`);
      return inner;
    }
    if (word === undefined || word === 'AND' || word === 'OR' || !isIdentifier(word))
      throw new Error(`not a licence expression: ${expression}`);
    return allowed.has(word);
  }
}
