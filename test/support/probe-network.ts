/** UDP between probe addresses in memory: who reaches whom, who translates addresses, and which nodes are up, are a test's to say. */
import type { Clock } from '../../src/core/clock.ts';
import { formatIp, type Ip } from '../../src/core/ip.ts';
import type { Looks } from '../../src/probe/looks.ts';
import type { OpenProbeSocket, ProbeSocketOptions } from '../../src/probe/socket.ts';

export interface ProbeNetwork {
  readonly open: OpenProbeSocket;
  readonly looks: Looks;
  /** Addresses that nothing is delivered to: no route leads there. */
  readonly unreachable: Set<string>;
  /** What is seen in place of the true source, by true source. */
  readonly masqueraded: Map<string, string>;
  /** Probe addresses whose calls from others do not come in. */
  readonly deaf: Set<string>;
  /** Node addresses that answer. */
  readonly up: Set<string>;
  /** Probe addresses that answer a ping, besides those with a socket. */
  readonly pinged: Set<string>;
  /** Requests sent so far. */
  readonly sent: () => number;
  /** Pings and connections made so far. */
  readonly looked: () => number;
}

export function createProbeNetwork(clock: Clock, parse: (text: string) => Ip): ProbeNetwork {
  const sockets = new Map<string, ProbeSocketOptions>();
  const unreachable = new Set<string>();
  const masqueraded = new Map<string, string>();
  const deaf = new Set<string>();
  const up = new Set<string>();
  const pinged = new Set<string>();
  let sent = 0;
  let looked = 0;
  const passes = (...ends: readonly string[]): boolean => !ends.some((end) => unreachable.has(end));
  return {
    ...{ unreachable, masqueraded, deaf, up, pinged, sent: () => sent, looked: () => looked },
    async open(options) {
      const own = formatIp(options.address);
      sockets.set(own, options);
      return {
        address: options.address,
        port: options.port,
        async probe(to, timeoutMs, signal) {
          sent += 1;
          const peer = sockets.get(formatIp(to));
          if (!peer || peer.network !== options.network || !passes(own, formatIp(to))) {
            await clock.sleep(timeoutMs, signal);
            return undefined;
          }
          const seen = parse(masqueraded.get(own) ?? own);
          peer.onRequest(seen);
          return { seen: { ip: seen, port: 40_000 }, group: peer.group, called: !deaf.has(own), roundTripMs: 1 };
        },
        close: () => void sockets.delete(own),
      };
    },
    looks: {
      async ping(from, to) {
        looked += 1;
        const ends = [formatIp(from), formatIp(to)];
        return passes(...ends) && (pinged.has(formatIp(to)) || sockets.has(formatIp(to)));
      },
      async isUp(address) {
        looked += 1;
        return up.has(formatIp(address));
      },
    },
  };
}
