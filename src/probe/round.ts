/** One round of probes: every group is asked until one of it answers, or a few have not. */
import { formatIp, type PerFamily, sameIp } from '../core/ip.ts';
import { candidates, type PeerGroup, type PeerTable, peerText, settle } from './peer-table.ts';
import type { ProbePeer } from './peers.ts';
import type { ProbeReply, ProbeSocket } from './socket.ts';
import type { GroupOutcome } from './verdict.ts';

export interface RoundResult {
  /** At least one peer answered, and saw our own address. */
  readonly answered: boolean;
  /** Of the fastest such answer. */
  readonly roundTripMs: number | undefined;
}

interface Ask {
  readonly outcome: GroupOutcome;
  readonly proven: ProbePeer | undefined;
  readonly reply: ProbeReply | undefined;
}

/** How long an answer is waited for, milliseconds. */
const answerMs = 1_000;
/** Peers of a group that are asked at once. */
const atOnce = 3;

/** Probes all groups and strangers, and keeps in the table how it ended. */
export async function probeRound(
  table: PeerTable,
  sockets: PerFamily<ProbeSocket>,
  now: () => number,
  signal: AbortSignal,
): Promise<RoundResult> {
  const strangers = table.takeTentative().map(async (stranger) => {
    const socket = sockets[stranger.family];
    const reply = await socket?.probe(stranger.address, answerMs, signal);
    if (!socket || !reply?.called || !sameIp(reply.seen.ip, socket.address)) return undefined;
    table.promote(stranger, reply.group);
    return reply;
  });
  const groups = table.groups.map((group) => probeGroup(group, sockets[group.family], now, signal));
  const replies = (await Promise.all([...groups, ...strangers])).filter((reply) => reply !== undefined);
  const times = replies.map(({ roundTripMs }) => roundTripMs);
  return { answered: times.length > 0, roundTripMs: times.length > 0 ? Math.min(...times) : undefined };
}

async function probeGroup(
  group: PeerGroup,
  socket: ProbeSocket | undefined,
  now: () => number,
  signal: AbortSignal,
): Promise<ProbeReply | undefined> {
  if (!socket) return undefined;
  let best: Ask = { outcome: { kind: 'silent' }, proven: undefined, reply: undefined };
  for (const peers of candidates(group, atOnce)) {
    const asked = await askAll(socket, peers, signal);
    if (asked.outcome.kind !== 'silent') best = asked;
    if (asked.outcome.kind === 'answered') break;
    group.cursor += peers.length;
  }
  settle(group, best, now());
  return best.reply;
}

/** The first right answer ends it; another one counts when there is no right one. */
async function askAll(socket: ProbeSocket, peers: readonly ProbePeer[], signal: AbortSignal): Promise<Ask> {
  const enough = new AbortController();
  const both = AbortSignal.any([signal, enough.signal]);
  let best: Ask = { outcome: { kind: 'silent' }, proven: undefined, reply: undefined };
  await Promise.all(
    peers.map(async (peer) => {
      const reply = await socket.probe(peer.address, answerMs, both).catch((error: unknown) => {
        if (enough.signal.aborted && !signal.aborted) return undefined;
        throw error;
      });
      if (!reply || best.outcome.kind === 'answered') return;
      const wrong = wrongIn(reply, peer, socket);
      if (wrong) {
        best = { ...best, outcome: wrong };
        return;
      }
      best = { outcome: { kind: 'answered' }, proven: peer, reply };
      enough.abort();
    }),
  );
  return best;
}

/** Why an answer is no proof; undefined when it is one. */
function wrongIn(
  { seen, called }: ProbeReply,
  peer: ProbePeer,
  socket: Pick<ProbeSocket, 'address'>,
): GroupOutcome | undefined {
  if (!sameIp(seen.ip, socket.address)) {
    return { kind: 'masqueraded', peer: peerText(peer), seen: formatIp(seen.ip) };
  }
  return called ? undefined : { kind: 'deaf', peer: peerText(peer) };
}
