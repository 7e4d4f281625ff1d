/** Answers that come in pages: by tokens, or by numbers. One request a page, one after the other. */
import type { ApiParameters } from './api.ts';

/** Everything of a list whose pages are chained by tokens. */
export async function allByToken<Item>(
  read: (page: ApiParameters) => Promise<{ readonly items: readonly Item[]; readonly next: string | undefined }>,
): Promise<readonly Item[]> {
  const all: Item[] = [];
  let page: ApiParameters = {};
  for (;;) {
    const { items, next } = await read(page);
    all.push(...items);
    if (next === undefined) return all;
    page = { NextToken: next };
  }
}

/** Everything of a list whose pages are numbered; `pageSize` is the most of the operation, or less in tests. */
export async function allByNumber<Item>(
  pageSize: number,
  read: (page: ApiParameters) => Promise<{ readonly items: readonly Item[]; readonly total: number }>,
): Promise<readonly Item[]> {
  const all: Item[] = [];
  for (let number = 1; ; number += 1) {
    const { items, total } = await read({ PageNumber: String(number), PageSize: String(pageSize) });
    all.push(...items);
    if (items.length === 0 || number * pageSize >= total) return all;
  }
}

/** The values in groups of at most `size`, each once. */
export function* chunks<Item>(values: readonly Item[], size: number): Generator<readonly Item[]> {
  const distinct = [...new Set(values)];
  for (let start = 0; start < distinct.length; start += size) yield distinct.slice(start, start + size);
}

/** A list as parameters: `Name.1`, `Name.2`, …. */
export function numbered(name: string, values: readonly string[]): ApiParameters {
  return Object.fromEntries(values.map((value, index) => [`${name}.${index + 1}`, value]));
}
