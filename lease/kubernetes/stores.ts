/** Leases, records, reports and the election in one Kubernetes cluster. */
import { type Clock, type Random, systemClock } from '../../src/core/clock.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import type { LeaderElection } from '../election.ts';
import type { Stores } from '../stores.ts';
import { type KubernetesAccess, type KubernetesAccessOptions, openAccess } from './access.ts';
import { annotationNames } from './annotations.ts';
import { createKubernetesClient, type KubernetesClient } from './client.ts';
import { createKubernetesElection, type HeldLeaderships } from './election.ts';
import { createKubernetesLeaseAdmin } from './lease-admin.ts';
import { createKubernetesLeaseStore, readOwnNode } from './lease-store.ts';
import { createKubernetesNodeNotices } from './node-notices.ts';
import type { NodeSelection } from './node-object.ts';
import { createKubernetesNodeReports } from './node-reports.ts';
import { ownNodeName, publicIpHints } from './own-node.ts';
import { createKubernetesOwnershipStore } from './ownership-store.ts';

export interface KubernetesStoreOptions extends KubernetesAccessOptions {
  /** `--kube-annotation-prefix`. */
  readonly annotationPrefix: string;
  /** True for an agent, which is a Node object of the cluster. */
  readonly isNode: boolean;
  /** `--net-config-path`. */
  readonly netConfFile: string;
  /** Whose leases a list shows. */
  readonly selection: NodeSelection;
  /** `--set-node-network-unavailable`. */
  readonly setCondition: boolean;
  /** Where the Lease of the election is. */
  readonly namespace: string;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Longest time of one call, milliseconds; default 10 s. */
  readonly deadlineMs?: number;
}

/** Name of the Lease that controllers are elected by. */
export const leaderLeaseName = 'flannel-vpc-controller';

export interface KubernetesStores extends Stores {
  /** The Node object that is this machine; empty for a controller or an operator. */
  readonly nodeName: string;
  /** What an operator's annotations give in place of `--public-ip` and `--public-ipv6`; empty for none. */
  publicIpHints(signal: AbortSignal): Promise<{ readonly 4: string; readonly 6: string }>;
}

/**
 * Makes the stores. Nothing is sent, but for an agent that is told its pod and not its node.
 *
 * @throws CONFIG_INVALID for an annotation prefix, a kubeconfig or a pod that can't be used; and what asking for the pod throws.
 */
export async function createKubernetesStores(
  options: KubernetesStoreOptions,
  signal: AbortSignal,
): Promise<KubernetesStores> {
  return await storesOver(await openAccess(options), options, signal);
}

/** As `ownNodeName`; whoever gets no answer leaves no connection behind. */
async function ownNodeNameOver(
  client: KubernetesClient,
  { environment }: KubernetesStoreOptions,
  signal: AbortSignal,
): Promise<string> {
  try {
    return await ownNodeName(environment, client, signal);
  } catch (error) {
    client.close();
    throw error;
  }
}

/** The stores over a way to the API server that is known. */
async function storesOver(
  access: KubernetesAccess,
  options: KubernetesStoreOptions,
  signal: AbortSignal,
): Promise<KubernetesStores> {
  const { logger = silentLogger, clock = systemClock, random = Math.random, deadlineMs } = options;
  const names = annotationNames(options.annotationPrefix);
  const client = createKubernetesClient({ access, clock, random, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
  const nodeName = options.isNode ? await ownNodeNameOver(client, options, signal) : '';
  const parts = { client, names, selection: options.selection, clock, random, logger };
  const held: HeldLeaderships = new Map();
  const leases = createKubernetesLeaseStore(parts, { ...options, nodeName });
  const place = { namespace: options.namespace, name: leaderLeaseName };
  return {
    leases,
    ownership: createKubernetesOwnershipStore(parts, place, held),
    reports: createKubernetesNodeReports(parts, { ...options, nodeName }),
    admin: createKubernetesLeaseAdmin(),
    notices: createKubernetesNodeNotices(parts),
    election: (chosen): LeaderElection => createKubernetesElection(parts, place, held, chosen),
    close: () => leases.close(),
    nodeName,
    publicIpHints: async (inner) => publicIpHints(await readOwnNode(parts, nodeName, inner), names),
  };
}
