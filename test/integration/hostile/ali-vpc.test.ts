/** Alibaba Cloud’s answers, hostile, by the real SDK and the clients of metadata and credentials. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAlibabaHostileLab } from '../../clouds/hostile/alibaba-lab.ts';
import { answersEndWell } from '../../clouds/hostile/answers-end-well.ts';
import { tryNamed, whole } from '../../clouds/hostile/named-case.ts';
import { until } from '../../support/until.ts';

let lab: Awaited<ReturnType<typeof createAlibabaHostileLab>>;

beforeAll(async () => {
  lab = await createAlibabaHostileLab();
});
afterAll(() => lab?.stop());

describe('Alibaba Cloud’s answers that were found to do harm', () => {
  it.each([
    ['create', /CreateRouteEntry/],
    ['tables', /DescribeRouteEntryList/],
    ['resolve', /DescribeNetworkInterfaces/],
  ])('to %s that are none of its are no success and no empty list', async (operation, from) => {
    const { error } = await tryNamed(lab, { operation, from, turn: whole('{}') });
    expect(error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('no RequestId') });
  });

  it('without an end are cut off by their length', async () => {
    const { error } = await tryNamed(lab, {
      ...{ operation: 'tables', from: /DescribeRouteEntryList/ },
      turn: ({ status, headers }) => ({
        ...{ kind: 'endless', status, headers, start: '{"a":"', pauseMs: 0 },
        piece: 'x'.repeat(1 << 20),
      }),
    });
    expect(error).toMatchObject({ code: 'TRANSIENT' });
    await until('the end of the answer', async () => lab.cloud.mostTaken > 0);
    expect(lab.cloud.mostTaken).toBeLessThan(96 << 20);
  });

  it('are no longer read by anybody once the caller has given up', async () => {
    let closed = false;
    const { error } = await tryNamed(lab, {
      ...{ operation: 'tables', from: /DescribeRouteEntryList/, givesUpMs: 100 },
      turn: ({ status, headers }) => ({
        ...{ kind: 'endless', status, headers, start: '{', piece: ' ', pauseMs: 20 },
        onClose: () => (closed = true),
      }),
    });
    expect(error).toMatchObject({ code: 'TRANSIENT' });
    await until('the end of the connection', async () => closed);
  });

  it('that count to a thousand million are not followed there', async () => {
    let first: string | undefined;
    const { error } = await tryNamed(lab, {
      ...{ operation: 'tables of the subnet', from: /DescribeRouteTableList/ },
      turn({ status, headers, body }) {
        first ??= body.replace(/"TotalCount":\d+/, '"TotalCount":1000000000');
        return { kind: 'whole', status, headers, body: first };
      },
    });
    expect(error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('have no end') });
  });
});

answersEndWell('Alibaba Cloud', () => lab);
