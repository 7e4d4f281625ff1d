/**
 * The node daemon: net-conf, interface, lease, route, host, subnet.env, in that order of dependence, and then keeping all of it.
 *
 * subnet.env is written last, and the CNI conflist after it: a container runtime that sees them may start pods at once, and they must
 * reach each other.
 */

import type { ExternalInterface } from '../../host/host.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { AgentOptions } from '../cli/agent-options.ts';
import type { OpenCloud } from '../cloud.ts';
import { backoffMs } from '../core/clock.ts';
import { isFinalError } from '../core/errors.ts';
import { formatIp } from '../core/ip.ts';
import { untilDone } from '../core/until.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { createCloudNode } from './cloud-node.ts';
import { keepExtension, runBeforeLease } from './extension-keeper.ts';
import { establishHost, keepHost, publishConflist, publishSubnetFile, withdrawConflist } from './host-keeper.ts';
import { InterfaceChanged, watchInterface } from './interface-watch.ts';
import { keepLease } from './lease-keeper.ts';
import { allUntilOneFails } from './loops.ts';
import { learnMachine, type Machine } from './machine.ts';
import { assertNetConfStands, NetConfChanged, waitForNetConf } from './net-conf-wait.ts';
import type { AgentParts, Carried, NodeContext } from './node-context.ts';
import { getLease, keeperOptions } from './node-lease.ts';
import {
  backendOf,
  cniNetwork,
  commandsOf,
  hostState,
  subnetFile,
  usesCloud,
  waitsForProbe,
  withLengthsOf,
} from './node-state.ts';
import { establishLinks } from './overlay-links.ts';
import { keepPeers } from './peer-keeper.ts';
import { keepProbe, probeOf, probePart } from './probe-keeper.ts';
import { keepReport } from './report-keeper.ts';
import { establishRoutes, keepRoutes, type RouteKeeperOptions } from './route-keeper.ts';
import { untilItWorks } from './until-it-works.ts';

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
  const carried: Carried = { external: undefined, lease: undefined };
  for (;;) {
    try {
      return await runWithNetConf(options, parts, carried, signal);
    } catch (error) {
      if (error instanceof NetConfChanged) {
        parts.logger.info('net-conf changed while this node waited; starting over with the new one');
      } else if (error instanceof InterfaceChanged) {
        parts.logger.warn('this node has another address; its lease gets it', describeInterface(error.external));
        carried.external = error.external;
        // Its loops rest until the lease is had again, which takes as long as the store is away. Were the watchdog to restart this
        // process meanwhile, nobody would know whose lease it is.
        for (const loop of ['host', 'lease', 'routes to peers']) parts.alive?.(loop, Number.POSITIVE_INFINITY);
      } else throw error;
    }
  }
}

async function runWithNetConf(
  options: AgentOptions,
  parts: AgentParts,
  carried: Carried,
  signal: AbortSignal,
): Promise<never> {
  const { host, logger, readiness } = parts;
  const [stored, earlier] = await Promise.all([
    waitForNetConf(
      {
        ...{ ...parts, store: parts.leases, backendType: options.backendType },
        onWaiting: (reason) => readiness.missing('lease', reason),
      },
      signal,
    ),
    host.readSubnetFile(options.subnetFile),
  ]);
  const { netConf } = stored;
  if (netConf.backend.movesFrom) {
    const { type, movesFrom } = netConf.backend;
    logger.info('this node moves', { from: movesFrom.type, to: type });
  }
  const interfaces = { ...options.interfaces, publicIp: await publicIpsOf(options, parts, signal) };
  const choose = (inner: AbortSignal): Promise<ExternalInterface> =>
    host.findExternalInterface({ ...interfaces, families: netConf.families }, inner);
  // Chosen for the families of a net-conf that may have changed since.
  const chosen = netConf.families.every((family) => carried.external?.addresses[family]) ? carried.external : undefined;
  carried.external = undefined;
  // Loading a cloud's SDK takes as long as finding the interface; both at once.
  const [external, cloud] = await Promise.all([chosen ?? choose(signal), parts.openCloud(netConf)]);
  logger.info('using interface', describeInterface(external));
  try {
    backendOf(netConf)?.check(external);
    const machine = cloud && (await learnMachine(cloud.provider, external, parts, signal));
    const routes = machine && routeKeeping(machine, cloud, netConf, external, options, parts);
    const links = await establishLinks(netConf, external, parts, signal);
    const beforeRetry = (both: AbortSignal): Promise<void> => assertNetConfStands(parts.leases, stored.revision, both);
    const commandData = await runBeforeLease(commandsOf(netConf), { ...parts, beforeRetry }, signal);
    const found = { external, machine, routes, earlier, links, commandData, choose, carried };
    return await runNode({ ...stored, options, parts, ...found }, signal);
  } finally {
    await cloud?.provider.close();
  }
}

