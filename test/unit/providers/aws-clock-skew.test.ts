/** What is said of a clock that EC2 does not agree with. */
import { expect, it } from '@jest/globals';
import { createSkewReport } from '../../../providers/aws-vpc/clock-skew.ts';

function said(...offsets: readonly number[]): readonly string[] {
  const lines: string[] = [];
  const line =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      void lines.push(`${level} ${message} ${fields['clock'] ?? ''}`.trim());
  const report = createSkewReport({
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
  });
  for (const offset of offsets) report(offset);
  return lines;
}

const minute = 60_000;
const hour = 60 * minute;
const wrong = 'warn this machine’s clock is wrong; requests to EC2 are signed by EC2’s';

it('is said once, with how much and which way, and again when it is another error', () => {
  expect(said(hour, hour + minute, -24 * hour, -24 * hour)).toEqual([
    `${wrong} 60 minutes behind`,
    `${wrong} 24 hours ahead`,
  ]);
});

it('ends with a word that it is right again', () => {
  expect(said(-3_652 * 24 * hour, 0, 0)).toEqual([
    `${wrong} 3652 days ahead`,
    'info this machine’s clock agrees with EC2’s again',
  ]);
});

it('is nothing below what EC2 tolerates', () => {
  expect(said(0, 4 * minute, -4 * minute, 0)).toEqual([]);
});
