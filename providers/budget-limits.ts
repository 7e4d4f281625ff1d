/** How much of a cloud's API one process may use. */

export interface BucketLimits {
  /** Calls that may be made at once. */
  readonly capacity: number;
  readonly refillPerSecond: number;
}

export interface BudgetLimits {
  readonly reads: BucketLimits;
  readonly writes: BucketLimits;
  /** Calls under way at the same time. One that waits for its turn or for its next try is not under way. */
  readonly inFlight: number;
  /** Tries of one call, the first included. */
  readonly attempts: number;
  /** For how long a call that failed may be tried again, milliseconds. */
  readonly deadlineMs: number;
}

/** Half of what EC2 publishes (Describe 20/s with a bucket of 100, route writes 5/s with 50), shared by nobody knows how many. */
export const defaultBudget: BudgetLimits = {
  reads: { capacity: 50, refillPerSecond: 10 },
  writes: { capacity: 25, refillPerSecond: 2.5 },
  inFlight: 8,
  attempts: 8,
  deadlineMs: 120_000,
};
