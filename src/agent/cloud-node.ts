/** This node's routes in its cloud: which tables serve it, what stands in them, and how they get there. */

import type { ExternalInterface } from '../../host/host.ts';
import type { Lease } from '../../lease/lease.ts';
import type { LeaseStore } from '../../lease/lease-store.ts';
import type { OwnershipStore } from '../../lease/ownership-store.ts';
import { notForwarding, switchedForwarding } from '../../providers/forwarding.ts';
import type {
  CloudProvider,
  MachineIdentity,
  NextHop,
  RouteTable,
  TableSelector,
  TableTag,
} from '../../providers/provider.ts';
import type { Clock, Random } from '../core/clock.ts';
import { FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import { families, formatIp, type Ip } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import { holderName, ownRoutes } from '../routing/desired.ts';
import type { RouteNetworks } from '../routing/networks.ts';
import { targetIdOf } from '../routing/plan-writes.ts';
import { createRouteReconciler, type PassResult, type RouteReconciler } from '../routing/reconciler.ts';
import type { Machine } from './machine.ts';

export interface CloudNodeOptions {
  readonly provider: CloudProvider;
  /** Configured table ids; empty: those with the tag, or else those that serve this node's subnet. */
  readonly tableIds: readonly string[];
  readonly tag?: TableTag | undefined;
  readonly networks: RouteNetworks;
  readonly leases: Pick<LeaseStore, 'list'>;
  readonly ownership: OwnershipStore;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** What the cloud said about this machine. */
export interface CloudView {
  /** Monotonic milliseconds: before it was asked. */
  readonly askedAt: number;
  readonly nextHop: NextHop;
  readonly tables: readonly RouteTable[];
}

/** The lease that routes are for. A lease of another revision was made again, and the records of its routes may have gone with it. */
export type RoutedLease = Pick<Lease, 'subnets'> & Partial<Pick<Lease, 'revision'>>;

export interface CloudNode {
  /**
   * Two reads, side by side: the NIC of our address, and the tables.
   * @throws NOT_FOUND when no NIC of this machine has the address, or a table does not exist; and what the provider throws.
   */
  look(signal: AbortSignal): Promise<CloudView>;

  /** Makes the lease's routes stand in every table, and the NIC forward. `resync` as in `PassRequest`. */
  ensureRoutes(
    lease: RoutedLease,
    options: { readonly view?: CloudView | undefined; readonly resync: boolean },
    signal: AbortSignal,
  ): Promise<PassResult>;
}

/**
 * For how long it holds, milliseconds. A lease may be waited for for hours, with the store away or the network full, and then neither shows
 * that a route stands, nor what it would take the place of.
 */
const viewMs = 60_000;

/** Asks nobody before a method is called. */
export function createCloudNode(
  options: CloudNodeOptions,
  { identity, address, nic }: Machine,
  external: ExternalInterface,
): CloudNode {
  const { provider, clock } = options;
  const claim = { address, instanceId: identity.instanceId, nicId: nic?.nicId, networkId: nic?.networkId };
  // Configured or known from metadata: then the tables can be read without waiting for the NIC.
  const selector: TableSelector | undefined =
    options.tableIds.length > 0 || nic?.subnetId !== undefined
      ? {
          tableIds: options.tableIds,
          tag: options.tag,
          networkId: nic?.networkId,
          subnetIds: nic?.subnetId === undefined ? [] : [nic.subnetId],
        }
      : undefined;
  let recordedAt: string | undefined;
  let reconciler: { readonly nicId: string; readonly routes: RouteReconciler } | undefined;

  async function resolve(signal: AbortSignal): Promise<NextHop> {
    const [resolution] = await provider.resolve([claim], signal);
    if (resolution?.kind === 'resolved') return checkOwner(resolution.nextHop, identity, address);
    throw new FlannelVpcError(
      'NOT_FOUND',
      `no network interface of ${identity.instanceId} has the address ${formatIp(address)}`,
      {
        hint: 'Choose the interface with --iface, or give one of its private addresses with --public-ip.',
        details: { reason: resolution?.reason },
      },
    );
  }

  async function look(signal: AbortSignal): Promise<CloudView> {
    const askedAt = clock.monotonic();
    if (!selector) {
      const nextHop = await resolve(signal);
      return { askedAt, nextHop, tables: await provider.tables(selectorOf(nextHop), signal) };
    }
    const [nextHop, tables] = await Promise.all([resolve(signal), provider.tables(selector, signal)]);
    return { askedAt, nextHop, tables };
  }

  function selectorOf(nextHop: NextHop): TableSelector {
    if (selector) return selector;
    return {
      tableIds: [],
      tag: options.tag,
      networkId: nextHop.networkId,
      subnetIds: nextHop.subnetId === undefined ? [] : [nextHop.subnetId],
    };
  }

  /** One reconciler for the process: it remembers what it wrote. Another NIC is another writer. */
  function reconcilerFor(nextHop: NextHop): RouteReconciler {
    if (reconciler?.nicId === nextHop.nicId) return reconciler.routes;
    const targets = [
      ...new Set([
        ...[identity.instanceId, nextHop.nicId, ...identity.nics.map(({ nicId }) => nicId)],
        ...families.map((family) => targetIdOf(nextHop, family)),
        ...(nextHop.addresses ?? []).map(formatIp),
      ]),
    ];
    const holder = holderName(nextHop, external.publicIps);
    const routes = createRouteReconciler({ ...options, scope: { kind: 'node', identity: { holder, targets } } });
    reconciler = { nicId: nextHop.nicId, routes };
    return routes;
  }

  return {
    look,
    async ensureRoutes(lease, { view, resync }, signal) {
      const holds = view && clock.monotonic() - view.askedAt < viewMs;
      const { nextHop, tables } = holds ? view : await look(signal);
      const desired = ownRoutes(lease.subnets, nextHop, { networks: options.networks, publicIps: external.publicIps });
      const doubtsRecords = recordedAt !== lease.revision;
      recordedAt = lease.revision;
      const request = { desired, selector: selectorOf(nextHop), tables, resync, doubtsRecords };
      const [unprepared, result] = await Promise.all([
        nextHop.forwards ? undefined : prepare(options, nextHop, signal),
        reconcilerFor(nextHop).pass(request, signal),
      ]);
      return unprepared ? { ...result, inSync: false, problems: [unprepared, ...result.problems] } : result;
    },
  };
}

/** Lets the NIC forward; gives the error that kept it from doing so. */
async function prepare(
  { provider, logger }: CloudNodeOptions,
  nextHop: NextHop,
  signal: AbortSignal,
): Promise<FlannelVpcError | undefined> {
  const { forwarding } = provider.capabilities;
  if (!forwarding.settable) {
    return new FlannelVpcError(
      'INVALID',
      `${notForwarding(forwarding, nextHop.nicId)}, so the cloud drops what pods send`,
      {
        hint: `Only a person can switch it ${forwarding.wanted}: see "flannel-vpc doctor" on this node.`,
        details: { nicId: nextHop.nicId },
      },
    );
  }
  try {
    await provider.prepare(nextHop, signal);
    logger.info(switchedForwarding(forwarding), { nic: nextHop.nicId });
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    if (isFlannelVpcError(error)) return error;
    throw error;
  }
}

/** A route to another machine's NIC is never written, whatever flags say. */
function checkOwner(nextHop: NextHop, identity: MachineIdentity, address: Ip): NextHop {
  if (nextHop.instanceId === undefined || nextHop.instanceId === identity.instanceId) return nextHop;
  throw new FlannelVpcError(
    'NOT_FOUND',
    `the address ${formatIp(address)} belongs to ${nextHop.instanceId}, not to this machine`,
    {
      hint: 'Correct --public-ip or --iface: the address must be one of this instance.',
      details: { instanceId: identity.instanceId, nicId: nextHop.nicId },
    },
  );
}
