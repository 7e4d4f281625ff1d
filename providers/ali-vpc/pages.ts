/** Answers that come in pages: by tokens, or by numbers. One request a page, one after the other. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { endlessPages, PageTrail } from '../page-trail.ts';
import type { ApiParameters } from './api.ts';

/** Most numbered pages of a list, whatever total it tells: a VPC has some dozens of tables and vSwitches. */
const mostNumbered = 100;

/** Everything of a list whose pages are chained by tokens. @throws TRANSIENT where they have no end; what `read` throws. */
export async function allByToken<Item>(
  read: (page: ApiParameters) => Promise<{ readonly items: readonly Item[]; readonly next: string | undefined }>,
): Promise<readonly Item[]> {
  const pages: (readonly Item[])[] = [];
  const trail = new PageTrail();
  let page: ApiParameters = {};
  for (;;) {
    const { items, next } = await read(page);
    pages.push(items);
    if (next === undefined) return pages.flat();
    if (!trail.goesOnTo(next)) throw withoutEnd();
    page = { NextToken: next };
  }
}

/**
 * Everything of a list whose pages are numbered; `pageSize` is the most of the operation, or less in tests. @throws TRANSIENT where they
 * have no end; what `read` throws.
 */
export async function allByNumber<Item>(
  pageSize: number,
  read: (page: ApiParameters) => Promise<{ readonly items: readonly Item[]; readonly total: number }>,
): Promise<readonly Item[]> {
  const pages: (readonly Item[])[] = [];
  for (let number = 1; number <= mostNumbered; number += 1) {
    const { items, total } = await read({ PageNumber: String(number), PageSize: String(pageSize) });
    pages.push(items);
    if (items.length === 0 || number * pageSize >= total) return pages.flat();
  }
  throw withoutEnd();
}

function withoutEnd(): FlannelVpcError {
  const { text, hint } = endlessPages('Alibaba Cloud', 'FLANNEL_VPC_ALIBABA_ENDPOINT');
  return new FlannelVpcError('TRANSIENT', text, { hint });
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
