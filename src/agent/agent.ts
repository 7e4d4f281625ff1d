/**
 * The node daemon: net-conf, interface, lease, route, host, subnet.env, in that order of dependence, and then keeping all of it.
 *
 * subnet.env is written last: a container runtime that sees it may start pods at once, and they must reach each other.
 */

import type { ExternalInterface, Host, SubnetFile } from '../../host/host.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { LeaseRequest, LeaseStore, OwnedLease } from '../../lease/lease-store.ts';
import type { OwnershipStore } from '../../lease/ownership-store.ts';
import { backendTypeNamed } from '../../providers/catalog.ts';
import type { HostBackend } from '../../providers/host-backend.ts';
import type { AgentOptions } from '../cli/agent-options.ts';
import type { OpenCloud } from '../cloud.ts';
import type { Clock, Random } from '../core/clock.ts';
import { formatIp } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { Readiness } from '../health/status.ts';
import type { AgentMetrics } from '../metrics.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { type CloudView, createCloudNode } from './cloud-node.ts';
import { establishHost, keepHost, publishSubnetFile } from './host-keeper.ts';
import { acquireLease, keepLease, leaseTtlSeconds } from './lease-keeper.ts';
import { identifyMachine, type Machine, placeMachine } from './machine.ts';
import { assertNetConfStands, NetConfChanged, type StoredNetConf, waitForNetConf } from './net-conf-wait.ts';
import { hostState, leaseRequest, nodeIdentity, previousSubnets, subnetFile } from './node-state.ts';
import { keepPeers } from './peer-keeper.ts';
import { establishRoutes, keepRoutes, lookUntilItWorks, type RouteKeeperOptions } from './route-keeper.ts';

/** Everything the agent acts on, passed in. */
export interface AgentParts {
  readonly leases: LeaseStore;
  readonly ownership: OwnershipStore;
  readonly host: Host;
  /** What people call this node; written into its lease by cloud backends. */
  readonly nodeName: string;
  /** The cloud of net-conf's backend; undefined for backends without one. */
  readonly openCloud: (netConf: NetConf) => Promise<OpenCloud | undefined>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly readiness: Readiness;
  readonly metrics: AgentMetrics | undefined;
  /** Called once, when the node is set up and subnet.env is written. */
  readonly onReady: () => Promise<void>;
}

/** What stands between a fresh agent and being ready. */
export const initialReadiness = {
  lease: 'no lease yet',
  host: 'bridge and rules are not set up yet',
  'subnet-file': 'subnet.env is not written yet',
} as const;

/**
 * Runs until the signal fires, and then leaves everything as it is.
 *
 * @throws CONFIG_INVALID, STORE_DENIED or INTERFACE_NOT_FOUND for what waiting can't mend, LEASE_LOST when another node holds
 * the subnet. An abort ends it with an AbortError.
 */
export async function runAgent(options: AgentOptions, parts: AgentParts, signal: AbortSignal): Promise<never> {
  for (;;) {
    try {
      return await runWithNetConf(options, parts, signal);
    } catch (error) {
      if (!(error instanceof NetConfChanged)) throw error;
      parts.logger.info('net-conf changed while this node waited; starting over with the new one');
    }
  }
}

async function runWithNetConf(options: AgentOptions, parts: AgentParts, signal: AbortSignal): Promise<never> {
  const { host, logger, readiness } = parts;
  const [stored, earlier] = await Promise.all([
    waitForNetConf(
      { ...parts, store: parts.leases, onWaiting: (reason) => readiness.missing('lease', reason) },
      signal,
    ),
    host.readSubnetFile(options.subnetFile),
  ]);
  const { netConf } = stored;
  // Loading a cloud's SDK takes as long as finding the interface; both at once.
  const [external, cloud] = await Promise.all([
    host.findExternalInterface({ ...options.interfaces, families: netConf.families }, signal),
    parts.openCloud(netConf),
  ]);
  logger.info('using interface', describeInterface(external));
  try {
    backendOf(netConf)?.check(external);
    const machine = cloud && (await learnMachine(cloud, external, parts, signal));
    const routes = machine && routeKeeping(machine, cloud, netConf, external, options, parts);
    return await runNode({ ...stored, options, parts, external, machine, routes, earlier }, signal);
  } finally {
    await cloud?.provider.close();
  }
}

interface NodeContext extends StoredNetConf {
  readonly options: AgentOptions;
  readonly parts: AgentParts;
  readonly external: ExternalInterface;
  /** Undefined without a cloud. */
  readonly machine: Machine | undefined;
  /** Undefined where this node writes no routes: there is no cloud, or a controller writes them. */
  readonly routes: RouteKeeperOptions | undefined;
  readonly earlier: SubnetFile | undefined;
}

