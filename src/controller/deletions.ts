/** Leases that somebody ended on purpose, as far as that is believed at once. */
import type { Lease } from '../../lease/lease.ts';
import { subnetsOf } from '../../lease/lease-key.ts';
import type { Clock } from '../core/clock.ts';
import { type CidrKey, cidrKey } from '../routing/networks.ts';
import type { DeletionPolicy } from '../routing/route-plan.ts';

/** Deletions within this time are counted together, milliseconds. */
const windowMs = 10 * 60_000;

/**
 * A program gone wrong deletes one node after the other, each of them on purpose. From as many on as would wait for a person if they
 * were missing at once, none is believed any more: what is left is missed at looks, as any other, and then does wait.
 */
export class Deletions {
  /** Their destinations, and the revision that each lease had last. Whoever looks takes out those that are back. */
  readonly keys = new Map<CidrKey, string>();
  readonly #clock: Clock;
  readonly #policy: DeletionPolicy;
  #times: readonly number[] = [];

  constructor(clock: Clock, policy: DeletionPolicy) {
    this.#clock = clock;
    this.#policy = policy;
  }

  /** @param leases how many there were at the last look. */
  note({ subnets, revision }: Lease, leases: number): void {
    const now = this.#clock.monotonic();
    this.#times = [...this.#times.filter((at) => now - at < windowMs), now];
    const { allowMassDelete, massDeleteCount, massDeleteShare } = this.#policy;
    if (!allowMassDelete && this.#times.length > Math.max(massDeleteCount, massDeleteShare * leases)) {
      this.keys.clear();
      return;
    }
    for (const subnet of subnetsOf(subnets)) this.keys.set(cidrKey(subnet), revision);
  }
}
