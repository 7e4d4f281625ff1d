/** Answers that come in pages, and questions that must be asked in parts. */

/** Values one filter may have ("Filter" in the EC2 API reference). */
const maxFilterValues = 200;

/** A filter of a Describe request. */
export interface Ec2Filter {
  readonly Name: string;
  readonly Values: string[];
}

/** The distinct values, in groups that fit one filter each. */
export function* filterChunks(values: readonly string[]): Generator<string[]> {
  const distinct = [...new Set(values)];
  for (let start = 0; start < distinct.length; start += maxFilterValues)
    yield distinct.slice(start, start + maxFilterValues);
}

/** What every paged request has beside its filters. */
export interface PageRequest {
  readonly MaxResults: number;
  readonly NextToken?: string;
}

/** Everything of all pages; one request a page, one after the other. */
export async function allPages<Item>(
  pageSize: number,
  read: (
    page: PageRequest,
  ) => Promise<{ readonly items: readonly Item[] | undefined; readonly next: string | undefined }>,
): Promise<readonly Item[]> {
  const all: Item[] = [];
  let token: string | undefined;
  do {
    const page = await read({ MaxResults: pageSize, ...(token === undefined ? {} : { NextToken: token }) });
    all.push(...(page.items ?? []));
    token = page.next || undefined;
  } while (token !== undefined);
  return all;
}
