/** Numbers of things, in words. */

/** `2 errors, 1 warning`: what there is none of is left out. */
export function counts(...of: readonly (readonly [count: number, noun: string, after?: string])[]): string {
  return of
    .filter(([count]) => count > 0)
    .map(([count, noun, after]) => `${count} ${noun}${count === 1 ? '' : 's'}${after === undefined ? '' : ` ${after}`}`)
    .join(', ');
}
