/**
 * What was sent and has not been seen done yet. Who asks for the same change again goes on waiting for it, and what must be sent once
 * more goes with the same token, so that the cloud takes it for the same request.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../src/core/clock.ts';
import { formatCidr } from '../../src/core/ip.ts';
import type { RouteChange } from '../provider.ts';
import { hopOf } from './entries.ts';

export interface Intent {
  /** ClientToken: at most 64 ASCII characters, one for each intent. */
  readonly token: string;
  /** What it is to come to, for comparison. */
  readonly aim: string;
  /** `maybe`: the answer did not tell. `yes`: the cloud took it on. */
  sent: 'no' | 'maybe' | 'yes';
  /** Monotonic milliseconds of the last sending. */
  at: number;
}

/** An intent that nobody asked for in this time, milliseconds, is over: a token is good for some minutes only. */
const longestMs = 120_000;

export class Intents {
  readonly #clock: Clock;
  readonly #byRoute = new Map<string, Intent>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The intent of this change: the standing one if it is the same, else a new one in its place. */
  of(change: RouteChange): Intent {
    const now = this.#clock.monotonic();
    const key = keyOf(change);
    const standing = this.#byRoute.get(key);
    const aim = aimOf(change);
    if (standing?.aim === aim && now - standing.at < longestMs) return standing;
    const made: Intent = { token: randomUUID(), aim, sent: 'no', at: now };
    this.#byRoute.set(key, made);
    return made;
  }

  /** It is done, or will not be. */
  forget(change: RouteChange): void {
    this.#byRoute.delete(keyOf(change));
  }
}

function keyOf({ tableId, destination }: RouteChange): string {
  return `${tableId} ${formatCidr(destination)}`;
}

function aimOf(change: RouteChange): string {
  if (change.action === 'delete') return `delete ${change.expected.id}`;
  return `${change.action} ${hopOf(change.nextHop, change.destination).id}`;
}
