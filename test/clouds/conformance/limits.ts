/** Where the suite's routes lie, and how long it waits for anything. */
import type { RouteNetworks } from '../../../src/routing/networks.ts';
import { cidr } from '../../support/addresses.ts';

/** The pod networks of the suite: what lies inside is ours, or was put there by a sentence. */
export const networks = {
  4: { network: cidr('10.244.0.0/16'), subnetLength: 24 },
  6: { network: cidr('fd00:244::/48'), subnetLength: 64 },
} satisfies RouteNetworks;

/** Fires long after any call should have ended. */
export function signal(ms = 20_000): AbortSignal {
  return AbortSignal.timeout(ms);
}
