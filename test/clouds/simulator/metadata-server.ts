/**
 * A metadata server of an instance: what it knows (`state`) and how it misbehaves (`faults`) can be changed while it runs.
 * What it answers is the cloud's own. It takes what it knows as plain data, so that it can run in a process of its own.
 */
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import {
  type HttpServer,
  type Reply,
  type SimulatorAnswer,
  type SimulatorRequest,
  startHttpServer,
} from './http-server.ts';

export const metadataFaultsSchema = z
  .strictObject({
    /** Answers every request with this status and nothing else; null for none again. */
    status: z.number().nullable(),
    /** Requests come in and nobody answers. */
    silent: z.boolean(),
    /** Milliseconds before each answer. */
    delayMs: z.number(),
  })
  .partial();
export type MetadataFaults = z.infer<typeof metadataFaultsSchema>;

/** One cloud's kind of metadata server. */
export interface MetadataKind<State> {
  readonly schema: z.ZodType<State>;
  answer(state: State, request: SimulatorRequest): SimulatorAnswer | Promise<SimulatorAnswer>;
}

export interface MetadataServer<State> {
  /** One for each address, in order. */
  readonly urls: readonly string[];
  /** Every request as `METHOD path?query`, in order. */
  readonly requests: readonly string[];
  setState(state: State): void;
  /** Those given; the others stay as they are. */
  setFaults(faults: MetadataFaults): void;
  stop(): Promise<void>;
}

/** @param addresses each `ADDRESS:PORT`; port 0 is a free one. Default `127.0.0.1:0`. */
export async function startMetadataServer<State>(
  kind: MetadataKind<State>,
  initial: State,
  addresses: readonly string[] = ['127.0.0.1:0'],
): Promise<MetadataServer<State>> {
  let state = initial;
  let faults: MetadataFaults = {};
  const requests: string[] = [];
  const stopped = new AbortController();

  async function handle(request: SimulatorRequest): Promise<Reply> {
    requests.push(`${request.method} ${request.url.pathname}${request.url.search}`);
    try {
      if (faults.silent) await delay(600_000, undefined, { signal: stopped.signal });
      if (faults.delayMs) await delay(faults.delayMs, undefined, { signal: stopped.signal });
    } catch {
      return 'cut';
    }
    return faults.status ? { status: faults.status } : await kind.answer(state, request);
  }

  const servers: HttpServer[] = [];
  for (const text of addresses) {
    const [, address = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(text) ?? [];
    if (address === '') throw new Error(`${text} is not ADDRESS:PORT`);
    servers.push(await startHttpServer({ address, port: Number(port), handle }));
  }
  return {
    urls: servers.map(({ url }) => url),
    requests,
    setState: (changed) => void (state = changed),
    setFaults: (changed) => void (faults = { ...faults, ...changed }),
    async stop() {
      stopped.abort();
      for (const server of servers) await server.stop();
    },
  };
}
