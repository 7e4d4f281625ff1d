/** What passes for an answer of EC2's, before the SDK reads it. */
import { expect, it } from '@jest/globals';
import { isAnswerTo } from '../../../providers/aws-vpc/answer-guard.ts';

const content = '<requestId>r</requestId>';
const answer = (text: string): boolean => isAnswerTo('DescribeRouteTables', Buffer.from(text));

it.each([
  [
    'as EC2 writes it',
    `<?xml version="1.0" encoding="UTF-8"?>\n<DescribeRouteTablesResponse xmlns="x">${content}</DescribeRouteTablesResponse>`,
  ],
  ['without a declaration', `<DescribeRouteTablesResponse>${content}</DescribeRouteTablesResponse>\n`],
  ['of megabytes', `<DescribeRouteTablesResponse>${'<a/>'.repeat(1 << 20)}</DescribeRouteTablesResponse>`],
])('%s it is one', (_, text) => {
  expect(answer(text)).toBe(true);
});

it.each([
  ['empty', ''],
  ['a page', '<html><body>DescribeRouteTablesResponse</body></html>'],
  ['to something else', `<CreateRouteResponse>${content}</CreateRouteResponse>`],
  ['to something with a longer name', '<DescribeRouteTablesResponseMore></DescribeRouteTablesResponse>'],
  ['without its end', `<DescribeRouteTablesResponse>${content}`],
  [
    'of a document type, whose entities unfold',
    `<!DOCTYPE DescribeRouteTablesResponse [<!ENTITY a "b">]><DescribeRouteTablesResponse>&a;</DescribeRouteTablesResponse>`,
  ],
  ['JSON', '{}'],
])('%s it is none', (_, text) => {
  expect(answer(text)).toBe(false);
});
