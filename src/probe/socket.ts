/** One UDP socket on this node's probe address: it answers the probes of others, and sends ours from the same address and port. */
import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Clock } from '../core/clock.ts';
import { errorMessage, FlannelVpcError } from '../core/errors.ts';
import { formatIp, type Ip, parseIp, sameIp } from '../core/ip.ts';
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest, nonceBytes, type ProbeAnswer } from './message.ts';
import { createRate } from './rate.ts';

export interface ProbeSocketOptions {
  /** Must be on this node. */
  readonly address: Ip;
  readonly port: number;
  /** `networkId` of the pod network. */
  readonly network: string;
  /** `groupId` of the group this node is in. */
  readonly group: string;
  readonly clock: Clock;
  /** Told of each request that was answered: its source is somebody who runs an agent, or says so. */
  readonly onRequest: (from: Ip) => void;
}

/** What came back from a peer. */
export interface ProbeReply extends Pick<ProbeAnswer, 'seen' | 'group'> {
  readonly roundTripMs: number;
}

export interface ProbeSocket {
  readonly address: Ip;
  readonly port: number;
  /** Sends one request to the peer's same port. Undefined when no answer came in time, or it could not be sent. */
  probe(to: Ip, timeoutMs: number, signal: AbortSignal): Promise<ProbeReply | undefined>;
  close(): void;
}

/** How the agent opens one; tests have their own. @throws HOST_COMMAND_FAILED when address or port can't be had. */
export type OpenProbeSocket = (options: ProbeSocketOptions) => Promise<ProbeSocket>;

/** Answers a second, and at once. A node is probed by a few others; a cluster that starts at once has more. */
const answersPerSecond = 200;
const answersAtOnce = 1_000;

export const openProbeSocket: OpenProbeSocket = async (options) => {
  const { address, port, network, group, clock, onRequest } = options;
  const socket = createSocket({ type: address.family === 4 ? 'udp4' : 'udp6' });
  const pending = new Map<string, { readonly to: Ip; readonly answered: (answer: ProbeAnswer) => void }>();
  const mayAnswer = createRate(clock, answersPerSecond, answersAtOnce);

  function receive(message: Buffer, from: RemoteInfo): void {
    const ip = parseIp(from.address);
    if (!ip) return;
    const nonce = decodeRequest(message, network);
    if (nonce !== undefined) {
      if (!mayAnswer()) return;
      // Everybody is answered: what it proves is for the one who asked to judge, by the source that we saw.
      socket.send(
        encodeAnswer(network, { nonce, seen: { ip, port: from.port }, group }),
        from.port,
        from.address,
        noop,
      );
      onRequest(ip);
      return;
    }
    const answer = decodeAnswer(message, network);
    const asked = answer && pending.get(answer.nonce);
    if (answer && asked && sameIp(asked.to, ip)) asked.answered(answer);
  }

  await bind(socket, address, port);
  socket.on('message', receive);
  // A send that fails says so to its callback; nothing else that can happen to a bound socket is worth ending the agent for.
  socket.on('error', noop);
  socket.unref();
  const boundPort = socket.address().port;

  return {
    address,
    port: boundPort,
    async probe(to, timeoutMs, signal) {
      const nonce = randomBytes(nonceBytes).toString('hex');
      const reply = Promise.withResolvers<ProbeReply | undefined>();
      const sentAt = clock.monotonic();
      pending.set(nonce, {
        to,
        answered: ({ seen, group: theirs }) =>
          reply.resolve({ seen, group: theirs, roundTripMs: clock.monotonic() - sentAt }),
      });
      const done = new AbortController();
      clock.sleep(timeoutMs, AbortSignal.any([signal, done.signal])).then(() => reply.resolve(undefined), reply.reject);
      socket.send(encodeRequest(network, nonce), boundPort, formatIp(to), (error) => {
        // The address may be gone from the kernel for a moment, or no route lead anywhere.
        if (error) reply.resolve(undefined);
      });
      try {
        return await reply.promise;
      } finally {
        pending.delete(nonce);
        done.abort();
      }
    },
    close: () => void socket.close(),
  };
};

function bind(socket: Socket, address: Ip, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      reject(
        new FlannelVpcError(
          'HOST_COMMAND_FAILED',
          `cannot listen for probes on ${formatIp(address)} port ${port}: ${errorMessage(cause)}`,
          {
            hint: taken ? 'Choose a free UDP port with --probe-port, the same on all nodes.' : undefined,
            cause,
          },
        ),
      );
    });
    socket.bind({ port, address: formatIp(address), exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve();
    });
  });
}

function noop(): void {}
