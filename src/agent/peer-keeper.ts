/**
 * Routes of this node's kernel to its peers, for backends without a cloud: as the leases come, change and go. On a node that moves to a
 * cloud, those to peers that the cloud's routes do not reach yet.
 */

import type { ExternalInterface, Host } from '../../host/host.ts';
import type { Lease } from '../../lease/lease.ts';
import type { LeaseStore } from '../../lease/lease-store.ts';
import type { HostBackend } from '../../providers/host-backend.ts';
import type { Clock, Random } from '../core/clock.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { type Family, families, type Ip, type PerFamily } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { VxlanLink } from '../core/peer-network.ts';
import { probeAddress } from '../core/probe-address.ts';
import { keepCrossing } from '../crossing/keep-crossing.ts';
import { PeerBook } from '../crossing/peer-book.ts';
import type { Readiness } from '../health/status.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { createRepeatGate } from '../repeats.ts';
import { type Alive, longestRoundMs } from '../watchdog.ts';
import { FollowedLeases } from './followed-leases.ts';

export interface PeerKeeperOptions {
  readonly leases: Pick<LeaseStore, 'watch'>;
  readonly host: Host;
  readonly backend: HostBackend;
  readonly netConf: NetConf;
  readonly external: ExternalInterface;
  readonly own: Pick<Lease, 'subnets'>;
  /** The backend's own. */
  readonly links: readonly VxlanLink[];
  readonly readiness: Readiness;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly alive?: Alive | undefined;
  /** Called when the routes to all peers of the first list were put in place, but for those the kernel refuses. */
  readonly onEstablished: () => void;
}

/** Pause between two looks at the kernel's routes, as flannel's. */
const recheckMs = 10_000;

/** Keeps the routes until the signal fires. */
export async function keepPeers(options: PeerKeeperOptions, signal: AbortSignal): Promise<void> {
  const peers = new FollowedLeases();
  const book = options.netConf.backend.movesFrom ? new PeerBook(options.random) : undefined;
  const gate = createRepeatGate(options);
  const filterGate = createRepeatGate(options);
  let changed = Promise.withResolvers<void>();
  let detours: readonly Ip[] = [];
  let turn: Promise<unknown> = Promise.resolve();

  /** One at a time: each reads what stands, and goes by what is wanted when its turn comes. */
  async function settle(): Promise<readonly Ip[] | undefined> {
    const mine = turn.then(async () => {
      const leases = peers.all();
      await loosen(options, leases, filterGate);
      return await applyOnce(options, { leases, book, detours }, gate, signal);
    });
    turn = mine.catch(() => {});
    return await mine;
  }

  async function apply(): Promise<void> {
    for (;;) {
      options.alive?.('routes to peers', recheckMs + longestRoundMs);
      const waiting = new AbortController();
      const recheck = options.clock.sleep(recheckMs, AbortSignal.any([signal, waiting.signal]));
      await Promise.race([changed.promise, recheck]);
      waiting.abort();
      recheck.catch(() => {});
      signal.throwIfAborted();
      // Before the first list nothing is known, and so nothing is stale.
      if (!peers.listed) continue;
      changed = Promise.withResolvers<void>();
      await settle();
    }
  }

  const crossing = book && {
    ...{ ...options, book, from: probeAddresses(options.own.subnets) },
    settle: async (wanted: readonly Ip[]) => {
      detours = wanted;
      return await settle();
    },
  };
  await Promise.all([
    peers.follow(options.leases, () => changed.resolve(), signal),
    apply(),
    ...(crossing ? [keepCrossing(crossing, signal)] : []),
  ]);
}

async function applyOnce(
  { host, backend, netConf, external, own, links, logger, clock, onEstablished }: PeerKeeperOptions,
  wanted: {
    readonly leases: readonly Lease[];
    readonly book: PeerBook | undefined;
    readonly detours: readonly Ip[];
  },
  gate: ReturnType<typeof createRepeatGate>,
  signal: AbortSignal,
): Promise<readonly Ip[] | undefined> {
  const { leases, book, detours } = wanted;
  try {
    const onLink = backend.needsOnLink ? await host.onLinkNetworks(external.name, signal) : [];
    const all = backend.peers(leases, { external, own, networks: netConf.ranges, onLink });
    book?.update(all, clock.monotonic());
    const entries = book?.withdrawn(all) ?? all;
    const names = links.map(({ name }) => name);
    const state = { device: external.name, networks: netConf.ranges, links: names, ...entries, detours };
    const { changes, refused, detoured } = await host.applyPeerNetwork(state, signal);
    if (changes.length > 0) {
      logger.info('routes to peers changed', {
        count: changes.length,
        peers: state.routes.length,
        first: changes.slice(0, 5),
      });
    }
    if (refused.length > 0) gate.failed('error', 'the kernel refuses routes to peers', refusal(refused, backend));
    else gate.recovered('all routes to peers stand');
    onEstablished();
    return detoured;
  } catch (error) {
    signal.throwIfAborted();
    gate.failed('error', 'cannot set routes to peers', error);
    return undefined;
  }
}

/**
 * Peers that have moved send by the cloud's routes what this node answers by the overlay, and the other way round: a strict reverse path
 * filter drops that. Where nobody has moved, nothing is touched.
 */
async function loosen(
  { host, netConf, external, links, logger }: PeerKeeperOptions,
  leases: readonly Lease[],
  gate: ReturnType<typeof createRepeatGate>,
): Promise<void> {
  const moves = netConf.backend.movesFrom !== undefined;
  if (!moves && !leases.some(({ attributes }) => attributes.node?.movedTo !== undefined)) return;
  try {
    const { changes } = await host.loosenReversePath([external.name, ...links.map(({ name }) => name)]);
    if (changes.length > 0) {
      logger.warn(
        'strict reverse path filters made loose: packets come by another way than their answers while the cluster moves',
        {
          changes,
        },
      );
    }
    gate.recovered('reverse path filters are loose');
  } catch (error) {
    gate.failed('error', 'cannot make the reverse path filters loose', error);
  }
}

function probeAddresses(subnets: Lease['subnets']): PerFamily<Ip> {
  const found: { [F in Family]?: Ip } = {};
  for (const family of families) {
    const subnet = subnets[family];
    if (subnet) found[family] = probeAddress(subnet);
  }
  return found;
}

function refusal(refused: readonly string[], { leaseType }: HostBackend): FlannelVpcError {
  const hint =
    leaseType === 'host-gw'
      ? 'host-gw reaches peers on the same link only: check that their PublicIP is an address of the interface’s network.'
      : 'See whether a route of somebody else leads these subnets to another interface: "flannel-vpc doctor" names it. With DirectRouting, see whether the peer’s PublicIP is of the interface’s network.';
  return new FlannelVpcError('HOST_COMMAND_FAILED', refused.slice(0, 5).join('; '), {
    hint,
    details: { count: refused.length },
  });
}
