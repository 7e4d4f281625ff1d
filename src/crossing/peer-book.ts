/**
 * Which peers of a node that moves from an overlay to a cloud's routes are reached by these, as their answers show. A peer is *across* once
 * it answered a whole series by that way; the overlay's route to it goes then, and comes back when it does not answer any more. Pure but for
 * what it remembers.
 */
import type { PeerEntries } from '../../providers/host-backend.ts';
import type { Random } from '../core/clock.ts';
import { backoffMs } from '../core/clock.ts';
import { type Cidr, formatCidr, formatIp, type Ip } from '../core/ip.ts';
import { probeAddress } from '../core/probe-address.ts';

/** One family of one peer. */
export interface Peer {
  readonly destination: Cidr;
  /** Where it answers: flannel's vxlan has this address on its device, our agents on the loopback link. */
  readonly address: Ip;
  readonly across: boolean;
}

interface Known extends Peer {
  /** Another machine, or another device, with the same subnet is another peer. */
  readonly identity: string;
  /** Series without a whole answer, in a row. */
  failures: number;
  /** Monotonic, milliseconds. */
  dueAt: number;
  across: boolean;
}

/** Pauses between two series to a peer that is not across, milliseconds. */
const retryMs = { base: 2_000, max: 60_000 };
/** To one that just got across: now packets take the way for good, and show it. */
const confirmMs = 1_000;
/** Least pause between two series to one that is across; more where there are many peers: {@link perSecond} in all. */
const recheckMs = 30_000;
const perSecond = 4;
/** One series that is lost may be the peer's restart, or a busy machine. */
const failuresBack = 2;

export class PeerBook {
  readonly #peers = new Map<string, Known>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Takes up the peers that the backend has routes to now, and forgets others. */
  update(entries: PeerEntries, now: number): void {
    const remotes = new Map(
      entries.forwarding.map(({ mac, device, remote }) => [`${device} ${mac}`, formatIp(remote)]),
    );
    const macs = new Map(entries.neighbours.map(({ address, device, mac }) => [`${device} ${formatIp(address)}`, mac]));
    const keys = new Set<string>();
    for (const { destination, gateway, device } of entries.routes) {
      const key = formatCidr(destination);
      keys.add(key);
      const mac = macs.get(`${device} ${formatIp(gateway)}`) ?? '';
      const identity = `${device} ${formatIp(gateway)} ${mac} ${remotes.get(`${device} ${mac}`) ?? ''}`;
      if (this.#peers.get(key)?.identity === identity) continue;
      const address = probeAddress(destination);
      this.#peers.set(key, { destination, address, identity, across: false, failures: 0, dueAt: now });
    }
    for (const key of this.#peers.keys()) if (!keys.has(key)) this.#peers.delete(key);
  }

  /** The entries without the routes to peers that are across. What peers need to be heard by the overlay stays. */
  withdrawn(entries: PeerEntries): PeerEntries {
    const routes = entries.routes.filter(({ destination }) => !this.#peers.get(formatCidr(destination))?.across);
    return { ...entries, routes };
  }

  /** Up to `most` peers whose turn it is, the longest waiting first. */
  due(now: number, most: number): readonly Peer[] {
    return [...this.#peers.values()]
      .filter(({ dueAt }) => dueAt <= now)
      .sort((a, b) => a.dueAt - b.dueAt)
      .slice(0, most)
      .map((peer) => ({ destination: peer.destination, address: peer.address, across: peer.across }));
  }

  /** Monotonic time of the next turn; undefined without a peer. */
  nextDue(): number | undefined {
    const times = [...this.#peers.values()].map(({ dueAt }) => dueAt);
    return times.length === 0 ? undefined : times.reduce((least, time) => Math.min(least, time));
  }

  /** Notes what a series showed. Gives the peer's new side where it changed: true for across. */
  note({ destination }: Peer, answered: boolean, now: number): boolean | undefined {
    const peer = this.#peers.get(formatCidr(destination));
    if (!peer) return undefined;
    const before = peer.across;
    peer.failures = answered ? 0 : peer.failures + 1;
    if (answered) peer.across = true;
    else if (peer.failures >= failuresBack) peer.across = false;
    if (peer.across && (!before || !answered)) peer.dueAt = now + confirmMs;
    else if (peer.across) peer.dueAt = now + Math.max(recheckMs, (this.#peers.size / perSecond) * 1_000);
    else peer.dueAt = now + backoffMs(peer.failures, retryMs.base, retryMs.max, this.#random);
    return peer.across === before ? undefined : peer.across;
  }

  /** Every peer, by address. */
  all(): readonly Peer[] {
    return [...this.#peers.values()];
  }
}
