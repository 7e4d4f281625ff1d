import { expect, it } from '@jest/globals';
import { readResults, type TierResult, toRunAgain, withSecondRun } from '../../../tools/test-results.ts';

/** What Jest writes of files: per file the status of each test, and whether it could run. */
function written(files: Readonly<Record<string, readonly string[]>>, broken: readonly string[] = []): TierResult {
  const testResults = Object.entries(files).map(([name, statuses]) => ({
    ...{ name, status: broken.includes(name) || statuses.includes('failed') ? 'failed' : 'passed' },
    assertionResults: statuses.map((status) => ({ status })),
  }));
  const pending = Object.values(files)
    .flat()
    .filter((status) => status === 'pending').length;
  return readResults(JSON.stringify({ numPendingTests: pending, numTodoTests: 0, testResults }));
}

it('counts tests, and a file that could not run as one that failed', () => {
  const result = written({ a: ['passed', 'failed', 'pending'], b: ['passed'], c: [] }, ['c']);
  expect(result).toEqual({
    ...{ passed: 2, failed: 2, skipped: 1 },
    failedFiles: [
      { path: 'a', passed: 1, failed: 1 },
      { path: 'c', passed: 0, failed: 1 },
    ],
  });
});

it('is no result of Jest', () => {
  expect(() => readResults('{"success":true}')).toThrow();
});

it('runs up to three failed files once more, and none of more', () => {
  const e2e = written({ a: ['failed'], b: ['passed'], c: ['failed'] });
  const faults = written({ d: ['failed', 'failed'] });
  const good = written({ f: ['passed'] });
  const three = new Map(Object.entries({ e2e, faults, good }));
  expect(toRunAgain(three)).toEqual(
    new Map([
      ['e2e', ['a', 'c']],
      ['faults', ['d']],
    ]),
  );
  expect(toRunAgain(new Map([...three, ['release', written({ g: ['failed'] })]]))).toEqual(new Map());
});

it('takes the second result for the files that ran again, and keeps what failed outside of files', () => {
  const first = { ...written({ a: ['passed', 'failed'], b: ['passed', 'passed'] }), failed: 2 };
  expect(withSecondRun(first, written({ a: ['passed', 'passed'] }))).toMatchObject({
    passed: 4,
    failed: 1,
    failedFiles: [],
  });
  expect(withSecondRun(first, written({ a: ['failed', 'passed'] }))).toMatchObject({ passed: 3, failed: 2 });
});
