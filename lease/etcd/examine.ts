/** What `doctor` asks of an etcd: each endpoint by itself, and what its user may do. Nothing stored is changed. */
import { type Clock, type Random, systemClock } from '../../src/core/clock.ts';
import { isAbortError, isFlannelVpcError } from '../../src/core/errors.ts';
import { createEtcdClient, type EtcdClient } from './client.ts';
import { createEtcdKeys } from './keys.ts';
import { oneKey, prefixRange, putOp } from './operations.ts';
import { type EtcdConnectionOptions, parseEndpoints } from './options.ts';

export interface ExamineOptions extends EtcdConnectionOptions {
  readonly prefix: string;
  /** Longest time one endpoint may take to answer, milliseconds; default 4 s. */
  readonly deadlineMs?: number;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** One endpoint. It was reached also where it refused to read: then `storeId` is unknown. */
export interface EndpointReport {
  readonly url: string;
  /** Milliseconds of one read over a connection that stands; undefined where no answer came. */
  readonly latencyMs: number | undefined;
  /** etcd's cluster id. */
  readonly storeId: string | undefined;
  readonly revision: string | undefined;
  /** Why there was no answer, or a refusal (STORE_DENIED). */
  readonly error: unknown;
}

/** Asks every endpoint, side by side. @throws CONFIG_INVALID for endpoints or certificate files that can't be used. */
export async function examineEndpoints(
  options: ExamineOptions,
  signal: AbortSignal,
): Promise<readonly EndpointReport[]> {
  const { clock = systemClock } = options;
  const { config } = createEtcdKeys(options.prefix);
  const clients = parseEndpoints(options.endpoints).map(({ url }) => ({ url, client: clientOf(options, [url]) }));
  return await Promise.all(
    clients.map(async ({ url, client }): Promise<EndpointReport> => {
      let sent = clock.monotonic();
      try {
        // The first read pays for the connection and the login.
        await read(client, config, signal);
        sent = clock.monotonic();
        const { header } = await read(client, config, signal);
        const latencyMs = clock.monotonic() - sent;
        return { url, latencyMs, storeId: header.cluster_id, revision: header.revision, error: undefined };
      } catch (error) {
        if (isAbortError(error)) throw error;
        const answered = isFlannelVpcError(error, 'STORE_DENIED') ? clock.monotonic() - sent : undefined;
        return { url, latencyMs: answered, storeId: undefined, revision: undefined, error };
      } finally {
        client.close();
      }
    }),
  );
}

/** Reads what every agent reads: net-conf, the leases and what nodes say of themselves. @throws as `LeaseStore`. */
export async function tryReading(options: ExamineOptions, signal: AbortSignal): Promise<void> {
  const client = clientOf(options, options.endpoints);
  const keys = createEtcdKeys(options.prefix);
  try {
    await read(client, keys.config, signal);
    for (const folder of [keys.subnets, keys.nodes])
      await client.range({ ...prefixRange(folder), count_only: true }, `read ${folder}`, signal);
  } finally {
    client.close();
  }
}

/**
 * Sends a transaction whose condition no store can meet (a version below zero) and that would put a key where every agent does if it did.
 * Nothing is put and the store's revision stays; yet etcd passes it through its log, and refuses it to a user who may not write
 * those keys, and to everybody while it has no space (`checkTxnAuth` and `applierV3Capped` look at both branches).
 *
 * @throws as `LeaseStore`.
 */
export async function tryWriting(options: ExamineOptions, signal: AbortSignal): Promise<void> {
  const client = clientOf(options, options.endpoints);
  const { subnets, nodes } = createEtcdKeys(options.prefix);
  const written = [`${subnets}doctor`, `${nodes}doctor`];
  try {
    await client.txn(
      {
        compare: [{ ...oneKey(`${subnets}doctor`), target: 'Version', result: 'Less', version: '0' }],
        success: written.map((key) => putOp(key, 'never written', '0')),
        failure: [],
      },
      'write leases and reports',
      signal,
    );
  } finally {
    client.close();
  }
}

function read(client: EtcdClient, key: string, signal: AbortSignal) {
  return client.range({ ...oneKey(key), keys_only: true }, 'read net-conf', signal);
}

function clientOf(options: ExamineOptions, endpoints: readonly string[]): EtcdClient {
  const { clock = systemClock, random = Math.random, deadlineMs = 4_000 } = options;
  return createEtcdClient({ ...options, endpoints, clock, random, deadlineMs });
}
