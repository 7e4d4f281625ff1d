/** Reading and patching Node objects. */
import * as z from 'zod';
import { isFlannelVpcError } from '../../src/core/errors.ts';
import { type FollowOptions, listAll, listPage } from './follow.ts';
import { type NodeObject, nodeSchema } from './node-object.ts';
import type { KubernetesParts } from './parts.ts';

/** Nodes in one page of a list, as flannel's informer has it. */
const nodesPerPage = 500;
/** Pause between full lists beside a healthy watch, milliseconds. */
const relistMs = 10 * 60_000;

const nodePath = (name: string): string => `/api/v1/nodes/${encodeURIComponent(name)}`;

/** @throws NOT_FOUND for a node that there is not. */
export async function readNode({ client }: KubernetesParts, name: string, signal: AbortSignal): Promise<NodeObject> {
  return await client.call(
    { method: 'GET', path: nodePath(name), schema: nodeSchema, doing: `read node ${name}` },
    signal,
  );
}

/** Writes these annotations and no others. By the status subresource, as flannel does: its role grants no more. */
export async function patchAnnotations(
  { client }: KubernetesParts,
  name: string,
  annotations: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<NodeObject> {
  return await client.call(
    {
      ...{ method: 'PATCH', path: `${nodePath(name)}/status`, contentType: 'application/strategic-merge-patch+json' },
      ...{ body: { metadata: { annotations } }, schema: nodeSchema, doing: `annotate node ${name}` },
    },
    signal,
  );
}

/** A condition as it is written. */
export interface ConditionPatch {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  /** RFC 3339. */
  readonly lastTransitionTime?: string;
  readonly lastHeartbeatTime: string;
}

/** Conditions are merged by their type: the others stay. */
export async function patchCondition(
  { client }: KubernetesParts,
  name: string,
  condition: ConditionPatch,
  signal: AbortSignal,
): Promise<void> {
  await client.call(
    {
      ...{ method: 'PATCH', path: `${nodePath(name)}/status`, contentType: 'application/strategic-merge-patch+json' },
      ...{ body: { status: { conditions: [condition] } }, schema: z.unknown() },
      doing: `set the condition ${condition.type} of node ${name}`,
    },
    signal,
  );
}

/** How nodes are followed: all of them, or one. */
export function followNodes(parts: KubernetesParts, name?: string): FollowOptions<NodeObject> {
  return {
    ...parts,
    path: '/api/v1/nodes',
    query: name === undefined ? {} : { fieldSelector: `metadata.name=${name}` },
    what: name === undefined ? 'watch of all nodes' : `watch of node ${name}`,
    ...{ schema: nodeSchema, pageSize: nodesPerPage, relistMs },
  };
}

/**
 * Up to `limit` nodes whose names follow that one's. The API has no such question, but a list is continued from a name, and the server
 * reads a continuation that it never gave (apiserver's `storage.DecodeContinue`; rv -1: as things are now). Were that refused one day,
 * it is none: everybody's neighbours are then the first nodes.
 */
export async function nodesAfter(
  parts: KubernetesParts,
  name: string,
  limit: number,
  signal: AbortSignal,
): Promise<readonly NodeObject[]> {
  if (name === '') return [];
  const place = JSON.stringify({ v: 'meta.k8s.io/v1', rv: -1, start: `${name}\0` });
  const next = Buffer.from(place).toString('base64url');
  try {
    return (await listPage(followNodes(parts), next, limit, signal)).objects;
  } catch (error) {
    if (isFlannelVpcError(error, 'INVALID') || isFlannelVpcError(error, 'NOT_FOUND')) return [];
    throw error;
  }
}

interface NodeList {
  readonly objects: readonly NodeObject[];
  readonly revision: string;
}

const asked = new WeakMap<object, { readonly signal: AbortSignal; readonly list: Promise<NodeList> }>();

/** All nodes now. Leases and reports that are asked for in one breath are one list: it is a controller's largest read. */
export async function listNodes(parts: KubernetesParts, signal: AbortSignal): Promise<NodeList> {
  const { client } = parts;
  const found = asked.get(client);
  if (found?.signal === signal) return await found.list;
  const list = listAll(followNodes(parts), signal);
  asked.set(client, { signal, list });
  queueMicrotask(() => asked.delete(client));
  return await list;
}