async function runNode(asked: NodeContext, signal: AbortSignal): Promise<never> {
  const { options, parts, external, routes } = asked;
  const { logger, readiness, metrics } = parts;
  const { lease: first, view } = await getLease(asked, signal);
  let lease = first;
  asked.carried.lease = first;
  const netConf = withLengthsOf(asked.netConf, lease);
  const context = { ...asked, netConf };
  readiness.reached('lease');
  metrics?.leaseExpiry.set((lease.expiresAt ?? 0) / 1_000);
  logger.info('lease acquired', { subnet: leaseKey(lease.subnets), how: lease.how });

  const backend = backendOf(netConf);
  const commands = commandsOf(netConf);
  const nameservers = usesCloud(netConf) ? await parts.host.nameservers() : [];
  const state = hostState(netConf, options.host, lease, external, asked.links, nameservers);
  const hostStands = Promise.withResolvers<void>();
  const routesStand = Promise.withResolvers<void>();
  const reachable = Promise.withResolvers<void>();
  const probing = probeOf(context, lease, routesStand.promise, reachable.resolve);
  if (probing) readiness.missing(probePart, 'no probe was answered yet');
  else readiness.reached(probePart);
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
            asked.carried.lease = renewed;
            metrics?.leaseExpiry.set((renewed.expiresAt ?? 0) / 1_000);
            // A lease that was made again has lost its report.
            readiness.changes.wake();
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
      if (!backend) return;
      const onEstablished = routesStand.resolve;
      const { links } = asked;
      await keepPeers({ ...parts, backend, netConf, external, own: lease, links, onEstablished }, inner);
    },
    async (inner) => {
      if (!commands) return;
      const beforeRetry = (both: AbortSignal): Promise<void> =>
        assertNetConfStands(parts.leases, context.revision, both);
      const about = { backend: commands, networks: netConf.ranges, external, own: lease };
      await keepExtension({ ...parts, ...about, beforeRetry, onEstablished: routesStand.resolve }, inner);
    },
    async (inner) => {
      if (routes) await establishRoutes(routes, () => lease, view, inner);
      // Of a node that moves, pods are reached by the overlay from the start.
      if (!backend && !commands) routesStand.resolve();
      if (routes) await keepRoutes(routes, () => lease, inner);
    },
    async (inner) => {
      const { cniConf } = options;
      if (cniConf) await withdrawConflist(parts, cniConf.path, lease.subnets, inner);
      await untilDone(Promise.all([hostStands.promise, routesStand.promise]), inner);
      if (probing && waitsForProbe(netConf, context.earlier, lease)) {
        readiness.missing('subnet-file', 'not written before a probe was answered');
        await untilDone(reachable.promise, inner);
      }
      await publishSubnetFile(parts, options.subnetFile, subnetFile(netConf, options.host, lease, external), inner);
      if (cniConf) {
        const network = cniNetwork(netConf, cniConf.bridge, options.subnetFile, lease, external);
        await publishConflist(parts, cniConf.path, network, inner);
      }
      logger.info('ready', { subnet: leaseKey(lease.subnets), file: options.subnetFile });
      await parts.onReady();
    },
    (inner) => watchInterface({ ...parts, external, choose: asked.choose }, inner),
    async (inner) => {
      if (!probing) return;
      await untilDone(hostStands.promise, inner);
      await keepProbe(probing, inner);
    },
    async (inner) => {
      // Without a cloud nobody reads it, but for Kubernetes' scheduler.
      const awaited = !parts.leases.allocates;
      if (context.machine || awaited) await keepReport({ ...parts, lease: () => lease, awaited }, inner);
    },
  ]);
}

/** What the store says goes before flags, as in flannel. */
async function publicIpsOf(
  { interfaces: { publicIp } }: AgentOptions,
  parts: AgentParts,
  signal: AbortSignal,
): Promise<{ readonly 4: string; readonly 6: string }> {
  const { publicIpHints, readiness, random } = parts;
  if (!publicIpHints) return publicIp;
  const hints = await untilItWorks(
    {
      ...{ ...parts, isFinal: isFinalError, failing: 'cannot read the node object' },
      onWaiting: (reason) => readiness.missing('lease', reason),
      pauseMs: (_, attempt) => backoffMs(attempt, 1_000, 30_000, random),
    },
    () => publicIpHints(signal),
    signal,
  );
  return { 4: hints[4] || publicIp[4], 6: hints[6] || publicIp[6] };
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
