/** This node's lease: getting it, prolonging it, and acting at once when it is lost. */

import type { Lease } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { LeaseRequest, LeaseStore, OwnedLease } from '../../lease/lease-store.ts';
import { backoffMs, type Clock, jitter, type Random } from '../core/clock.ts';
import { errorMessage, FlannelVpcError, isFinalError, isFlannelVpcError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { createRepeatGate } from '../repeats.ts';
import { type Alive, longestRoundMs } from '../watchdog.ts';
import { untilItWorks } from './until-it-works.ts';

/** flannel's TTL of a lease, seconds. */
export const leaseTtlSeconds = 86_400;
/** Pause before another try to renew, as flannel's. */
const renewRetryMs = 60_000;
/** The same where somebody else hands the subnets out: the node may be there again the next moment. */
const renewAgainMs = 5_000;
/** Longest pause between two tries while the network is full. */
const fullRetryMaxMs = 30_000;
/** The same while a Node object waits for its pod CIDR, which is a matter of moments. */
const assignedRetryMaxMs = 10_000;

export interface LeaseKeeperOptions {
  readonly store: LeaseStore;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly onWaiting: (reason: string) => void;
  /** Told why the store has not been heard of lately, and undefined once it is again. The lease stands meanwhile. */
  readonly onOutage: (reason: string | undefined) => void;
  readonly alive?: Alive | undefined;
}

/**
 * Gets a lease, waiting as long as the network is full or the store is away. `beforeRetry` runs between two tries and may end
 * them by throwing; the request is made anew for each. Throws else only what waiting can't mend.
 */
export async function acquireLease(
  options: LeaseKeeperOptions & { readonly beforeRetry: (signal: AbortSignal) => Promise<void> },
  makeRequest: () => Promise<LeaseRequest>,
  signal: AbortSignal,
): Promise<OwnedLease> {
  const maxMs = options.store.allocates ? fullRetryMaxMs : assignedRetryMaxMs;
  return await untilItWorks(
    {
      ...options,
      failing: 'failed to acquire lease',
      isFinal: isFinalError,
      pauseMs: (_, attempt) => backoffMs(attempt, 1_000, maxMs, options.random),
    },
    async () => await options.store.acquire(await makeRequest(), signal),
    signal,
  );
}

/**
 * Keeps the lease until the signal fires: renews it `renewMarginMs` before it ends, creates it again when it vanished.
 *
 * @throws LEASE_LOST when somebody else holds the subnet. There is no second subnet while containers live on the first.
 */
export async function keepLease(
  options: LeaseKeeperOptions & {
    readonly lease: OwnedLease;
    readonly renewMarginMs: number;
    readonly onRenewed: (lease: OwnedLease) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  let lease = options.lease;
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  let renewing: Promise<void> | undefined;
  async function renewOnce(): Promise<void> {
    lease = await renewUntilItWorks(options, lease, both);
    options.onRenewed(lease);
  }
  // The clock and the watch may both ask at one moment; one renewal serves both.
  const renew = (): Promise<void> => {
    renewing ??= renewOnce().finally(() => {
      renewing = undefined;
    });
    return renewing;
  };
  try {
    await Promise.race([renewInTime(options, () => lease, renew, both), watchLease(options, () => lease, renew, both)]);
  } finally {
    ending.abort();
  }
}

async function renewInTime(
  options: LeaseKeeperOptions & { readonly renewMarginMs: number },
  current: () => OwnedLease,
  renew: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const { expiresAt } = current();
    const longest = leaseTtlSeconds * 1_000;
    // A reservation never ends; looking once a day costs nothing and notices one that became a lease. A lease has been kept alive just
    // now: if it seems to last longer than that, the clock was set back meanwhile.
    const wait =
      expiresAt === undefined ? longest : Math.min(expiresAt - options.clock.now(), longest) - options.renewMarginMs;
    options.alive?.('lease', Math.max(1_000, wait) + longestRoundMs);
    // Early by a little and never late: nodes that joined together spread out.
    await options.clock.sleep(Math.max(1_000, wait - jitter(wait * 0.005, 1, options.random)), signal);
    await renew();
  }
}

async function watchLease(
  options: LeaseKeeperOptions,
  current: () => OwnedLease,
  renew: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const onOutage = (error: unknown): void => options.onOutage(error === undefined ? undefined : errorMessage(error));
  for await (const event of options.store.watchOwn(current(), signal, onOutage)) {
    if (event.kind === 'taken') throw lostTo(current(), event.by);
    if (event.kind === 'gone') {
      options.logger.warn('Lease has been revoked; creating it again', { subnet: leaseKey(current().subnets) });
      await renew();
    }
  }
}

async function renewUntilItWorks(
  options: LeaseKeeperOptions,
  lease: OwnedLease,
  signal: AbortSignal,
): Promise<OwnedLease> {
  const gate = createRepeatGate(options);
  for (;;) {
    options.alive?.('lease', longestRoundMs);
    try {
      const renewed = await options.store.renew(lease, signal);
      options.onOutage(undefined);
      options.logger.info(renewed.how === 'restored' ? 'lease restored' : 'lease renewed', {
        subnet: leaseKey(renewed.subnets),
      });
      return renewed;
    } catch (error) {
      signal.throwIfAborted();
      if (isFlannelVpcError(error, 'LEASE_LOST')) throw error;
      gate.failed('error', 'Error renewing lease; trying again', error, { subnet: leaseKey(lease.subnets) });
      options.onOutage(errorMessage(error));
      const pauseMs = options.store.allocates ? renewRetryMs : renewAgainMs;
      await options.clock.sleep(jitter(pauseMs, 0.1, options.random), signal);
    }
  }
}

function lostTo(lease: Lease, by: Lease): FlannelVpcError {
  const holder = by.attributes.node?.instanceId ?? 'another host';
  return new FlannelVpcError('LEASE_LOST', `the lease of ${leaseKey(lease.subnets)} is held by ${holder} now`, {
    hint: 'Find out which host should have it. This one keeps its bridge and rules; drain it and start the agent again to lease another subnet.',
  });
}
