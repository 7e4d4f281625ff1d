/** The program's own planner and executor on a provider and a store, in any process. */
import type { LeaseStore } from '../../../lease/lease-store.ts';
import type { OwnershipStore } from '../../../lease/ownership-store.ts';
import type { CloudProvider } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import type { DesiredRoute } from '../../../src/routing/desired.ts';
import { createRouteReconciler, type PassResult } from '../../../src/routing/reconciler.ts';
import { defaultDeletionPolicy } from '../../../src/routing/route-plan.ts';
import { networks, signal } from './limits.ts';

export interface LookParts {
  readonly provider: CloudProvider;
  readonly ownership: OwnershipStore;
  readonly leases: Pick<LeaseStore, 'list'>;
}

/** What a process with these parts does at each look. */
export function reconciling(
  parts: LookParts,
  place: { readonly tableIds: readonly string[]; readonly networkId: string },
): (desired: readonly DesiredRoute[]) => Promise<PassResult> {
  const reconciler = createRouteReconciler({
    ...parts,
    ...{ networks, scope: { kind: 'all' }, clock: systemClock, logger: silentLogger },
    // One look is enough here: a test need not wait for the next.
    policy: { ...defaultDeletionPolicy, requiredAbsences: 1, allowMassDelete: true },
  });
  const selector = { ...place, subnetIds: [] };
  return async (desired) => await reconciler.pass({ desired, selector, resync: true }, signal(60_000));
}
