/** All leases of the network as a watch tells them, for who acts on the whole list whenever it changes. */
import type { Lease, LeaseKey } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { LeaseStore } from '../../lease/lease-store.ts';

export class FollowedLeases {
  readonly #leases = new Map<LeaseKey, Lease>();
  #listed = false;

  /** False before the first list: nothing is known then, and so nothing is stale. */
  get listed(): boolean {
    return this.#listed;
  }

  /** Empty before the first list. */
  all(): readonly Lease[] {
    return [...this.#leases.values()];
  }

  /** Follows the store until the signal fires; `onChange` after each change. */
  async follow(store: Pick<LeaseStore, 'watch'>, onChange: () => void, signal: AbortSignal): Promise<void> {
    for await (const event of store.watch(signal)) {
      if (event.kind === 'snapshot') {
        this.#leases.clear();
        for (const lease of event.list.leases) this.#leases.set(leaseKey(lease.subnets), lease);
        this.#listed = true;
      } else {
        for (const lease of event.put) this.#leases.set(leaseKey(lease.subnets), lease);
        for (const key of event.removed) this.#leases.delete(key);
      }
      onChange();
    }
  }
}
