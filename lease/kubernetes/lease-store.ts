/**
 * Leases in Kubernetes: a node's pod CIDR is its subnet, and flannel's annotations say the rest. Subnets are handed out by Kubernetes
 * (the controller manager's IPAM), so that nothing here chooses, renews or expires.
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { errorMessage, FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, cidrContains, families, formatCidr, type PerFamily, sameCidr } from '../../src/core/ip.ts';
import { samePublicIp } from '../identity.ts';
import type { Lease, LeaseAttributes, LeaseKey, SubnetRange } from '../lease.ts';
import { leaseKey } from '../lease-key.ts';
import type { LeaseRequest, LeaseStore, LeaseWatchEvent, OwnedLease, OwnLeaseEvent } from '../lease-store.ts';
import { type Annotations, isManaged, missingFrom, readAnnotations, writeAnnotations } from './annotations.ts';
import { type FollowEvent, follow, listPage } from './follow.ts';
import { annotationsOf, leaseOf, type NodeObject, podCidrsOf } from './node-object.ts';
import { followNodes, listNodes, nodesAfter, patchAnnotations, readNode } from './nodes.ts';
import type { KubernetesParts } from './parts.ts';
import { storeIdOf } from './store-id.ts';

export interface KubernetesLeaseOptions {
  /** The Node object that is this machine; empty for who has no lease of its own. */
  readonly nodeName: string;
  /** `--net-config-path`. */
  readonly netConfFile: string;
}

export function createKubernetesLeaseStore(parts: KubernetesParts, options: KubernetesLeaseOptions): LeaseStore {
  const { client, names } = parts;
  const { nodeName, netConfFile } = options;
  /** What was asked for, for the next renewal. */
  let wanted: LeaseAttributes | undefined;

  async function secure(node: NodeObject, attributes: LeaseAttributes, signal: AbortSignal): Promise<OwnedLease> {
    const standing = annotationsOf(node);
    const missing = missingFrom(standing, writeAnnotations(attributes, standing, names));
    const written = Object.keys(missing).length > 0;
    const now = written ? await patchAnnotations(parts, nodeName, missing, signal) : node;
    wanted = attributes;
    return owned(now, written ? 'rewritten' : 'kept');
  }

  function owned(node: NodeObject, how: OwnedLease['how']): OwnedLease {
    const lease = leaseOf(node, names, 'all');
    if (!lease) throw noPodCidr(nodeName);
    return { ...lease, expiresAt: undefined, how };
  }

  return {
    allocates: false,
    description: `Kubernetes ${client.description}`,
    async readNetConf(signal) {
      try {
        const text = await readFile(netConfFile, { encoding: 'utf8', signal });
        return { text, revision: createHash('sha256').update(text).digest('hex').slice(0, 16) };
      } catch (error) {
        signal.throwIfAborted();
        throw new FlannelVpcError('CONFIG_INVALID', `failed to read net conf: ${errorMessage(error)}`, {
          hint: 'Mount the ConfigMap with net-conf.json, or say where it is with --net-config-path.',
          cause: error,
        });
      }
    },
    async acquire(request, signal) {
      const node = await readOwnNode(parts, nodeName, signal);
      const subnets = podCidrsOf(node);
      if (!subnets) throw noPodCidr(nodeName);
      checkFits(request, subnets, nodeName);
      return await secure(node, request.attributes, signal);
    },
    async renew(lease, signal) {
      const node = await readOwnNode(parts, nodeName, signal);
      const subnets = podCidrsOf(node);
      if (!subnets || leaseKey(subnets) !== leaseKey(lease.subnets))
        throw podCidrChanged(nodeName, lease.subnets, subnets);
      return await secure(node, wanted ?? lease.attributes, signal);
    },
    async *watchOwn(lease, signal, onOutage) {
      let before: string | undefined;
      for await (const event of follow({ ...followNodes(parts, nodeName), onOutage }, signal)) {
        const seen = ownEvent(event, lease);
        const text = `${seen.kind} ${seen.kind === 'gone' ? '' : JSON.stringify(seen, bigintText)}`;
        if (text !== before) yield seen;
        before = text;
      }
    },
    async list(signal) {
      const [{ objects, revision }, storeId] = await Promise.all([listNodes(parts, signal), storeIdOf(parts, signal)]);
      return { leases: objects.flatMap((node) => leaseOf(node, names, parts.selection) ?? []), revision, storeId };
    },
    watch: (signal) => watchLeases(parts, signal),
    async neighbours(after, limit, signal) {
      signal.throwIfAborted();
      if (limit < 1) return [];
      const following = await nodesAfter(parts, nodeName, limit + 1, signal);
      const own = leaseKey(after);
      const leases = new Map<LeaseKey, Lease>();
      const note = (nodes: readonly NodeObject[]): void => {
        for (const node of nodes) {
          const lease = node.metadata.name === nodeName ? undefined : leaseOf(node, names, 'managed');
          if (lease && leaseKey(lease.subnets) !== own) leases.set(leaseKey(lease.subnets), lease);
        }
      };
      note(following);
      if (leases.size < limit) note((await listPage(followNodes(parts), undefined, limit + 1, signal)).objects);
      return [...leases.values()].slice(0, limit);
    },
    async release() {
      throw byKubernetes('a lease ends with its Node object: kubectl delete node NAME');
    },
    async close() {
      client.close();
    },
  };

  function ownEvent(event: FollowEvent<NodeObject>, mine: OwnedLease): OwnLeaseEvent {
    const node = event.kind === 'state' ? event.objects[0] : event.object;
    const lease = node && event.kind !== 'deleted' ? leaseOf(node, names, 'all') : undefined;
    // A Node without pod CIDR, or none at all, is as good as a lease that vanished: asking again tells which, and waits.
    if (!node || !lease) return { kind: 'gone' };
    if (leaseKey(lease.subnets) !== leaseKey(mine.subnets)) return { kind: 'gone' };
    const said = readAnnotations(annotationsOf(node), names);
    const annotated = said.publicIps[4] !== undefined || said.publicIps[6] !== undefined;
    if (annotated && isOthers(said, annotationsOf(node), mine)) return { kind: 'taken', by: lease };
    // Taken away by hand: peers would no longer find this node.
    if (!isManaged(annotationsOf(node), names)) return { kind: 'gone' };
    return { kind: 'held', lease: { ...lease, expiresAt: undefined, how: mine.how } };
  }

  /** True when these annotations are another machine's: an operator who overwrites our address is none. */
  function isOthers(said: LeaseAttributes, standing: Annotations, { attributes }: OwnedLease): boolean {
    const me = wanted ?? attributes;
    const ids = [me.node?.instanceId, said.node?.instanceId];
    if (ids[0] !== undefined && ids[1] !== undefined) return ids[0] !== ids[1];
    const overwritten = readAnnotations(writeAnnotations(me, standing, names), names);
    return ![attributes, me, overwritten].some((each) => samePublicIp(each, said));
  }
}

