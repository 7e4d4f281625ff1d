/** What Jest wrote of a tier: how many tests passed and failed, in which files, and which of those are run once more (ADR 14). Pure. */
import * as z from 'zod';

const jestResults = z.object({
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ status: z.string() })),
    }),
  ),
});

/** A test file in which something failed. */
export interface FailedFile {
  readonly path: string;
  readonly passed: number;
  /** 1 for one that could not run at all. */
  readonly failed: number;
}

export interface TierResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly failedFiles: readonly FailedFile[];
}

/** Reads Jest's `--outputFile`. @throws Error when it is something else. */
export function readResults(text: string): TierResult {
  const { testResults, numPendingTests, numTodoTests } = jestResults.parse(JSON.parse(text));
  const files = testResults.map(({ name, status, assertionResults }) => {
    const count = (of: string): number => assertionResults.filter((each) => each.status === of).length;
    return { path: name, passed: count('passed'), failed: Math.max(count('failed'), status === 'failed' ? 1 : 0) };
  });
  return {
    passed: sum(files, 'passed'),
    failed: sum(files, 'failed'),
    skipped: numPendingTests + numTodoTests,
    failedFiles: files.filter(({ failed }) => failed > 0),
  };
}

/** With more failed files in all tiers it is the change, not the moment. */
const mostAgain = 3;

/** Tiers that ran beside others and the failed files of each that are to run once more, alone. None when there are too many. */
export function toRunAgain<Tier>(results: ReadonlyMap<Tier, TierResult>): ReadonlyMap<Tier, readonly string[]> {
  const failed = [...results].filter(([, { failedFiles }]) => failedFiles.length > 0);
  if (failed.flatMap(([, { failedFiles }]) => failedFiles).length > mostAgain) return new Map();
  return new Map(failed.map(([tier, { failedFiles }]) => [tier, failedFiles.map(({ path }) => path)]));
}

/** The result of a tier whose failed files ran once more. What failed outside of files still counts. */
export function withSecondRun(first: TierResult, second: TierResult): TierResult {
  return {
    passed: first.passed - sum(first.failedFiles, 'passed') + second.passed,
    failed: first.failed - sum(first.failedFiles, 'failed') + second.failed,
    skipped: first.skipped,
    failedFiles: second.failedFiles,
  };
}

function sum(files: readonly FailedFile[], kind: 'passed' | 'failed'): number {
  return files.reduce((total, file) => total + file[kind], 0);
}
