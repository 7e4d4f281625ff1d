/** Lists whose pages have no end, at each provider's own way of reading pages. */
import { describe, expect, it } from '@jest/globals';
import { allByNumber, allByToken } from '../../../providers/ali-vpc/pages.ts';
import { allPages } from '../../../providers/aws-vpc/pages.ts';
import { PageTrail } from '../../../providers/page-trail.ts';

describe('the trail of a list', () => {
  it('goes on to pages that were not there yet, and to a thousand of them', () => {
    const trail = new PageTrail();
    const went = Array.from({ length: 1_500 }, (_, at) => trail.goesOnTo(`page ${at}`)).filter(Boolean);
    expect(went).toHaveLength(1_000);
  });

  it('goes in no circle, and by no token that is none', () => {
    const trail = new PageTrail();
    expect(['a', 'b', 'a', 'x'.repeat(10_001), 'c'].map((token) => trail.goesOnTo(token))).toEqual([
      ...[true, true, false, false, true],
    ]);
  });
});

describe.each<
  readonly [string, (read: () => { items: readonly number[]; next: string; total: number }) => Promise<unknown>]
>([
  ['EC2', (read) => allPages(1_000, async () => read())],
  ['Alibaba Cloud, by tokens', (read) => allByToken(async () => read())],
  ['Alibaba Cloud, by numbers', (read) => allByNumber(10, async () => read())],
])('pages of %s', (_, all) => {
  it('that go on and on end in words', async () => {
    let pages = 0;
    const read = () => ({ items: [pages++], next: `page ${pages}`, total: 1e300 });
    await expect(all(read)).rejects.toMatchObject({
      code: 'TRANSIENT',
      message: expect.stringContaining('have no end'),
    });
    expect(pages).toBeLessThanOrEqual(1_001);
  });
});

it('half a million entries of one page are taken as they are', async () => {
  const items = Array.from({ length: 500_000 }, (_, at) => at);
  expect(await allPages(1_000, async () => ({ items, next: undefined }))).toHaveLength(500_000);
  expect(await allByToken(async () => ({ items, next: undefined }))).toHaveLength(500_000);
  expect(await allByNumber(10, async () => ({ items, total: 1 }))).toHaveLength(500_000);
});
