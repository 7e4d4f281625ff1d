/** flannel's annotations of a node, and ours beside them. Pure. */

import { FlannelVpcError } from '../../src/core/errors.ts';
import { families, formatIp, type Ip, type PerFamily, parseIp } from '../../src/core/ip.ts';
import { parseJson } from '../../src/core/json.ts';
import type { LeaseAttributes, NodeIdentity } from '../lease.ts';
import { nodeIdentitySchema } from '../node-identity.ts';

/** Full names of the annotations, by what they hold. */
export interface AnnotationNames {
  readonly subnetManager: string;
  readonly backendType: string;
  readonly backendData: string;
  readonly backendV6Data: string;
  readonly publicIp: PerFamily<string> & { readonly 4: string; readonly 6: string };
  /** Written to `publicIp` as they are, in place of what the agent found. */
  readonly overwrite: { readonly 4: string; readonly 6: string };
  /** In place of `--public-ip`, before the interface is chosen. */
  readonly nodePublicIp: { readonly 4: string; readonly 6: string };
  /** Ours: who the node is in the cloud, JSON. */
  readonly identity: string;
}

/** flannel's expression (`newAnnotations`), anchored at the left: what it lets through there besides, Kubernetes refuses. */
const wholePrefix = /^(?:[a-z0-9_-]+\.)+[a-z0-9_-]+\/(?:[a-z0-9_-]+-)?$/;

/**
 * flannel's rules for `--kube-annotation-prefix` (its `subnet/kube`): `P` gives `P/name`, `P/x` and `P/x-` give `P/x-name`.
 *
 * @throws CONFIG_INVALID in flannel's words.
 */
export function annotationNames(prefix: string): AnnotationNames {
  const slashes = prefix.split('/').length - 1;
  const slashed = slashes === 0 ? `${prefix}/` : prefix;
  const whole = /[/-]$/.test(slashed) ? slashed : `${slashed}-`;
  if (slashes > 1 || prefix.length > 253 || !wholePrefix.test(whole)) {
    const why =
      slashes > 1 ? 'prefix can contain at most single slash' : 'prefix must be in a format: fqdn/[0-9a-z-_]*';
    throw new FlannelVpcError(
      'CONFIG_INVALID',
      `--kube-annotation-prefix: ${JSON.stringify(prefix.slice(0, 200))}: subnet/kube: ${why}`,
      { hint: 'Give a domain such as flannel.alpha.coreos.com, or one with a word after a slash.' },
    );
  }
  const full = (name: string): string => `${whole}${name}`;
  return {
    subnetManager: full('kube-subnet-manager'),
    backendType: full('backend-type'),
    backendData: full('backend-data'),
    backendV6Data: full('backend-v6-data'),
    publicIp: { 4: full('public-ip'), 6: full('public-ipv6') },
    overwrite: { 4: full('public-ip-overwrite'), 6: full('public-ipv6-overwrite') },
    nodePublicIp: { 4: full('node-public-ip'), 6: full('node-public-ipv6') },
    identity: full('vpc-node'),
  };
}

export type Annotations = Readonly<Record<string, string>>;

/** True when flannel or we look after the node. */
export function isManaged(annotations: Annotations, names: AnnotationNames): boolean {
  return annotations[names.subnetManager] === 'true';
}

/** What the annotations say; what does not parse counts as not said. */
export function readAnnotations(annotations: Annotations, names: AnnotationNames): LeaseAttributes {
  const publicIps: { 4?: Ip; 6?: Ip } = {};
  for (const family of families) {
    const ip = parseIp(annotations[names.publicIp[family]] ?? '');
    if (ip?.family === family && ip.value !== 0n) publicIps[family] = ip;
  }
  const v4 = jsonOf(annotations[names.backendData]);
  const v6 = jsonOf(annotations[names.backendV6Data]);
  const node = nodeIdentitySchema.safeParse(jsonOf(annotations[names.identity])).data;
  return {
    publicIps,
    backendType: annotations[names.backendType] ?? '',
    backendData: { ...(v4 === undefined ? {} : { 4: v4 }), ...(v6 === undefined ? {} : { 6: v6 }) },
    ...(node ? { node } : {}),
  };
}

/**
 * What is to stand there for these attributes: flannel's own annotations in flannel's form, ours only for cloud backends. A public
 * address that an operator overwrites is written as the operator has it.
 */
export function writeAnnotations(
  attributes: LeaseAttributes,
  standing: Annotations,
  names: AnnotationNames,
): Annotations {
  const { publicIps, backendType, backendData, node } = attributes;
  const address = (family: 4 | 6): string | undefined => {
    const ip = publicIps[family];
    return standing[names.overwrite[family]] || (ip && formatIp(ip));
  };
  const v4 = address(4);
  const v6 = address(6);
  // flannel's host-gw has no data, and says so in dual stack.
  const noData = backendType === 'host-gw' && publicIps[6] ? 'null' : undefined;
  // An IPv6-only vxlan leaves IPv4's alone.
  const v4Data =
    backendData[4] === undefined && backendData[6] !== undefined ? undefined : JSON.stringify(backendData[4] ?? null);
  const v6Data = backendData[6] === undefined ? noData : JSON.stringify(backendData[6]);
  return {
    [names.subnetManager]: 'true',
    [names.backendType]: backendType,
    ...(v4Data === undefined ? {} : { [names.backendData]: v4Data }),
    ...(v4 === undefined ? {} : { [names.publicIp[4]]: v4 }),
    ...(v6 === undefined ? {} : { [names.publicIp[6]]: v6 }),
    ...(v6Data === undefined ? {} : { [names.backendV6Data]: v6Data }),
    ...identityAnnotation(node, standing, names),
  };
}

/** A node that went back to its overlay says so no more; the rest of what it said is still right. */
function identityAnnotation(
  node: NodeIdentity | undefined,
  standing: Annotations,
  names: AnnotationNames,
): Annotations {
  const said = readAnnotations(standing, names).node;
  const now = node ?? (said?.movedTo === undefined ? undefined : { ...said, movedTo: undefined });
  return now ? { [names.identity]: identityText(now) } : {};
}

/** Those that are not there yet as they should be. */
export function missingFrom(standing: Annotations, wanted: Annotations): Annotations {
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => standing[name] !== value));
}

/** Members in one order, so that equal identities are equal texts. */
function identityText({ instanceId, nicId, subnetId, zone, nodeName, addresses, movedTo }: NodeIdentity): string {
  return JSON.stringify({ instanceId, nicId, subnetId, zone, nodeName, addresses, movedTo });
}

function jsonOf(value: string | undefined): unknown {
  if (value === undefined || value === '') return undefined;
  try {
    return parseJson(value) ?? undefined;
  } catch {
    return undefined;
  }
}