/** All leases and their changes; heartbeats of kubelets are none. */
async function* watchLeases(parts: KubernetesParts, signal: AbortSignal): AsyncGenerator<LeaseWatchEvent> {
  const known = new Map<string, Lease>();
  let first = true;
  for await (const event of follow(followNodes(parts), signal)) {
    if (event.kind === 'state') {
      known.clear();
      for (const node of event.objects) {
        const lease = leaseOf(node, parts.names, parts.selection);
        if (lease) known.set(node.metadata.name, lease);
      }
      const storeId = await storeIdOf(parts, signal);
      first = false;
      yield { kind: 'snapshot', list: { leases: [...known.values()], revision: event.revision, storeId } };
      continue;
    }
    if (first) continue;
    const { name } = event.object.metadata;
    const before = known.get(name);
    const now = event.kind === 'deleted' ? undefined : leaseOf(event.object, parts.names, parts.selection);
    if (now) known.set(name, now);
    else known.delete(name);
    if (isDeepStrictEqual(before, now)) continue;
    const removed: LeaseKey[] =
      before && (!now || leaseKey(before.subnets) !== leaseKey(now.subnets)) ? [leaseKey(before.subnets)] : [];
    const deleted = before && event.kind === 'deleted' ? [before] : [];
    yield { kind: 'changes', revision: event.revision, put: now ? [now] : [], removed, deleted };
  }
}

/** The Node object of this machine. @throws NETWORK_FULL while there is none: the kubelet is to make it. */
export async function readOwnNode(parts: KubernetesParts, name: string, signal: AbortSignal): Promise<NodeObject> {
  try {
    return await readNode(parts, name, signal);
  } catch (error) {
    if (!isFlannelVpcError(error, 'NOT_FOUND')) throw error;
    throw new FlannelVpcError('NETWORK_FULL', `there is no node ${name} in the cluster yet`, {
      hint: 'The kubelet makes it when it registers; check NODE_NAME if it never comes.',
      cause: error,
    });
  }
}

/** Waited for: the controller manager assigns it, or somebody has to make it do so. */
function noPodCidr(name: string): FlannelVpcError {
  return new FlannelVpcError('NETWORK_FULL', `node "${name}" pod cidr not assigned`, {
    hint: 'kube-controller-manager assigns it with --allocate-node-cidrs and --cluster-cidr; this node goes on by itself then.',
  });
}

function podCidrChanged(name: string, had: PerFamily<Cidr>, has: PerFamily<Cidr> | undefined): FlannelVpcError {
  if (!has) return noPodCidr(name);
  return new FlannelVpcError(
    'LEASE_LOST',
    `the pod CIDR of node ${name} is ${leaseKey(has)} now and was ${leaseKey(had)}`,
    { hint: 'Its pods have addresses of the former one: drain the node, then start the agent again.' },
  );
}

/** flannel checks this after it has annotated the node; here nothing is written to a node that can't be served. */
function checkFits(
  { ranges, attributes }: Pick<LeaseRequest, 'ranges' | 'attributes'>,
  subnets: PerFamily<Cidr>,
  name: string,
): void {
  // A cluster of one node may have the whole network on it, as with flannel; but no route of a cloud is ever made for that much.
  const mayBeWhole = attributes.node === undefined;
  for (const family of families) {
    const range: SubnetRange | undefined = ranges[family];
    const subnet = subnets[family];
    if (range && !subnet) {
      throw new FlannelVpcError(
        'CONFIG_INVALID',
        `node "${name}" has no IPv${family} pod CIDR, which net-conf enables`,
        {
          hint: `Give the cluster IPv${family} pod CIDRs, or switch EnableIPv${family} off in net-conf.`,
        },
      );
    }
    if (!range || !subnet) continue;
    const { network } = range;
    if (cidrContains(network, subnet) && (mayBeWhole || !sameCidr(network, subnet))) continue;
    throw new FlannelVpcError(
      'CONFIG_INVALID',
      `subnet "${formatCidr(network)}" specified in the flannel net config doesn't contain "${formatCidr(subnet)}" PodCIDR of the "${name}" node`,
      { hint: 'Set Network in net-conf to the cluster CIDR of kube-controller-manager (--cluster-cidr).' },
    );
  }
}

/** What Kubernetes does itself. */
export function byKubernetes(how: string): FlannelVpcError {
  return new FlannelVpcError('INVALID', `leases are Node objects here: ${how}`, {
    hint: 'With leases in Kubernetes this is done by kubectl.',
  });
}

function bigintText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
