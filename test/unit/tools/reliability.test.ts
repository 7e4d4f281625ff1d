/** docs/reliability.md is made from rows alone. */
import { expect, test } from '@jest/globals';
import { reliabilityDocument } from '../../../tools/reliability-document.ts';
import { type Figure, figureSchema } from '../../support/figures.ts';

const fault: Figure = {
  ...{ section: 'store', what: 'etcd killed | started again', load: '3 nodes, 5 s', size: 'ci' },
  packets: { sent: 12_345, lost: 7 },
  streams: { bytes: 100, broken: 0, longestPauseMs: 1_240 },
  ...{ outcome: 'nothing deleted', why: 'a node was gone' },
};
const input: Figure = { section: 'input', what: 'net-conf', load: '2,000 cases', size: 'ci', outcome: '0 crashes' };

test('a row says what was lost, of how much, and why', () => {
  const text = reliabilityDocument([fault, input]);
  expect(text).toContain(
    '| etcd killed \\| started again | 3 nodes, 5 s | 7 of 12,345 | 0 broken, longest pause 1,240 ms | nothing deleted. Why packets could be lost: a node was gone |',
  );
});

test('a section without traffic has no columns for it', () => {
  expect(reliabilityDocument([fault, input])).toContain(
    '| what | load | outcome |\n| --- | --- | --- |\n| net-conf | 2,000 cases | 0 crashes |',
  );
});

test('the order of rows is not that of the files', () => {
  const other = { ...input, what: 'a lease' };
  expect(reliabilityDocument([input, other])).toBe(reliabilityDocument([other, input]));
});

test.each([{ section: 'other' }, { packets: { sent: 1 } }, { outcome: '' }, { more: 1 }])('%j is no row', (wrong) => {
  expect(figureSchema.safeParse({ ...fault, ...wrong }).success).toBe(false);
});
