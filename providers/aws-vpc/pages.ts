/** Answers that come in pages, and questions that must be asked in parts. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { endlessPages, PageTrail } from '../page-trail.ts';

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

/** Everything of all pages; one request a page, one after the other. @throws TRANSIENT where they have no end; what `read` throws. */
export async function allPages<Item>(
  pageSize: number,
  read: (
    page: PageRequest,
  ) => Promise<{ readonly items: readonly Item[] | undefined; readonly next: string | undefined }>,
): Promise<readonly Item[]> {
  const pages: (readonly Item[])[] = [];
  const trail = new PageTrail();
  let token: string | undefined;
  do {
    const page = await read({ MaxResults: pageSize, ...(token === undefined ? {} : { NextToken: token }) });
    pages.push(page.items ?? []);
    token = page.next || undefined;
    if (token !== undefined && !trail.goesOnTo(token)) {
      const { text, hint } = endlessPages('EC2', 'AWS_ENDPOINT_URL_EC2');
      throw new FlannelVpcError('TRANSIENT', text, { hint });
    }
  } while (token !== undefined);
  return pages.flat();
}
