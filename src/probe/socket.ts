/**
 * This node's probe address as UDP knows it: it replies to the probes of others there, and sends ours.
 *
 * Each request and each call leaves by a port of its own. A firewall that remembers flows would let the packets of one that it has
 * seen before pass, whatever its rules say by now, and a changed rule that translates addresses would not be seen either.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Clock } from '../core/clock.ts';
import { errorMessage, FlannelVpcError } from '../core/errors.ts';
import { formatIp, type Ip, parseIp, sameIp } from '../core/ip.ts';
import { decodeReply, decodeRequest, encodeReply, encodeRequest, nonceBytes, type ReplyMessage } from './message.ts';
import { createRate } from './rate.ts';

export interface ProbeSocketOptions {
  /** Must be on this node. */
  readonly address: Ip;
  /** The same on all nodes. */
  readonly port: number;
  /** `networkId` of the pod network. */
  readonly network: string;
  /** `groupId` of the group this node is in. */
  readonly group: string;
  readonly clock: Clock;
  /** Told of each request that was replied to: its source is somebody who runs an agent, or says so. */
  readonly onRequest: (from: Ip) => void;
}

/** What came back from a peer. */
export interface ProbeReply extends Pick<ReplyMessage, 'seen' | 'group'> {
  /** Whether its call came in as well. Not waited for where the source it saw is not ours. */
  readonly called: boolean;
  readonly roundTripMs: number;
}

export interface ProbeSocket {
  readonly address: Ip;
  readonly port: number;
  /** Sends one request to the peer. Undefined when no answer came in time, or it could not be sent. */
  probe(to: Ip, timeoutMs: number, signal: AbortSignal): Promise<ProbeReply | undefined>;
  close(): void;
}

/** How the agent opens one; tests have their own. @throws HOST_COMMAND_FAILED when address or port can't be had. */
export type OpenProbeSocket = (options: ProbeSocketOptions) => Promise<ProbeSocket>;

/** Requests a second that are replied to, and at once. A node is probed by a few others; a cluster that starts at once has more. */
const repliesPerSecond = 200;
const repliesAtOnce = 1_000;

export const openProbeSocket: OpenProbeSocket = async (options) => {
  const { address, port, network, group, clock, onRequest } = options;
  const pending = new Map<string, (reply: ReplyMessage, from: Ip) => void>();
  const mayReply = createRate(clock, repliesPerSecond, repliesAtOnce);
  const socket = await listen(address, port);
  const boundPort = socket.address().port;

  function receive(message: Buffer, from: RemoteInfo): void {
    const ip = parseIp(from.address);
    // A packet may come from port 0, to which nothing can be sent.
    if (!ip || from.port === 0) return;
    const nonce = decodeRequest(message, network);
    if (nonce !== undefined) {
      if (!mayReply()) return;
      // Everybody gets them: what they prove is for the one who asked to judge, by the source that we saw.
      const reply = { nonce, seen: { ip, port: from.port }, group };
      socket.send(encodeReply(network, { ...reply, kind: 'answer' }), from.port, from.address, noop);
      sendFrom(address, encodeReply(network, { ...reply, kind: 'call' }), ip, boundPort);
      onRequest(ip);
      return;
    }
    const reply = decodeReply(message, network);
    if (reply) pending.get(reply.nonce)?.(reply, ip);
  }
  socket.on('message', receive);

  return {
    address,
    port: boundPort,
    async probe(to, timeoutMs, signal) {
      const nonce = randomBytes(nonceBytes).toString('hex');
      const done = new AbortController();
      const outcome = Promise.withResolvers<ProbeReply | undefined>();
      const sentAt = clock.monotonic();
      let answer: ProbeReply | undefined;
      let called = false;
      pending.set(nonce, (reply, from) => {
        if (!sameIp(from, to)) return;
        if (reply.kind === 'call') called = true;
        else answer ??= { seen: reply.seen, group: reply.group, called, roundTripMs: clock.monotonic() - sentAt };
        if (answer && (called || !sameIp(answer.seen.ip, address))) outcome.resolve({ ...answer, called });
      });
      clock
        .sleep(timeoutMs, AbortSignal.any([signal, done.signal]))
        .then(() => outcome.resolve(answer), outcome.reject);
      const sender = sendFrom(address, encodeRequest(network, nonce), to, boundPort, {
        onMessage: receive,
        onFailed: () => outcome.resolve(undefined),
      });
      try {
        return await outcome.promise;
      } finally {
        pending.delete(nonce);
        done.abort();
        sender.close();
      }
    },
    close: () => void socket.close(),
  };
};

/**
 * Sends one message from a port that was not used lately. Without `waits` the socket is closed when it was sent.
 *
 * What can't be sent (the address is gone from the kernel for a moment, no route leads anywhere) is lost like any packet.
 */
function sendFrom(
  from: Ip,
  message: Buffer,
  to: Ip,
  port: number,
  waits?: { readonly onMessage: (message: Buffer, from: RemoteInfo) => void; readonly onFailed: () => void },
): { close(): void } {
  const socket = createSocket(typeOf(from)).unref();
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    socket.close();
  };
  const failed = (): void => {
    waits?.onFailed();
    close();
  };
  socket.on('error', failed);
  if (waits) socket.on('message', waits.onMessage);
  socket.bind({ port: 0, address: formatIp(from), exclusive: true }, () => {
    if (closed) return;
    socket.send(message, port, formatIp(to), (error) => {
      if (error) failed();
      else if (!waits) close();
    });
  });
  return { close };
}

function listen(address: Ip, port: number): Promise<Socket> {
  const socket = createSocket(typeOf(address)).unref();
  return new Promise((resolve, reject) => {
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      const where = `${formatIp(address)} port ${port}`;
      reject(
        new FlannelVpcError('HOST_COMMAND_FAILED', `cannot listen for probes on ${where}: ${errorMessage(cause)}`, {
          hint: taken ? 'Choose a free UDP port with --probe-port, the same on all nodes.' : undefined,
          cause,
        }),
      );
    });
    socket.bind({ port, address: formatIp(address), exclusive: true }, () => {
      // A send that fails says so to its callback; nothing else that can happen to a bound socket is worth ending the agent for.
      socket.removeAllListeners('error').on('error', noop);
      resolve(socket);
    });
  });
}

function typeOf({ family }: Ip): 'udp4' | 'udp6' {
  return family === 4 ? 'udp4' : 'udp6';
}

function noop(): void {}
