/** EC2’s answers, hostile, by the real SDK and the clients of metadata and credentials. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { answersEndWell } from '../../clouds/hostile/answers-end-well.ts';
import { createAwsHostileLab } from '../../clouds/hostile/aws-lab.ts';
import { tryNamed, whole } from '../../clouds/hostile/named-case.ts';

let lab: Awaited<ReturnType<typeof createAwsHostileLab>>;

beforeAll(async () => {
  lab = await createAwsHostileLab();
});
afterAll(() => lab?.stop());

const page = '<html><body>Log in to the hotel network</body></html>';

describe('EC2’s answers that were found to do harm', () => {
  it('as a page of somebody else’s are no route that was created, and no VPC without network interfaces', async () => {
    const created = await tryNamed(lab, { operation: 'create', from: /Action=CreateRoute/, turn: whole(page) });
    expect(created.error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('not what EC2 sends') });

    const resolved = await tryNamed(lab, {
      operation: 'resolve',
      from: /DescribeNetworkInterfaces/,
      turn: whole(page),
    });
    expect(resolved.error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('not what EC2 sends') });
  });

  it('that drip end by the call’s own deadline, a read’s too', async () => {
    const { error, ms } = await tryNamed(lab, {
      ...{ operation: 'tables', from: /DescribeRouteTables/, hurried: true },
      turn: ({ status, headers }) => ({ kind: 'endless', status, headers, start: '<', piece: ' ', pauseMs: 40 }),
    });
    expect(error).toMatchObject({
      code: 'TRANSIENT',
      message: expect.stringContaining('no answer before the deadline'),
    });
    // Half a minute by the lab’s clock, and not the two minutes of a budget.
    expect(ms).toBeLessThan(5_000);
  });

  it.each([
    ['the Region', /^(PUT|GET) \/latest/],
    ['the keys', /security-credentials/],
  ])('of a metadata server that breaks off in the middle of %s don’t hold calls for ever', async (_, from) => {
    const { error } = await tryNamed(lab, {
      ...{ operation: 'tables', from, hurried: true },
      turn: ({ status, headers, body }) => ({ kind: 'cut', status, headers, body: `${body}x`, chunked: true }),
    });
    expect(error?.code).toMatch(/^(METADATA_UNAVAILABLE|CONFIG_INVALID|TRANSIENT)$/);
  });

  it('in pages that have no end are refused', async () => {
    const { error } = await tryNamed(lab, {
      operation: 'tables',
      from: /DescribeRouteTables/,
      turn: ({ status, headers, body }) => ({
        ...{ kind: 'whole', status, headers },
        body: body.replace(/<\/\w+>\s*$/, (end) => `<nextToken>again</nextToken>${end}`),
      }),
    });
    expect(error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('have no end') });
  });
});

answersEndWell('EC2', () => lab);
