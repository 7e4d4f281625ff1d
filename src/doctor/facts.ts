/** What several checks rest on: read once, when first asked for. */

import type { Clock } from '../core/clock.ts';
import { withDeadline } from '../core/deadline.ts';
import { FlannelVpcError } from '../core/errors.ts';

/** Thrown at a check that rests on something another check reports as missing. */
export class NotKnown extends Error {
  override readonly name = 'NotKnown';
  /** What is not known, such as `net-conf`. */
  readonly what: string;

  constructor(what: string) {
    super(`${what} is not known`);
    this.what = what;
  }
}

export interface Fact<T> {
  /** For the check that reports on it. @throws what reading it threw. */
  read(): Promise<T>;
  /** For checks that rest on it. @throws NotKnown. */
  need(): Promise<T>;
}

export type MakeFact = <T>(what: string, effect: (signal: AbortSignal) => Promise<T>) => Fact<T>;

/** Makes facts whose reading ends with the signal, or after `deadlineMs` milliseconds. */
export function createFacts(options: {
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}): MakeFact {
  const { clock, deadlineMs: ms, signal } = options;
  return (what, effect) => {
    let reading: ReturnType<typeof effect> | undefined;
    const error = (): Error => new FlannelVpcError('TRANSIENT', `${what}: no answer within ${ms / 1_000} s`);
    const read = (): ReturnType<typeof effect> => {
      reading ??= withDeadline({ clock, ms, signal, error }, effect);
      return reading;
    };
    return {
      read,
      async need() {
        try {
          return await read();
        } catch (cause) {
          signal.throwIfAborted();
          // What is missing farther down is the better word.
          throw cause instanceof NotKnown ? cause : new NotKnown(what);
        }
      },
    };
  };
}
