/** Which Node object this machine is, and what an operator has written on it for its agent. */
import * as z from 'zod';
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { AnnotationNames } from './annotations.ts';
import type { KubernetesClient } from './client.ts';
import { annotationsOf, type NodeObject } from './node-object.ts';

const podSchema = z.object({ spec: z.object({ nodeName: z.string().min(1).max(253).optional() }) });

/** As flannel finds it: `NODE_NAME`, else the node of the pod `POD_NAMESPACE`/`POD_NAME`. @throws CONFIG_INVALID without either. */
export async function ownNodeName(
  environment: Readonly<Record<string, string | undefined>>,
  client: Pick<KubernetesClient, 'call'>,
  signal: AbortSignal,
): Promise<string> {
  const name = environment['NODE_NAME'];
  if (name) return name;
  const pod = environment['POD_NAME'];
  const namespace = environment['POD_NAMESPACE'];
  if (!pod || !namespace) {
    throw new FlannelVpcError('CONFIG_INVALID', 'env variables POD_NAME and POD_NAMESPACE must be set', {
      hint: 'Set NODE_NAME (spec.nodeName by the downward API), or POD_NAME and POD_NAMESPACE.',
    });
  }
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}`;
  const doing = `retrieve pod spec for '${namespace}/${pod}'`;
  const { spec } = await client.call({ method: 'GET', path, schema: podSchema, doing }, signal);
  if (spec.nodeName) return spec.nodeName;
  throw new FlannelVpcError('CONFIG_INVALID', `node name not present in pod spec '${namespace}/${pod}'`, {
    hint: 'Set NODE_NAME (spec.nodeName by the downward API).',
  });
}

/** The operator's addresses for the node, in place of `--public-ip` and `--public-ipv6`; empty for none. */
export function publicIpHints(node: NodeObject, names: AnnotationNames): { readonly 4: string; readonly 6: string } {
  const annotations = annotationsOf(node);
  return { 4: annotations[names.nodePublicIp[4]] ?? '', 6: annotations[names.nodePublicIp[6]] ?? '' };
}
