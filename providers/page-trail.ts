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
