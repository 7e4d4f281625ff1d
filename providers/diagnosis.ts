/** What `doctor` finds: of the cloud by its provider, of the node and the store by the program. */

export type FindingStatus = 'ok' | 'warning' | 'failed';

export interface Finding {
  /** Stable words, such as `iam ec2:CreateRoute (rtb-1)`, for tests and for people who grep. */
  readonly check: string;
  readonly status: FindingStatus;
  /** One sentence: what was found, with the value. */
  readonly found: string;
  /** What to do. Always there unless ok. */
  readonly remedy?: string | undefined;
}
