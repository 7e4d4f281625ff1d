/** Leases, records, reports and the election in one Kubernetes cluster. */
import { type Clock, type Random, systemClock } from '../../src/core/clock.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import type { LeaderElection } from '../election.ts';
import type { Stores } from '../stores.ts';
import { type KubernetesAccess, type KubernetesAccessOptions, openAccess } from './access.ts';
import { annotationNames } from './annotations.ts';
import { createKubernetesClient } from './client.ts';
import { createKubernetesElection, type HeldLeaderships } from './election.ts';
import { createKubernetesLeaseAdmin } from './lease-admin.ts';
import { createKubernetesLeaseStore } from './lease-store.ts';
import type { NodeSelection } from './node-object.ts';
import { createKubernetesNodeReports } from './node-reports.ts';
import { createKubernetesOwnershipStore } from './ownership-store.ts';

export interface KubernetesStoreOptions extends KubernetesAccessOptions {
  /** `--kube-annotation-prefix`. */
  readonly annotationPrefix: string;
  /** The Node object that is this machine; empty for a controller or an operator. */
  readonly nodeName: string;
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

/**
 * Makes the stores. Nothing is sent before the first call.
 *
 * @throws CONFIG_INVALID for an annotation prefix, a kubeconfig or a pod that can't be used.
 */
export async function createKubernetesStores(options: KubernetesStoreOptions): Promise<Stores> {
  return storesOver(await openAccess(options), options);
}

/** The stores over a way to the API server that is known. */
export function storesOver(access: KubernetesAccess, options: KubernetesStoreOptions): Stores {
  const { logger = silentLogger, clock = systemClock, random = Math.random, deadlineMs } = options;
  const names = annotationNames(options.annotationPrefix);
  const client = createKubernetesClient({ access, clock, random, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
  const parts = { client, names, selection: options.selection, clock, random, logger };
  const held: HeldLeaderships = new Map();
  const leases = createKubernetesLeaseStore(parts, options);
  const place = { namespace: options.namespace, name: leaderLeaseName };
  return {
    leases,
    ownership: createKubernetesOwnershipStore(parts, held),
    reports: createKubernetesNodeReports(parts, options),
    admin: createKubernetesLeaseAdmin(),
    election: (chosen): LeaderElection => createKubernetesElection(parts, place, held, chosen),
    close: () => leases.close(),
  };
}
