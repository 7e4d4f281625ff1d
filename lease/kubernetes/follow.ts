/**
 * Following a set of objects for as long as the caller wants: a list, then a watch from its place on. A place the server no longer has
 * (410 Gone) is listed anew and the difference told, deletions included; and so it is now and then, however healthy the watch looks.
 */

import * as z from 'zod';
import { backoffMs, type Clock, jitter, type Random } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { parseJson } from '../../src/core/json.ts';
import type { Logger } from '../../src/core/log.ts';
import { createOutageReport, type OnOutage } from '../outage.ts';
import type { KubernetesClient } from './client.ts';
import { isGone, unreadable } from './failures.ts';

export interface FollowOptions<T> {
  readonly client: KubernetesClient;
  /** Such as `/api/v1/nodes`. */
  readonly path: string;
  /** Selectors. */
  readonly query: Readonly<Record<string, string>>;
  /** What is followed, for messages: `watch of all nodes`. */
  readonly what: string;
  readonly schema: z.ZodType<T>;
  /** Objects in one page of a list. */
  readonly pageSize: number;
  /** Pause between full lists while the watch stands, milliseconds before jitter. */
  readonly relistMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** As for `OutageReport`. */
  readonly onOutage?: OnOutage | undefined;
}

export type FollowEvent<T> =
  | { readonly kind: 'state'; readonly objects: readonly T[]; readonly revision: string }
  | { readonly kind: 'put' | 'deleted'; readonly object: T; readonly revision: string };

const listSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().nullish() }),
  items: z.array(z.unknown()).nullish(),
});
const eventSchema = z.object({ type: z.string(), object: z.unknown() });
const placeSchema = z.object({ metadata: z.object({ resourceVersion: z.string() }) });
const statusSchema = z.object({
  code: z.number().optional(),
  message: z.string().optional(),
  reason: z.string().optional(),
});

const retryBaseMs = 200;
const retryMaxMs = 30_000;
/** Longest time of one watch, seconds. */
const longestWatch = 300;
/** A watch that stood this long was no failure at its start. */
const steadyMs = 5_000;
/** One that ended sooner ended for no good reason: without a pause, it and the next ones would be a flood of requests. */
const briefMs = 900;

/** Yields until the signal fires or the client is closed, which ends it by an abort error. Never throws anything else. */
export async function* follow<T>(options: FollowOptions<T>, callerSignal: AbortSignal): AsyncGenerator<FollowEvent<T>> {
  const { client, clock, random, what } = options;
  const signal = AbortSignal.any([callerSignal, client.closed]);
  const report = createOutageReport(options);
  let known: string | undefined;
  let listedAt = 0;
  let failures = 0;
  for (;;) {
    const startedAt = clock.monotonic();
    try {
      if (known === undefined || clock.monotonic() - listedAt > options.relistMs) {
        const state = await listAll(options, signal);
        report.recovered();
        known = state.revision;
        listedAt = clock.monotonic();
        yield { kind: 'state', ...state };
      }
      const until = listedAt + jitter(options.relistMs, 0.2, random);
      let heard = false;
      for await (const event of watchOnce(options, known, until, signal)) {
        report.recovered();
        heard = true;
        known = event.revision;
        if (event.kind !== 'bookmark') yield event;
      }
      const brief = clock.monotonic() - startedAt < briefMs;
      failures = brief ? failures + 1 : 0;
      // A store that was restored from a backup is behind our place: a watch from there hears nothing, and no error either.
      if (!heard) known = undefined;
      if (brief) await clock.sleep(backoffMs(failures - 1, retryBaseMs, retryMaxMs, random), signal);
    } catch (error) {
      signal.throwIfAborted();
      const gone = isGone(error);
      if (gone) {
        options.logger.info(`${what}: the API server no longer has our place; listing everything again`, { known });
        known = undefined;
      }
      if (clock.monotonic() - startedAt > steadyMs) failures = 0;
      failures += 1;
      // A watch that breaks once is everyday life; what counts is whether it comes back.
      if (failures > 1) report.failed(error);
      if (gone && failures === 1) continue;
      await clock.sleep(backoffMs(failures - 1, retryBaseMs, retryMaxMs, random), signal);
    }
  }
}

