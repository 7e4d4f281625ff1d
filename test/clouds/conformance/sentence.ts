/** The suite as data, so that a wrong provider can be held against each sentence by itself. */
import type { Lab } from './lab.ts';

export interface Sentence {
  /** Continues "a provider …". */
  readonly says: string;
  /** Throws where it does not hold. Leaves nothing behind that `Lab.reset` does not take away. */
  readonly holds: (lab: Lab) => Promise<void>;
}

export interface Chapter {
  readonly about: string;
  readonly sentences: readonly Sentence[];
}
