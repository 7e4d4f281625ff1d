/** The two ways in which the APIs cut lists: numbered pages, and tokens that stay true while the list changes. */
import { refusals } from './refusals.ts';

export function numberedPage<T>(
  all: readonly T[],
  { PageNumber, PageSize }: { readonly PageNumber: number; readonly PageSize: number },
): { readonly items: readonly T[]; readonly counts: Readonly<Record<string, number>> } {
  const start = (PageNumber - 1) * PageSize;
  return { items: all.slice(start, start + PageSize), counts: { TotalCount: all.length, PageNumber, PageSize } };
}

/**
 * The items after the one that the token names. `keyOf` rises along the list.
 * @throws Refusal for a token that this list did not give: tokens of other filters are refused as well.
 */
export function tokenPage<T>(
  all: readonly T[],
  keyOf: (item: T) => number,
  page: { readonly size: number; readonly token: string | undefined; readonly filter: object },
): { readonly items: readonly T[]; readonly next: string } {
  const mark = JSON.stringify(page.filter);
  let after = Number.NEGATIVE_INFINITY;
  if (page.token !== undefined && page.token !== '') {
    const text = Buffer.from(page.token, 'base64url').toString();
    const space = text.indexOf(' ');
    after = Number(text.slice(0, space));
    if (space < 1 || !Number.isFinite(after) || text.slice(space + 1) !== mark) {
      throw refusals.illegal('NextToken', 'it is not of this list');
    }
  }
  const left = all.filter((item) => keyOf(item) > after);
  const items = left.slice(0, page.size);
  const last = items.at(-1);
  const more = last !== undefined && left.length > items.length;
  return { items, next: more ? Buffer.from(`${keyOf(last)} ${mark}`).toString('base64url') : '' };
}
