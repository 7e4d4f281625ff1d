/**
 * Calls to etcd: a few raw RPCs with a deadline each, over endpoints of which some may be dead.
 *
 * etcd3's RPC layer is used, and its upper layers are not, for these reasons:
 * - its `Lease` sends keepalives every third of the TTL for as long as the process lives (every 8 hours would do), and turns a lost
 *   lease into an event nobody may be listening to;
 * - its `Watcher` neither asks for a leader nor says at which revision it lost its place;
 * - its pool picks an endpoint at random for each call, which costs a connection to each, and its circuit breaker keeps a
 *   recovered etcd waiting for five seconds. So each endpoint has a client of its own here, without breaker and retries,
 *   and this file keeps to one endpoint as long as it answers.
 */
import type {
  Etcd3,
  ILeaseKeepAliveResponse,
  IRangeRequest,
  IRangeResponse,
  ITxnRequest,
  ITxnResponse,
  IWatchCreateRequest,
  IWatchResponse,
} from 'etcd3';
import { backoffMs, type Clock, type Random } from '../../src/core/clock.ts';
import { connectEtcd } from './connection.ts';
import { classifyEtcdError, isLeaseGone, isTimeout, translateEtcdError } from './errors.ts';
import { needsOfRange, needsOfTxn } from './needs.ts';
import {
  credentialsOf,
  type EtcdConnectionOptions,
  type EtcdEndpoint,
  parseEndpoints,
  readTls,
  readTlsAgain,
} from './options.ts';
import { type EtcdCallOptions, readOneAnswer, streamAnswers, withSignal } from './streams.ts';

export interface EtcdClientOptions extends EtcdConnectionOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Longest time one method may take, tries on other endpoints included, milliseconds; default 10 s. */
  readonly deadlineMs?: number;
  /** Longest time one endpoint may take to answer, milliseconds; default 3 s where there is another, else the whole deadline. */
  readonly attemptMs?: number;
}

/** Numbers of 64 bits are decimal text. Every method throws only translated errors, or the signal's reason. */
export interface EtcdClient {
  /** The endpoints, for messages. */
  readonly description: string;
  /** Fires at `close`, which ends whatever is under way by an AbortError. */
  readonly closed: AbortSignal;
  range(request: IRangeRequest, doing: string, signal: AbortSignal): Promise<IRangeResponse>;
  /** May have been carried out although it throws STORE_UNAVAILABLE, and may be sent twice: every write must be a compare-and-swap. */
  txn(request: ITxnRequest, doing: string, signal: AbortSignal): Promise<ITxnResponse>;
  /** A new etcd lease of at least that time; its id. */
  grant(ttlSeconds: number, signal: AbortSignal): Promise<string>;
  /** Renews an etcd lease. Its TTL as granted, in seconds; undefined when it has ended. */
  keepAlive(leaseId: string, signal: AbortSignal): Promise<number | undefined>;
  /** Ends an etcd lease, and deletes the keys on it. One that has ended already is no error. */
  revoke(leaseId: string, signal: AbortSignal): Promise<void>;
  /**
   * One watch on one endpoint: what the server sends until the signal fires or the stream breaks, which throws. The next one
   * goes to the next endpoint when this one broke.
   */
  watch(request: IWatchCreateRequest, signal: AbortSignal): AsyncIterable<IWatchResponse>;
  close(): void;
}

interface Connection {
  readonly endpoint: EtcdEndpoint;
  readonly etcd: Etcd3;
}

/** Pause between two tries of one call, before jitter, milliseconds. */
const retryBaseMs = 50;
const retryMaxMs = 1_000;

