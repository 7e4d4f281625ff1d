/** What `doctor` asks of an API server: whether it answers, what its user may do, and who else makes routes there. Nothing is changed. */
import * as z from 'zod';
import { type Clock, type Random, systemClock } from '../../src/core/clock.ts';
import { isFlannelVpcError } from '../../src/core/errors.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import { type KubernetesAccessOptions, openAccess } from './access.ts';
import { annotationNames } from './annotations.ts';
import { createKubernetesClient, type KubernetesClient } from './client.ts';
import { listAll } from './follow.ts';
import { conditionOf } from './node-object.ts';
import { followNodes } from './nodes.ts';
import { storeIdOf } from './store-id.ts';

export interface ExamineKubernetesOptions extends KubernetesAccessOptions {
  readonly annotationPrefix: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
  /** Longest time of one call, milliseconds. */
  readonly deadlineMs?: number;
}

export interface ClusterExam {
  readonly server: string;
  /** Milliseconds of one read over a connection that stands. */
  readonly latencyMs: number;
  /** The uid of kube-system; `kubernetes` for a user that may not read it. */
  readonly storeId: string;
  readonly nodes: number;
  /** True where this user may say something of nodes, as an agent does. */
  readonly mayPatchNodes: boolean;
  /** Nodes whose NetworkUnavailable condition a route controller of Kubernetes has set. */
  readonly routedByOthers: readonly string[];
  /** Controller managers that lead in kube-system and may hold a route controller; undefined where that can't be read. */
  readonly managers: readonly Manager[] | undefined;
}

export interface Manager {
  readonly name: string;
  readonly holder: string;
}

/** By k8s.io/cloud-provider's route controller, with every route that it made or could not make. */
const foreignReasons = new Set(['RouteCreated', 'NoRouteCreated']);
/** The node controller's first word on a new node of GCE, whether there is a route controller or not. */
const newNode = 'Node created without a route';
/** Names that cloud controller managers lead by; kube-controller-manager runs everywhere and says nothing. */
const managerName = /cloud-controller-manager$/;

const reviewSchema = z.object({ status: z.object({ allowed: z.boolean().default(false) }) });
const leasesSchema = z.object({
  items: z
    .array(
      z.object({ metadata: z.object({ name: z.string() }), spec: z.object({ holderIdentity: z.string().nullish() }) }),
    )
    .nullish(),
});

/** @throws CONFIG_INVALID for flags and files that can't be used; else as `LeaseStore`. */
export async function examineKubernetes(options: ExamineKubernetesOptions, signal: AbortSignal): Promise<ClusterExam> {
  const { clock = systemClock, random = Math.random, logger = silentLogger, deadlineMs = 4_000 } = options;
  const client = createKubernetesClient({ access: await openAccess(options), clock, random, deadlineMs });
  const names = annotationNames(options.annotationPrefix);
  const parts = { client, names, selection: 'all', clock, random, logger } as const;
  try {
    // The first read pays for the connection.
    const storeId = await storeIdOf(parts, signal);
    const sent = clock.monotonic();
    const mayPatchNodes = await mayPatch(client, signal);
    const latencyMs = clock.monotonic() - sent;
    const [{ objects }, managers] = await Promise.all([listAll(followNodes(parts), signal), leading(client, signal)]);
    const routedByOthers = objects
      .filter((node) => {
        const { reason = '', message } = conditionOf(node, 'NetworkUnavailable') ?? {};
        return foreignReasons.has(reason) && message !== newNode;
      })
      .map(({ metadata }) => metadata.name);
    const { description: server } = client;
    return { server, latencyMs, storeId, nodes: objects.length, mayPatchNodes, routedByOthers, managers };
  } finally {
    client.close();
  }
}

/** Every user may ask what it may do. */
async function mayPatch(client: KubernetesClient, signal: AbortSignal): Promise<boolean> {
  const resourceAttributes = { verb: 'patch', resource: 'nodes', subresource: 'status' };
  const body = {
    ...{ apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview' },
    spec: { resourceAttributes },
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const request = { method: 'POST', path, body, schema: reviewSchema, doing: 'ask what this user may do' } as const;
  return (await client.call(request, signal)).status.allowed;
}

async function leading(client: KubernetesClient, signal: AbortSignal): Promise<readonly Manager[] | undefined> {
  const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
  const doing = 'read which controller managers lead';
  try {
    const { items } = await client.call({ method: 'GET', path, schema: leasesSchema, doing }, signal);
    return (items ?? []).flatMap(({ metadata: { name }, spec: { holderIdentity } }) =>
      managerName.test(name) && holderIdentity ? [{ name, holder: holderIdentity }] : [],
    );
  } catch (error) {
    if (isFlannelVpcError(error, 'STORE_DENIED')) return undefined;
    throw error;
  }
}
