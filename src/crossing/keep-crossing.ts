/** Gets peers across, a few at a time: asks them by the way that packets shall take, and withdraws the overlay's route to who answers. */
import type { Host } from '../../host/host.ts';
import type { Clock } from '../core/clock.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { formatCidr, formatIp, type Ip, type PerFamily } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { Readiness } from '../health/status.ts';
import { createRepeatGate } from '../repeats.ts';
import type { Peer, PeerBook } from './peer-book.ts';
import { overlayNote } from './words.ts';

export interface CrossingOptions {
  readonly book: PeerBook;
  readonly host: Pick<Host, 'countEchoes'>;
  /** This node's own probe addresses: what pods send comes from the same subnet. */
  readonly from: PerFamily<Ip>;
  /**
   * Brings the kernel to what the book says, with these detours and no others; gives those that stand. Undefined when that failed, which it
   * has told of.
   */
  readonly settle: (detours: readonly Ip[], signal: AbortSignal) => Promise<readonly Ip[] | undefined>;
  readonly readiness: Readiness;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The part of readiness that carries the note. It never keeps a node from being ready: peers are reached either way. */
export const crossingPart = 'crossing';

/** Series side by side; each is a `ping` of about a second. */
const mostAtOnce = 16;
/** All of them must be answered for a peer to get across. */
const proofEchoes = 5;
/** One of them must, for it to stay there. */
const recheckEchoes = 3;
/** Longest pause between two looks at whose turn it is, milliseconds: peers come and go meanwhile. */
const idleMs = 1_000;

/** Runs until the signal fires. */
export async function keepCrossing(options: CrossingOptions, signal: AbortSignal): Promise<never> {
  const { book, clock, logger } = options;
  const gate = createRepeatGate(options);
  for (;;) {
    const due = book.due(clock.monotonic(), mostAtOnce);
    if (due.length === 0) {
      const wait = (book.nextDue() ?? Number.POSITIVE_INFINITY) - clock.monotonic();
      await clock.sleep(Math.min(idleMs, Math.max(10, wait)), signal);
      continue;
    }
    const asking = due.some((peer) => !peer.across);
    const back: Peer[] = [];
    const across: Peer[] = [];
    for (const [peer, answered] of await ask(options, due, signal)) {
      const side = book.note(peer, answered, clock.monotonic());
      if (side !== undefined) (side ? across : back).push(peer);
    }
    // The kernel of a large cluster's node takes a while to read; rechecks alone change nothing there.
    if (asking || back.length > 0) await options.settle([], signal);
    if (across.length > 0) logger.info('peers are reached by the cloud’s routes now', { peers: names(across) });
    if (back.length > 0) {
      logger.warn('peers do not answer by the cloud’s routes any more; packets to them take the overlay again', {
        peers: names(back),
      });
    }
    tell(options, gate);
  }
}

/** Who is across is asked by the way that packets take anyway; others by a detour, and without one not at all. */
async function ask(
  { host, from, settle }: CrossingOptions,
  due: readonly Peer[],
  signal: AbortSignal,
): Promise<readonly (readonly [Peer, boolean])[]> {
  const asking = due.filter(({ across }) => !across).map(({ address }) => address);
  const standing = new Set((asking.length === 0 ? [] : await settle(asking, signal))?.map(formatIp));
  return await Promise.all(
    due.map(async (peer) => {
      const own = from[peer.address.family];
      if (!own || !(peer.across || standing.has(formatIp(peer.address)))) return [peer, false] as const;
      const count = peer.across ? recheckEchoes : proofEchoes;
      const answers = await host.countEchoes({ from: own, to: peer.address, count }, signal);
      return [peer, answers >= (peer.across ? 1 : proofEchoes)] as const;
    }),
  );
}

function tell({ book, readiness }: CrossingOptions, gate: ReturnType<typeof createRepeatGate>): void {
  const peers = book.all();
  const left = peers.filter(({ across }) => !across);
  if (left.length === 0) {
    readiness.reached(crossingPart);
    gate.recovered('every peer is reached by the cloud’s routes');
    return;
  }
  const text = overlayNote(peers.length - left.length, peers.length, someOf(names(left)));
  readiness.reached(crossingPart, text);
  gate.failed(
    'warn',
    'not every peer answers by the cloud’s routes yet; packets to the others take the overlay',
    why(text),
  );
}

function why(text: string): FlannelVpcError {
  return new FlannelVpcError('TRANSIENT', text, {
    hint: 'On a peer that stays behind look at rp_filter (1 drops it, 2 is needed), its source/dest check and its security group; and at its route in the table of this node’s subnet. On flannel’s own nodes set net.ipv4.conf.all.rp_filter=2 by hand.',
  });
}

function names(peers: readonly Peer[]): readonly string[] {
  return peers.map(({ destination }) => formatCidr(destination)).sort();
}

function someOf(all: readonly string[], most = 5): string {
  const shown = all.slice(0, most).join(', ');
  return all.length > most ? `${shown} and ${all.length - most} more` : shown;
}
