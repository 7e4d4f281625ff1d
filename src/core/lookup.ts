/** Tables of words that others say. */

/** What the table has under that word itself. `constructor` and the like, which every object has, are no words of it. */
export function lookUp<T>(table: Readonly<Record<string, T>>, word: string): T | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
