/** How this node comes by its lease. */
import type { LeaseRequest, OwnedLease } from '../../lease/lease-store.ts';
import type { CloudView } from './cloud-node.ts';
import { acquireLease, type LeaseKeeperOptions, leaseTtlSeconds } from './lease-keeper.ts';
import { assertNetConfStands } from './net-conf-wait.ts';
import type { AgentParts, NodeContext } from './node-context.ts';
import { backendOf, commandsOf, leaseRequest, nodeIdentity, previousSubnets } from './node-state.ts';
import { storePart } from './report-keeper.ts';
import { lookUntilItWorks } from './route-keeper.ts';

/**
 * The lease, and what the cloud said on the way. A node that joins for the first time looks before it leases: without rights or
 * tables it would hold a subnet it can't use. One that has been here before goes on with what it had, whatever the cloud says.
 */
export async function getLease(
  { options, parts, netConf, revision, external, machine, routes, earlier, links, commandData, carried }: NodeContext,
  signal: AbortSignal,
): Promise<{ readonly lease: OwnedLease; readonly view: CloudView | undefined }> {
  const identity = machine && nodeIdentity(machine, parts.nodeName, netConf);
  const host = backendOf(netConf);
  const type = host?.leaseType ?? commandsOf(netConf)?.leaseType ?? '';
  const backend = { type, data: host?.leaseData(links) ?? commandData, node: identity };
  const request = async (): Promise<LeaseRequest> => {
    // Containers on our own bridge would be cut off by another subnet. Who makes a bridge of their own look after it themselves.
    const { bridge } = options.host;
    const networks = bridge === undefined ? [] : await parts.host.networksInUse(bridge, signal);
    const inUse = Object.fromEntries(networks.map((network) => [network.family, network]));
    const subnets = { previous: previousSubnets(earlier), inUse, held: carried.lease };
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

/** What keeps the lease tells readiness what it waits for. */
export function keeperOptions(parts: AgentParts): LeaseKeeperOptions {
  const { leases, readiness } = parts;
  return {
    ...{ ...parts, store: leases },
    onWaiting: (reason) => readiness.missing('lease', reason),
    // A note and no more: nothing on this node changes, and an outage of the store must not make all nodes unready at once.
    onOutage: (reason) => readiness.reached(storePart, reason),
  };
}
