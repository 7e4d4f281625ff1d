/** When the prober does what. Pure, but for the randomness handed in. */
import { jitter, type Random } from '../core/clock.ts';
import { type Damped, isReady, type ProbeState } from './verdict.ts';

/** Rounds of a group without an answer before other looks are made. */
export const silentRoundsBeforeLook = 3;
/** Pause between two looks at the nodes of a silent group, milliseconds. */
export const lookAgainMs = 15_000;

const eagerMs = 500;
/** How long a node that waits probes eagerly. */
const eagerForMs = 60_000;
const patientMs = 5_000;

/** Milliseconds until the next round, unless something happens before. */
export function pauseBefore(
  { verdict, failures }: Damped,
  times: { readonly intervalMs: number; readonly waitingMs: number; readonly random: Random },
): number {
  if (!isReady(verdict)) return times.waitingMs < eagerForMs ? eagerMs : jitter(patientMs, 0.2, times.random);
  // After a failure it is asked again soon, so that damping lasts about one interval and not three; and what is not proven may be soon.
  const soon = failures > 0 || verdict.state === 'unproven';
  return jitter(soon ? times.intervalMs / 3 : times.intervalMs, 0.2, times.random);
}

/** A pause that doubles with each use up to a longest one, with jitter, and can start over. For reads that all nodes may make at once. */
export interface Backoff {
  due(now: number): boolean;
  used(now: number): void;
  reset(): void;
}

export function createBackoff(baseMs: number, maxMs: number, random: Random): Backoff {
  let nextMs = baseMs;
  let at = -Infinity;
  return {
    due: (now) => now >= at,
    used(now) {
      at = now + jitter(nextMs, 0.2, random);
      nextMs = Math.min(maxMs, nextMs * 2);
    },
    reset() {
      nextMs = baseMs;
    },
  };
}

/** Whether the list of peers may be worth another read: never while those that are known answer. */
export function wantsPeers(state: ProbeState, anySilent: boolean): boolean {
  return state !== 'proven' || anySilent;
}
