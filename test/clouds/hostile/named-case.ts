/** One case by the names of what is asked and of what comes back, for faults that were found. */
import { expect } from '@jest/globals';
import { systemClock } from '../../../src/core/clock.ts';
import { type HostileLab, type HostileOutcome, longestMs, tryHostile } from './hostile-lab.ts';
import type { HonestAnswer, Hostility } from './hostility.ts';
import type { Sending } from './sending.ts';

export interface NamedCase {
  readonly operation: string;
  /** Which requests: from the first one on that fits, all. By its method, path, action and body. */
  readonly from: RegExp;
  /** The caller gives up so many milliseconds after the first of them; waits for as long as the provider when absent. */
  readonly givesUpMs?: number | undefined;
  /** The provider's own deadlines are what ends it, and come sooner. Else a busy machine would meet them before what is looked for. */
  readonly hurried?: boolean;
  turn(honest: HonestAnswer, elsewhere: string): Sending;
}

/** Strikes the requests that fit. @throws where a promise is broken, or where none was struck. */
export async function tryNamed(lab: HostileLab, named: NamedCase): Promise<HostileOutcome> {
  const operation = lab.operations.find(({ name }) => name === named.operation);
  if (!operation) throw new Error(`no operation ${named.operation}`);
  const { givesUpMs, hurried = false } = named;
  const giving = new AbortController();
  const giveUp = (): void => giving.abort(new DOMException('no answer in time', 'TimeoutError'));
  let struck = 0;
  const hostility: Hostility = {
    name: named.operation,
    unusable: false,
    slow: givesUpMs !== undefined,
    turn(honest, elsewhere) {
      struck += 1;
      if (givesUpMs !== undefined) setTimeout(giveUp, givesUpMs);
      return named.turn(honest, elsewhere);
    },
  };
  const strike = { at: 0, onwards: true, hostility, only: named.from };
  const outcome = await tryHostile(lab, operation, strike, {
    ...{ signal: giving.signal, withinMs: longestMs },
    ...(hurried ? {} : { clock: systemClock }),
  });
  expect(struck).toBeGreaterThan(0);
  return outcome;
}

/** The whole of a text, with the honest status. */
export function whole(body: string, headers: Readonly<Record<string, string>> = {}): NamedCase['turn'] {
  return (honest) => ({ kind: 'whole', status: 200, headers: { ...honest.headers, ...headers }, body });
}