async function runNode(context: NodeContext, signal: AbortSignal): Promise<never> {
  const { options, parts, netConf, external, routes } = context;
  const { logger, readiness, metrics } = parts;
  const { lease: first, view } = await getLease(context, signal);
  let lease = first;
  readiness.reached('lease');
  metrics?.leaseExpiry.set((lease.expiresAt ?? 0) / 1_000);
  logger.info('lease acquired', { subnet: leaseKey(lease.subnets), how: lease.how });

  const state = hostState(netConf, options.host, lease, external);
  const hostStands = Promise.withResolvers<void>();
  const routesStand = Promise.withResolvers<void>();
  // Lease and rules are looked after from here on, however long the cloud keeps the rest waiting.
  return await allUntilOneFails(signal, [
    (inner) =>
      keepLease(
        {
          ...keeperOptions(parts),
          lease,
          renewMarginMs: options.renewMarginMs,
          onRenewed(renewed) {
            lease = renewed;
            metrics?.leaseExpiry.set((renewed.expiresAt ?? 0) / 1_000);
          },
        },
        inner,
      ),
    async (inner) => {
      await establishHost(parts, state, inner);
      hostStands.resolve();
      await keepHost(parts, state, options.host.resyncMs, inner);
    },
    async (inner) => {
      const backend = backendOf(netConf);
      if (backend) {
        const onEstablished = routesStand.resolve;
        return await keepPeers({ ...parts, backend, netConf, external, own: lease, onEstablished }, inner);
      }
      if (routes) await establishRoutes(routes, () => lease, view, inner);
      routesStand.resolve();
      if (routes) await keepRoutes(routes, () => lease, inner);
    },
    async (inner) => {
      await unlessAborted(Promise.all([hostStands.promise, routesStand.promise]), inner);
      await publishSubnetFile(parts, options.subnetFile, subnetFile(netConf, options.host, lease, external), inner);
      logger.info('ready', { subnet: leaseKey(lease.subnets), file: options.subnetFile });
      await parts.onReady();
    },
  ]);
}

/**
 * The lease, and what the cloud said on the way. A node that joins for the first time looks before it leases: without rights or
 * tables it would hold a subnet it can't use. One that has been here before goes on with what it had, whatever the cloud says.
 */
async function getLease(
  { options, parts, netConf, revision, external, machine, routes, earlier }: NodeContext,
  signal: AbortSignal,
): Promise<{ readonly lease: OwnedLease; readonly view: CloudView | undefined }> {
  const identity = machine && nodeIdentity(machine, parts.nodeName);
  const backend = { type: backendOf(netConf)?.leaseType ?? '', node: identity };
  const request = async (): Promise<LeaseRequest> => {
    // Containers on our own bridge would be cut off by another subnet. Who makes a bridge of their own look after it themselves.
    const { bridge } = options.host;
    const networks = bridge === undefined ? [] : await parts.host.networksInUse(bridge, signal);
    const inUse = Object.fromEntries(networks.map((network) => [network.family, network]));
    const subnets = { previous: previousSubnets(earlier), inUse };
    return leaseRequest(netConf, external, subnets, backend, leaseTtlSeconds, revision);
  };
  const beforeRetry = (both: AbortSignal): Promise<void> => assertNetConfStands(parts.leases, revision, both);
  const acquire = (): Promise<OwnedLease> => acquireLease({ ...keeperOptions(parts), beforeRetry }, request, signal);
  if (!routes) {
    // An earlier net-conf may have asked for them.
    parts.readiness.reached('route');
    return { lease: await acquire(), view: undefined };
  }
  parts.readiness.missing('route', 'not checked yet');
  if (!earlier) {
    const view = await lookUntilItWorks({ ...routes, beforeRetry }, signal);
    return { lease: await acquire(), view };
  }
  const [lease, view] = await Promise.all([
    acquire(),
    // A failure shows again, and is told, when the routes are brought in place.
    routes.node.look(signal).catch(() => undefined),
  ]);
  signal.throwIfAborted();
  return { lease, view };
}

async function learnMachine(
  { provider }: OpenCloud,
  external: ExternalInterface,
  parts: AgentParts,
  signal: AbortSignal,
): Promise<Machine> {
  parts.readiness.missing('cloud', 'the metadata server has not answered yet');
  const identity = await identifyMachine(
    { ...parts, provider },
    (reason) => parts.readiness.missing('cloud', reason),
    signal,
  );
  parts.readiness.reached('cloud');
  const machine = placeMachine(identity, external);
  const { instanceId, zone } = identity;
  parts.logger.info('this machine', { instance: instanceId, zone, nic: machine.nic?.nicId });
  return machine;
}

/** How this node keeps its own routes; undefined where the controller does, and this node asks the cloud's API nothing at all. */
function routeKeeping(
  machine: Machine,
  { provider, tableIds, tag }: OpenCloud,
  netConf: NetConf,
  external: ExternalInterface,
  options: AgentOptions,
  parts: AgentParts,
): RouteKeeperOptions | undefined {
  if (netConf.backend.writer === 'controller') return undefined;
  const networks = netConf.ranges;
  const node = createCloudNode({ ...parts, provider, networks, tableIds, tag }, machine, external);
  return { ...parts, node, intervalMs: options.routeCheckIntervalMs };
}

/** What the backend does in this node's kernel; undefined for clouds and alloc. */
function backendOf(netConf: NetConf): HostBackend | undefined {
  return backendTypeNamed(netConf.backend.type)?.host;
}

function keeperOptions(parts: AgentParts) {
  return { ...parts, store: parts.leases, onWaiting: (reason: string) => parts.readiness.missing('lease', reason) };
}

function describeInterface(external: ExternalInterface): Readonly<Record<string, unknown>> {
  const text = (ips: ExternalInterface['addresses']): string =>
    [ips[4], ips[6]].flatMap((ip) => (ip ? [formatIp(ip)] : [])).join(',');
  return {
    interface: external.name,
    address: text(external.addresses),
    publicIp: text(external.publicIps),
    mtu: external.mtu,
  };
}

/** Waits for a promise that knows no signal. */
async function unlessAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Runs loops side by side until the signal fires or one of them fails, which ends the others too. */
async function allUntilOneFails(
  signal: AbortSignal,
  loops: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<never> {
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const running = loops.map((loop) => loop(both));
  try {
    await Promise.all(running);
    // Every loop may have nothing (more) to do; the lease is held until somebody ends us.
    signal.throwIfAborted();
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    throw signal.reason;
  } finally {
    ending.abort(new DOMException('the agent ends', 'AbortError'));
    await Promise.allSettled(running);
  }
}
