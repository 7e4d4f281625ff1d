/** The pages of one list, by what each says of the next one. A list must have an end, whoever answers. Pure. */

/** Most pages of a list: hundreds of thousands of entries. */
const mostPages = 1_000;
/** Longest token or link of a next page, characters. */
const longestToken = 10_000;

export class PageTrail {
  readonly #tokens = new Set<string>();

  /** Whether to go on to the next page: not in a circle, not beyond what any list has, and not by what is no token. */
  goesOnTo(token: string): boolean {
    if (this.#tokens.has(token) || this.#tokens.size >= mostPages || token.length > longestToken) return false;
    this.#tokens.add(token);
    return true;
  }
}

/**
 * What is said of a list that leads in a circle, or on and on: the message and its hint. `cloud` is whose answers these should be, `variable`
 * the environment's by which another server may have been named in its place.
 */
export function endlessPages(cloud: string, variable: string): { readonly text: string; readonly hint: string } {
  return {
    text: `the pages of ${cloud}’s answer have no end`,
    hint: `see whether something else answers in place of ${cloud} (${variable}, a proxy)`,
  };
}
