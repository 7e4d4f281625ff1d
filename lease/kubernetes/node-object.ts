/** The parts of a Node object that matter here, and the lease it stands for. Pure. */
import * as z from 'zod';
import { type Cidr, formatIp, type Ip, type PerFamily, parseCidr, parseIp } from '../../src/core/ip.ts';
import type { Lease, LeaseAttributes, NodeIdentity } from '../lease.ts';
import { type AnnotationNames, type Annotations, isManaged, readAnnotations } from './annotations.ts';
import { instanceIdOfProviderId } from './provider-id.ts';

const conditionSchema = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: z.string().nullish(),
});

export const nodeSchema = z.object({
  metadata: z.object({
    name: z.string(),
    uid: z.string().default(''),
    resourceVersion: z.string().default('0'),
    creationTimestamp: z.string().nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z
    .object({
      podCIDR: z.string().optional(),
      podCIDRs: z.array(z.string()).max(4).nullish(),
      providerID: z.string().max(512).optional().catch(undefined),
    })
    .default({}),
  status: z
    .object({
      addresses: z.array(z.object({ type: z.string(), address: z.string() })).nullish(),
      conditions: z.array(conditionSchema).nullish(),
    })
    .nullish(),
});
export type NodeObject = z.output<typeof nodeSchema>;
export type NodeCondition = z.output<typeof conditionSchema>;

export function annotationsOf(node: NodeObject): Annotations {
  return node.metadata.annotations ?? {};
}

/** The node's pod CIDRs, the first of each family; undefined while it has none, or one that is no network. */
export function podCidrsOf({ spec }: NodeObject): PerFamily<Cidr> | undefined {
  const texts = spec.podCIDRs && spec.podCIDRs.length > 0 ? spec.podCIDRs : spec.podCIDR ? [spec.podCIDR] : [];
  const found: { 4?: Cidr; 6?: Cidr } = {};
  for (const text of texts) {
    const cidr = parseCidr(text);
    if (!cidr) return undefined;
    found[cidr.family] ??= cidr;
  }
  return found[4] || found[6] ? found : undefined;
}

/** Whose leases a list shows. */
export type NodeSelection =
  /** Those flannel or we look after: peers. */
  | 'managed'
  /** Every node with a pod CIDR: a controller makes its route before its agent has said a word. */
  | 'all';

/**
 * The lease a node stands for: its pod CIDRs, and what its annotations say; where they don't, the node's own address and provider id.
 * Undefined for a node that has none.
 *
 * The revision is the node's age and not its resourceVersion, which changes with every heartbeat of the kubelet.
 */
export function leaseOf(node: NodeObject, names: AnnotationNames, selection: NodeSelection): Lease | undefined {
  const annotations = annotationsOf(node);
  const managed = isManaged(annotations, names);
  const subnets = podCidrsOf(node);
  if (!subnets || (!managed && selection === 'managed')) return undefined;
  const said = readAnnotations(annotations, names);
  const attributes: LeaseAttributes = {
    ...said,
    publicIps: said.publicIps[4] || said.publicIps[6] ? said.publicIps : internalIps(node),
    node: { ...identityByKubelet(node), ...said.node },
  };
  const born = Date.parse(node.metadata.creationTimestamp ?? '');
  return { subnets, attributes, reserved: true, revision: String(Number.isFinite(born) ? born : 0) };
}

function internalIps({ status }: NodeObject): PerFamily<Ip> {
  const found: { 4?: Ip; 6?: Ip } = {};
  for (const { type, address } of status?.addresses ?? []) {
    const ip = type === 'InternalIP' ? parseIp(address) : undefined;
    if (ip) found[ip.family] ??= ip;
  }
  return found;
}

function identityByKubelet({ metadata, spec, status }: NodeObject): NodeIdentity {
  const instanceId = instanceIdOfProviderId(spec.providerID ?? '');
  const addresses = (status?.addresses ?? []).flatMap(({ type, address }) => {
    const ip = type === 'InternalIP' ? parseIp(address) : undefined;
    return ip ? formatIp(ip) : [];
  });
  return {
    nodeName: metadata.name,
    ...(instanceId ? { instanceId } : {}),
    ...(addresses.length > 0 ? { addresses } : {}),
  };
}

export function conditionOf({ status }: NodeObject, type: string): NodeCondition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}