/** All objects at one moment, page by page. A continuation that has expired begins anew. */
export async function listAll<T>(
  options: Pick<FollowOptions<T>, 'client' | 'path' | 'query' | 'what' | 'schema' | 'pageSize'>,
  signal: AbortSignal,
): Promise<{ readonly objects: readonly T[]; readonly revision: string }> {
  for (let tries = 0; ; tries++) {
    const objects: T[] = [];
    let next: string | undefined;
    try {
      for (;;) {
        const page = await listPage(options, next, options.pageSize, signal);
        objects.push(...page.objects);
        next = page.next;
        if (next === undefined) return { objects, revision: page.revision };
      }
    } catch (error) {
      if (!isGone(error) || tries > 2) throw error;
    }
  }
}

/** One page. Objects that do not parse are left out. */
export async function listPage<T>(
  { client, path, query, what, schema }: Pick<FollowOptions<T>, 'client' | 'path' | 'query' | 'what' | 'schema'>,
  next: string | undefined,
  limit: number,
  signal: AbortSignal,
): Promise<{ readonly objects: readonly T[]; readonly revision: string; readonly next: string | undefined }> {
  const page = await client.call(
    {
      method: 'GET',
      path,
      query: { ...query, limit: String(limit), ...(next === undefined ? {} : { continue: next }) },
      schema: listSchema,
      doing: `list for the ${what}`,
    },
    signal,
  );
  const objects = (page.items ?? []).flatMap((item) => {
    const parsed = schema.safeParse(item);
    return parsed.success ? [parsed.data] : [];
  });
  return { objects, revision: page.metadata.resourceVersion, next: page.metadata.continue || undefined };
}

type WatchStep<T> =
  | Exclude<FollowEvent<T>, { kind: 'state' }>
  | { readonly kind: 'bookmark'; readonly revision: string };

/** One watch, until the server ends it or it is time for a full list. @throws with `isGone` when the place is lost. */
async function* watchOnce<T>(
  { client, path, query, what, schema, clock }: FollowOptions<T>,
  known: string,
  until: number,
  signal: AbortSignal,
): AsyncGenerator<WatchStep<T>> {
  const seconds = Math.max(1, Math.min(longestWatch, Math.ceil((until - clock.monotonic()) / 1_000)));
  const place = { resourceVersion: known, allowWatchBookmarks: 'true' };
  for await (const line of client.stream({ path, query: { ...query, ...place }, seconds, doing: what }, signal)) {
    const event = eventSchema.safeParse(parseLine(line));
    if (!event.success) throw unreadable({ doing: what }, 'an event is not what the API server sends');
    const { type, object } = event.data;
    if (type === 'ERROR') throw watchError(what, object);
    const at = placeSchema.safeParse(object);
    if (!at.success) continue;
    const revision = at.data.metadata.resourceVersion;
    if (type === 'BOOKMARK') {
      yield { kind: 'bookmark', revision };
      continue;
    }
    const parsed = schema.safeParse(object);
    if (!parsed.success) yield { kind: 'bookmark', revision };
    else yield { kind: type === 'DELETED' ? 'deleted' : 'put', object: parsed.data, revision };
  }
}

function parseLine(line: string): unknown {
  try {
    return parseJson(line);
  } catch {
    return undefined;
  }
}

function watchError(what: string, object: unknown): FlannelVpcError {
  const status = statusSchema.safeParse(object).data ?? {};
  const gone = status.code === 410 || status.reason === 'Expired';
  return new FlannelVpcError(
    gone ? 'NOT_FOUND' : 'STORE_UNAVAILABLE',
    `the ${what} ended: ${status.message ?? 'no reason given'}`,
    {
      details: gone ? { gone: true } : {},
    },
  );
}
