/** A proxy before etcd that sees single calls: it can hold one before etcd hears of it, or its answer before the caller does. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Gates, type HeldCalls } from '../../providers/memory/gates.ts';

export interface GrpcCall {
  /** Such as `KV/Txn`. */
  readonly method: string;
  /** What is asked, as bytes in which etcd's keys can be read; empty for streams. */
  readonly request: string;
  readonly when: 'before' | 'after';
}

export interface GrpcGate {
  /** On all addresses. */
  readonly port: number;
  /** Calls so far, each once. */
  readonly log: readonly Omit<GrpcCall, 'when'>[];
  /** Holds calls for which it returns true. One whose caller has gone meanwhile is dropped, if etcd has not heard of it. */
  hold(holds: (call: GrpcCall) => boolean): HeldCalls;
  /** From now on no watch and no keepalive is answered any more, those that are open included; all else works. Returns what ends it. */
  muteStreams(): () => void;
  close(): Promise<void>;
}

/** Calls of many messages: watches and keepalives. Their requests are passed on as they come. */
const isStream = (method: string): boolean => /^(Watch\/|Lease\/LeaseKeepAlive)/.test(method);

/** Starts it before the server at this URL, which speaks HTTP/2 without TLS. */
export async function startGrpcGate(target: string): Promise<GrpcGate> {
  const gates = new Gates<GrpcCall>();
  const log: Omit<GrpcCall, 'when'>[] = [];
  const sessions = new Set<ServerHttp2Session | ClientHttp2Session>();
  let upstream: ClientHttp2Session | undefined;
  /** Answers of open streams, and whom they go to. */
  const streams = new Map<ClientHttp2Stream, ServerHttp2Stream>();
  let muted = false;

  function connection(): ClientHttp2Session {
    if (upstream && !upstream.closed && !upstream.destroyed) return upstream;
    const session = connect(target);
    sessions.add(session);
    session.on('error', () => {}).on('close', () => sessions.delete(session));
    upstream = session;
    return session;
  }

  async function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const method = String(headers[':path']).replace('/etcdserverpb.', '');
    const body = isStream(method) ? undefined : await readAll(stream);
    const call = { method, request: body?.toString('latin1') ?? '' };
    log.push(call);
    await gates.pass({ ...call, when: 'before' });
    if (stream.destroyed) return;
    const { ':authority': _, host: __, ...passed } = headers;
    const up = connection().request(passed);
    stream.on('close', () => up.close(constants.NGHTTP2_CANCEL));
    if (isStream(method)) {
      streams.set(up, stream);
      up.on('close', () => streams.delete(up));
    }
    up.on('error', () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
    const isMuted = (): boolean => muted && isStream(method);
    answer(up, stream, async () => await gates.pass({ ...call, when: 'after' }), isMuted);
    if (body) up.end(body);
    else stream.pipe(up);
  }

  const server = createServer();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {}).on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    serve(stream, headers).catch(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));

  return {
    port: (server.address() as AddressInfo).port,
    log,
    hold: (holds) => gates.hold(holds),
    muteStreams() {
      muted = true;
      for (const [up, stream] of streams) up.unpipe(stream);
      return () => {
        muted = false;
        for (const [up, stream] of streams) up.pipe(stream);
      };
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

/** Hands the answer on, trailers included, once `pass` lets it; only its headers while it is muted. */
function answer(
  up: ClientHttp2Stream,
  stream: ServerHttp2Stream,
  pass: () => Promise<void>,
  isMuted: () => boolean,
): void {
  let trailers: IncomingHttpHeaders = {};
  up.on('trailers', (received) => {
    trailers = received;
  });
  up.on('response', async (headers, flags) => {
    await pass();
    if (stream.destroyed) return;
    if (flags & constants.NGHTTP2_FLAG_END_STREAM) {
      stream.respond(headers, { endStream: true });
      return;
    }
    stream.respond(headers, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    if (!isMuted()) up.pipe(stream);
  });
}

async function readAll(stream: ServerHttp2Stream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
