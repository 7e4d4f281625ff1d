/**
 * Trouble with a node's routes as a condition of its Node, and an Event each time it begins, ends or has another reason. Needs
 * `patch nodes/status`, and `create` and `patch events` in the namespace default, where Events of nodes are.
 */
import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { type FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import type { NodeNotice, NodeNotices } from '../node-notices.ts';
import { conditionOf, type NodeObject } from './node-object.ts';
import { listNodes, patchCondition } from './nodes.ts';
import type { KubernetesParts } from './parts.ts';

/** False: a route of the node can't be written. It is made when there is something to say, and True when that is over. */
const routeConditionType = 'FlannelVPCRoute';
const standing = { reason: 'RoutesStand', message: 'all routes to this node stand' } as const;
/** Longest message of a condition or an Event. */
const messageLength = 1_000;
/** Nodes that are told in one call; the rest is told at the next one. */
const mostNodes = 200;
/** Requests side by side. */
const tellers = 4;
/** The same is compared with what stands after this time, milliseconds. */
const againMs = 10 * 60_000;
/** Events at once, and the pause after which there may be one more, milliseconds. */
const eventBurst = 25;
const eventMs = 2_000;
const eventsPath = '/api/v1/namespaces/default/events';
/** Events counted on by name, at most. */
const mostRemembered = 1_000;

interface Change {
  readonly node: NodeObject;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  /** It was the other status before. */
  readonly turns: boolean;
  /** It is worth an Event: another status or another reason. */
  readonly isNews: boolean;
}

export function createKubernetesNodeNotices(parts: KubernetesParts): NodeNotices {
  const { client, clock } = parts;
  const component = 'flannel-vpc-controller';
  /** By node and reason: so that what comes and goes is one Event with a count. */
  const events = new Map<string, { readonly name: string; count: number }>();
  let told: { readonly text: string; readonly at: number } | undefined;
  let allowance = eventBurst;
  let allowedAt = clock.monotonic();

  function mayTellEvent(): boolean {
    const now = clock.monotonic();
    const more = Math.floor((now - allowedAt) / eventMs);
    if (more > 0) {
      allowance = Math.min(eventBurst, allowance + more);
      allowedAt = now;
    }
    if (allowance === 0) return false;
    allowance -= 1;
    return true;
  }

  async function tellEvent({ node, status, reason, message }: Change, signal: AbortSignal): Promise<void> {
    if (!mayTellEvent()) return;
    const { name, uid } = node.metadata;
    const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const key = `${uid} ${reason}`;
    const known = events.get(key);
    const doing = `tell an Event of node ${name}`;
    if (known) {
      known.count += 1;
      const body = { count: known.count, lastTimestamp: now, message };
      try {
        const path = `${eventsPath}/${known.name}`;
        const contentType = 'application/merge-patch+json';
        await client.call({ method: 'PATCH', path, body, contentType, schema: z.unknown(), doing }, signal);
        return;
      } catch (error) {
        // The server forgets Events after an hour.
        if (!isFlannelVpcError(error, 'NOT_FOUND')) throw error;
      }
    }
    const event = { name: `${name.slice(0, 200)}.${randomBytes(8).toString('hex')}`, count: 1 };
    const body = {
      ...{ apiVersion: 'v1', kind: 'Event', metadata: { name: event.name, namespace: 'default' } },
      involvedObject: { apiVersion: 'v1', kind: 'Node', name, uid },
      ...{ type: status === 'True' ? 'Normal' : 'Warning', reason, message, count: 1 },
      ...{ firstTimestamp: now, lastTimestamp: now, source: { component }, reportingComponent: component },
    };
    try {
      await client.call({ method: 'POST', path: eventsPath, body, schema: z.unknown(), doing }, signal);
    } catch (error) {
      // Its name is ours alone: it stands since a first try, whose answer was lost.
      if (!isFlannelVpcError(error, 'CONFLICT')) throw error;
    }
    if (events.size >= mostRemembered) events.clear();
    events.set(key, event);
  }

  async function tellOne(change: Change, signal: AbortSignal): Promise<void> {
    const { node, status, reason, message, turns } = change;
    const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const condition = { type: routeConditionType, status, reason, message, lastHeartbeatTime: now };
    const since = turns ? { lastTransitionTime: now } : {};
    await patchCondition(parts, node.metadata.name, { ...condition, ...since }, signal);
    if (change.isNews) await tellEvent(change, signal);
  }

  return {
    async tell(trouble, undecided, signal) {
      const text = JSON.stringify([trouble, [...undecided]]);
      if (told?.text === text && clock.monotonic() - told.at < againMs) return;
      told = undefined;
      const byName = new Map(trouble.map((notice) => [notice.nodeName, notice]));
      const { objects } = await listNodes(parts, signal);
      const changes = objects.flatMap((node) =>
        undecided.has(node.metadata.name) ? [] : (changeOf(node, byName.get(node.metadata.name)) ?? []),
      );
      const waiting = changes.slice(0, mostNodes).values();
      let failure: FlannelVpcError | undefined;
      await Promise.all(
        Array.from({ length: tellers }, async () => {
          for (const change of waiting) {
            try {
              await tellOne(change, signal);
            } catch (error) {
              signal.throwIfAborted();
              if (!isFlannelVpcError(error)) throw error;
              // A node that was deleted just now needs nothing more.
              if (error.code !== 'NOT_FOUND') failure ??= error;
            }
          }
        }),
      );
      if (failure) throw failure;
      if (changes.length <= mostNodes) told = { text, at: clock.monotonic() };
    },
  };
}

/** What has to be written to the node, if anything. */
function changeOf(node: NodeObject, notice: NodeNotice | undefined): Change | undefined {
  const before = conditionOf(node, routeConditionType);
  if (!notice && before?.status !== 'False') return undefined;
  const status = notice ? 'False' : 'True';
  const { reason, message } = notice ?? standing;
  const turns = before?.status !== status;
  const isNews = turns || before.reason !== reason;
  const said = message.slice(0, messageLength);
  if (!isNews && before.message === said) return undefined;
  return { node, status, reason, message: said, turns, isNews };
}
