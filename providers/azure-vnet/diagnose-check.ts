/** What the checks of a diagnosis have in common. */
import type { Finding } from '../diagnosis.ts';

/** One check that rests on reads. Throws what they throw. */
export interface Check {
  readonly check: string;
  run(): Promise<readonly Finding[]>;
}
