/** Routes of this node's kernel to its peers, for backends without a cloud: as the leases come, change and go. */

import type { ExternalInterface, Host } from '../../host/host.ts';
import type { Lease, LeaseKey } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { LeaseStore } from '../../lease/lease-store.ts';
import type { HostBackend } from '../../providers/host-backend.ts';
import type { Clock } from '../core/clock.ts';
import { FlannelVpcError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { VxlanLink } from '../core/peer-network.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { createRepeatGate } from '../repeats.ts';

export interface PeerKeeperOptions {
  readonly leases: Pick<LeaseStore, 'watch'>;
  readonly host: Host;
  readonly backend: HostBackend;
  readonly netConf: NetConf;
  readonly external: ExternalInterface;
  readonly own: Pick<Lease, 'subnets'>;
  /** The backend's own. */
  readonly links: readonly VxlanLink[];
  readonly logger: Logger;
  readonly clock: Clock;
  /** Called when the routes to all peers of the first list were put in place, but for those the kernel refuses. */
  readonly onEstablished: () => void;
}

/** Pause between two looks at the kernel's routes, as flannel's. */
const recheckMs = 10_000;

/** Keeps the routes until the signal fires. */
export async function keepPeers(options: PeerKeeperOptions, signal: AbortSignal): Promise<void> {
  const peers = new Map<LeaseKey, Lease>();
  let listed = false;
  let changed = Promise.withResolvers<void>();

  async function follow(): Promise<void> {
    for await (const event of options.leases.watch(signal)) {
      if (event.kind === 'snapshot') {
        peers.clear();
        for (const lease of event.list.leases) peers.set(leaseKey(lease.subnets), lease);
        listed = true;
      } else {
        for (const lease of event.put) peers.set(leaseKey(lease.subnets), lease);
        for (const key of event.removed) peers.delete(key);
      }
      changed.resolve();
    }
  }

  async function apply(): Promise<void> {
    const gate = createRepeatGate(options);
    for (;;) {
      const waiting = new AbortController();
      const recheck = options.clock.sleep(recheckMs, AbortSignal.any([signal, waiting.signal]));
      await Promise.race([changed.promise, recheck]);
      waiting.abort();
      recheck.catch(() => {});
      signal.throwIfAborted();
      // Before the first list nothing is known, and so nothing is stale.
      if (!listed) continue;
      changed = Promise.withResolvers<void>();
      await applyOnce(options, [...peers.values()], gate, signal);
    }
  }

  await Promise.all([follow(), apply()]);
}

async function applyOnce(
  { host, backend, netConf, external, own, links, logger, onEstablished }: PeerKeeperOptions,
  leases: readonly Lease[],
  gate: ReturnType<typeof createRepeatGate>,
  signal: AbortSignal,
): Promise<void> {
  try {
    const onLink = backend.needsOnLink ? await host.onLinkNetworks(external.name, signal) : [];
    const entries = backend.peers(leases, { external, own, onLink });
    const names = links.map(({ name }) => name);
    const state = { device: external.name, networks: netConf.ranges, links: names, ...entries };
    const { changes, refused } = await host.applyPeerNetwork(state, signal);
    if (changes.length > 0) {
      logger.info('routes to peers changed', {
        count: changes.length,
        peers: state.routes.length,
        first: changes.slice(0, 5),
      });
    }
    if (refused.length > 0) gate.failed('error', 'the kernel refuses routes to peers', refusal(refused));
    else gate.recovered('all routes to peers stand');
    onEstablished();
  } catch (error) {
    signal.throwIfAborted();
    gate.failed('error', 'cannot set routes to peers', error);
  }
}

function refusal(refused: readonly string[]): FlannelVpcError {
  return new FlannelVpcError('HOST_COMMAND_FAILED', refused.slice(0, 5).join('; '), {
    hint: 'host-gw reaches peers on the same link only: check that their PublicIP is an address of the interface’s network.',
    details: { count: refused.length },
  });
}
