/** "Did you mean": the nearest of a set of known words. */
import { closest, distance } from 'fastest-levenshtein';

/** The known word nearest to `word`, when few enough letters differ that it was probably meant. Case does not count. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word === '' || known.length === 0) return undefined;
  const lower = word.toLowerCase();
  const byLower = new Map(known.map((name) => [name.toLowerCase(), name]));
  const best = closest(lower, [...byLower.keys()]);
  return distance(lower, best) <= (best.length < 5 ? 1 : Math.max(2, Math.floor(best.length / 3)))
    ? byLower.get(best)
    : undefined;
}
