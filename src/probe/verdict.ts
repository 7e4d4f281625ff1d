/**
 * Is this node reachable? The rule, from what probes and a few other looks have shown. Pure.
 *
 * - Proven: of every group of peers (a group sends by one route table) one answered, saw our own probe address as the source, and its
 *   call came in.
 * - A group of which nobody answers blocks as long as one of its nodes is there: its own address, which no pod route leads to, can be
 *   reached, and its agent has reported something, so it has an agent that answers probes. Two fresh nodes wait for one another so, and go on
 *   as soon as both routes stand.
 * - Once another group has answered, our own side is shown to be in order: then only nodes that report that they themselves
 *   are reachable still block, and not those whose own routes are missing.
 * - A group whose nodes are not there (terminated, their leases not run out yet) holds a new node up for {@link graceMs} and no
 *   longer. Reports are no sign of life: they last as long as the lease.
 * - A node that was reachable stops being so only when nobody at all has answered {@link failuresBeforeNotReady} times in a row.
 */

/** How long silence of nodes that are not there counts, milliseconds. */
export const graceMs = 30_000;
/** Rounds in a row without any answer before a node that was ready is not. */
export const failuresBeforeNotReady = 3;

export type GroupOutcome =
  | { readonly kind: 'answered' }
  /** Answered, but what reached the peer had another source: somebody translates addresses on the way. */
  | { readonly kind: 'masqueraded'; readonly peer: string; readonly seen: string }
  /** Answered, but its call, which nothing of ours went before, did not come in. */
  | { readonly kind: 'deaf'; readonly peer: string }
  | { readonly kind: 'silent' };

/** A silent peer whose node can be reached by its own address. */
export interface LivePeer {
  readonly peer: string;
  readonly report: 'ready' | 'not-ready' | 'none';
}

/** What else was looked at, once a group was silent for a while. */
export interface Evidence {
  /** A peer whose kernel answered a ping from our probe address, although no agent there did. */
  readonly pinged: string | undefined;
  readonly live: readonly LivePeer[];
}

export interface GroupView {
  /** For people: a VPC subnet, a zone. */
  readonly name: string;
  /** Peers known of it. */
  readonly peers: number;
  readonly outcome: GroupOutcome;
  /** Since when nobody answers, milliseconds. */
  readonly silentMs: number;
  /** Undefined: not looked yet. */
  readonly evidence: Evidence | undefined;
}

export interface ProbeView {
  /** Why the list of peers could not be read, where it never could. */
  readonly unlisted?: string | undefined;
  readonly groups: readonly GroupView[];
  /** A peer that answers pings only, if there is one: real flannel. `answered` undefined: not asked yet. */
  readonly plain: { readonly peer: string; readonly answered: boolean | undefined } | undefined;
}

/**
 * `proven`, `alone` (no peer) and `unproven` count as ready; `waiting` and `unreachable` don't. `unreachable` is what somebody has to
 * mend, `waiting` may pass by itself.
 */
export type ProbeState = 'proven' | 'alone' | 'unproven' | 'waiting' | 'unreachable';

export interface Verdict {
  readonly state: ProbeState;
  /** Empty when proven. */
  readonly reason: string;
}

export function isReady({ state }: Verdict): boolean {
  return state === 'proven' || state === 'alone' || state === 'unproven';
}

/** The rule without a memory. */
export function judge({ unlisted, groups, plain }: ProbeView): Verdict {
  if (groups.length === 0 && unlisted !== undefined) return { state: 'waiting', reason: unlisted };
  if (groups.length === 0) return plain ? judgePlain(plain) : { state: 'alone', reason: 'no peer' };
  const anyAnswered = groups.some(({ outcome }) => outcome.kind === 'answered');
  const verdicts = groups.map((group) => judgeGroup(group, anyAnswered, groups.length));
  for (const state of ['unreachable', 'waiting', 'unproven'] as const) {
    const found = verdicts.find((verdict) => verdict.state === state);
    if (found) return found;
  }
  return { state: 'proven', reason: '' };
}

function judgePlain({ peer, answered }: NonNullable<ProbeView['plain']>): Verdict {
  if (answered === undefined) return { state: 'waiting', reason: `no answer from ${peer} yet` };
  const what = answered ? 'answers' : 'does not answer';
  return { state: 'unproven', reason: `unproven: peers run real flannel; ${peer} ${what} ping` };
}

function judgeGroup(group: GroupView, anyAnswered: boolean, groupCount: number): Verdict {
  const { outcome, evidence, silentMs, peers, name } = group;
  const of = groupCount > 1 ? ` of ${name}` : '';
  if (outcome.kind === 'answered') return { state: 'proven', reason: '' };
  if (outcome.kind === 'masqueraded') {
    const reason = `${outcome.peer} saw ${outcome.seen} as the source of our probe: it was masqueraded on the way`;
    return { state: 'unreachable', reason };
  }
  const waiting: Verdict = { state: 'waiting', reason: `no peer${of} answers yet` };
  if (outcome.kind === 'deaf') {
    const reason = `${outcome.peer} answers, but what it sends us unasked does not come in: a security group or firewall of this node drops it`;
    return { state: 'unreachable', reason };
  }
  if (evidence?.pinged !== undefined) {
    // The routes may have come between our probe and the ping: the next probe tells.
    if (silentMs < graceMs) return waiting;
    const reason = `unproven: no peer${of} answers probes, but ${evidence.pinged} answers ping`;
    return { state: 'unproven', reason };
  }
  const blocking = evidence?.live.find(({ report }) => (anyAnswered ? report === 'ready' : report !== 'none'));
  if (blocking) {
    const whose = blocking.report === 'ready' ? 'its node is up and says it is reachable' : 'its node is up';
    return { state: 'unreachable', reason: `no peer${of} answers: not ${blocking.peer} either, although ${whose}` };
  }
  if (!evidence || silentMs < graceMs) return waiting;
  return { state: 'unproven', reason: `unproven: none of ${peers} peer${peers === 1 ? '' : 's'}${of} answers` };
}

/** The rule's memory. */
export interface Damped {
  /** What holds: /readyz, the report and the metrics say this. */
  readonly verdict: Verdict;
  /** Rounds in a row without any answer that were judged not ready, since it was ready. */
  readonly failures: number;
}

/** What holds after one more round; `before` undefined at the first. `anyAnswered`: at least one peer proved us reachable in it. */
export function damp(before: Damped | undefined, verdict: Verdict, anyAnswered: boolean): Damped {
  if (isReady(verdict) || !before || !isReady(before.verdict)) return { verdict, failures: 0 };
  const failures = anyAnswered ? 0 : before.failures + 1;
  // What may pass by itself is no news: the look that tells is still to come.
  if (verdict.state === 'waiting') return { verdict: before.verdict, failures };
  // One table, one zone or one subnet that has trouble must not take every node elsewhere down.
  if (anyAnswered) return { verdict: { state: 'unproven', reason: `unproven: ${verdict.reason}` }, failures };
  return failures < failuresBeforeNotReady ? { verdict: before.verdict, failures } : { verdict, failures };
}

/** Share of all nodes that may be not ready for one more to say so because of its probes. */
const maxNotReadyShare = 0.2;

/** True when so many other nodes are not ready that the trouble is not this node's, and one more would only make it worse. */
export function tooManyNotReady(others: readonly { readonly ready: boolean }[]): boolean {
  const notReady = others.filter(({ ready }) => !ready).length;
  return notReady > maxNotReadyShare * (others.length + 1);
}