/** Nothing is sent before the first call; only files are read. Throws CONFIG_INVALID for options that can't work. */
export function createEtcdClient(options: EtcdClientOptions): EtcdClient {
  const endpoints = parseEndpoints(options.endpoints);
  let tls = readTls(options, endpoints);
  let auth = credentialsOf(options);
  const deadlineMs = options.deadlineMs ?? 10_000;
  const attemptMs = options.attemptMs ?? (endpoints.length > 1 ? 3_000 : deadlineMs);
  const { clock, random } = options;
  // Nodes start at different endpoints, so that the first of the list does not carry them all.
  let current = Math.floor(random() * endpoints.length);
  let connection: Connection | undefined;
  const closing = new AbortController();

  function connect(): Connection {
    closing.signal.throwIfAborted();
    if (connection) return connection;
    const endpoint = endpoints[current % endpoints.length] ?? { url: '', secure: false };
    tls = readTlsAgain(options, endpoints, tls);
    connection = { endpoint, etcd: connectEtcd({ endpoint, tls, auth, attemptMs }) };
    return connection;
  }

  /** Drops a connection that failed, unless somebody else has done so, and goes to the next endpoint. */
  function leave(failed: Connection, toNext: boolean): void {
    if (connection !== failed) return;
    connection = undefined;
    if (toNext) current = (current + 1) % endpoints.length;
    failed.etcd.close();
  }

  /** Acts on a failure; true when another try makes sense. */
  function recover(failed: Connection, error: unknown): boolean {
    const failure = classifyEtcdError(error);
    if (failure === 'away') leave(failed, true);
    // A new client logs in again: etcd3 itself does so for single calls, not for streams.
    else if (failure === 'token') leave(failed, false);
    else if (failure === 'no-auth') {
      auth = undefined;
      leave(failed, false);
    } else return false;
    return true;
  }

  async function call<T>(
    doing: string,
    callerSignal: AbortSignal,
    attempt: (etcd: Etcd3, call: EtcdCallOptions) => Promise<T>,
    needs?: () => string,
  ): Promise<T> {
    const signal = AbortSignal.any([callerSignal, closing.signal]);
    const end = clock.monotonic() + deadlineMs;
    let failure: { readonly error: unknown; readonly url: string } | undefined;
    for (let tries = 0; ; tries++) {
      signal.throwIfAborted();
      const used = connect();
      const left = end - clock.monotonic();
      try {
        return await withSignal(signal, Math.min(left, attemptMs), (call) => attempt(used.etcd, call));
      } catch (error) {
        signal.throwIfAborted();
        // The last try has little time left: that it ran out of it says less than what failed before.
        if (!failure || !isTimeout(error)) failure = { error, url: used.endpoint.url };
        const again = recover(used, error);
        // A whole round of endpoints goes without a pause: most of the time just one of them is dead.
        const pause = (tries + 1) % endpoints.length === 0 ? backoffMs(tries, retryBaseMs, retryMaxMs, random) : 0;
        if (!again || clock.monotonic() + pause >= end)
          throw translateEtcdError(failure.error, `${doing} at ${failure.url}`, needs);
        await clock.sleep(pause, signal);
      }
    }
  }

  return {
    closed: closing.signal,
    description: endpoints.map((endpoint) => endpoint.url).join(','),
    range: (request, doing, signal) =>
      call(
        doing,
        signal,
        (etcd, options) => etcd.kv.range(request, options),
        () => needsOfRange(request),
      ),
    txn: (request, doing, signal) =>
      call(
        doing,
        signal,
        (etcd, options) => etcd.kv.txn(request, options),
        () => needsOfTxn(request),
      ),
    async grant(ttlSeconds, signal) {
      const grant = await call('grant an etcd lease', signal, (etcd, options) =>
        etcd.leaseClient.leaseGrant({ TTL: ttlSeconds, ID: 0 }, options),
      );
      return grant.ID;
    },
    async keepAlive(leaseId, signal) {
      const answer = await call('renew the etcd lease', signal, async (etcd, options) =>
        readOneAnswer<ILeaseKeepAliveResponse>(await etcd.leaseClient.leaseKeepAlive(options), { ID: leaseId }),
      );
      const ttl = Number(answer.TTL);
      return ttl > 0 ? ttl : undefined;
    },
    async revoke(leaseId, signal) {
      try {
        await call('end the etcd lease', signal, (etcd, options) =>
          etcd.leaseClient.leaseRevoke({ ID: leaseId }, options),
        );
      } catch (error) {
        if (!isLeaseGone(error)) throw error;
      }
    },
    async *watch(request, callerSignal) {
      const signal = AbortSignal.any([callerSignal, closing.signal]);
      const used = connect();
      try {
        const open = (options: EtcdCallOptions) => used.etcd.watchClient.watch(options);
        yield* streamAnswers<IWatchResponse>(open, { create_request: request }, signal);
      } catch (error) {
        signal.throwIfAborted();
        recover(used, error);
        throw translateEtcdError(error, `watch at ${used.endpoint.url}`, () => needsOfRange(request));
      }
    },
    close() {
      closing.abort();
      connection?.etcd.close();
      connection = undefined;
    },
  };
}
