/** One of a diagnosis's questions. */
import type { Finding } from '../diagnosis.ts';

/** A check that rests on reads which a role may lack. */
export interface Check {
  readonly check: string;
  /** Throws what its reads throw. */
  run(): Promise<readonly Finding[]>;
}
