/**
 * Keeps asking whether this node's pods can be reached: rounds of probes, other looks where nobody answers, the rule, and its damping.
 * What holds is told by `onVerdict` after each round.
 */
import type { LeaseKey } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { LeaseStore } from '../../lease/lease-store.ts';
import type { NodeReport, NodeReportStore } from '../../lease/node-reports.ts';
import type { Clock, Random } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import { formatIp, type Ip, type PerFamily } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { Waker } from '../core/waker.ts';
import { createRepeatGate } from '../repeats.ts';
import type { RouteNetworks } from '../routing/networks.ts';
import { gatherEvidence } from './evidence.ts';
import type { Looks } from './looks.ts';
import { PeerTable } from './peer-table.ts';
import type { Self } from './peers.ts';
import { probeRound, type RoundResult } from './round.ts';
import { createBackoff, lookAgainMs, pauseBefore, silentRoundsBeforeLook, wantsPeers } from './schedule.ts';
import type { ProbeSocket } from './socket.ts';
import { type Damped, damp, isReady, judge, tooManyNotReady, type Verdict } from './verdict.ts';

export interface ProberOptions {
  readonly leases: Pick<LeaseStore, 'neighbours'>;
  readonly reports: Pick<NodeReportStore, 'list'>;
  readonly self: Self;
  readonly networks: RouteNetworks;
  /** Opened on this node's probe addresses. */
  readonly sockets: PerFamily<ProbeSocket>;
  /** Woken with each request that came in; `takeHeard` gives whom from. */
  readonly requests: Waker;
  readonly takeHeard: () => readonly Ip[];
  readonly looks: Looks;
  /** Pause between two rounds while all is well, milliseconds before jitter. */
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly onVerdict: (verdict: Verdict) => void;
  readonly onRound: (result: RoundResult) => void;
}

/** Leases read at a time: next to ours in address order, so that nodes spread over one another. */
const neighbourLimit = 32;
const listMs = { base: 15_000, max: 5 * 60_000 };
const reportsMs = { base: 10_000, max: 2 * 60_000 };
/** Least time between two rounds, however often somebody asks, milliseconds. */
const spacingMs = 1_000;

/** Probes until the signal fires. */
export async function keepProbing(options: ProberOptions, signal: AbortSignal): Promise<never> {
  const { clock, random, sockets, requests, intervalMs } = options;
  const now = (): number => clock.monotonic();
  const table = new PeerTable(options.self, options.networks);
  const gate = createRepeatGate(options);
  const listing = createBackoff(listMs.base, listMs.max, random);
  const reporting = createBackoff(reportsMs.base, reportsMs.max, random);
  const holding = createBackoff(reportsMs.base, reportsMs.max, random);
  const startedAt = now();
  let unlisted: string | undefined = 'the list of peers was not read yet';
  let reports: ReadonlyMap<LeaseKey, NodeReport> | undefined;
  let plainAnswered: boolean | undefined;
  let damped: Damped | undefined;

  async function readPeers(): Promise<void> {
    listing.used(now());
    try {
      table.replace(await options.leases.neighbours(options.self.subnets, neighbourLimit, signal));
      unlisted = undefined;
      gate.recovered('peers to probe can be read again');
    } catch (error) {
      signal.throwIfAborted();
      gate.failed('warn', 'cannot read whom to probe', error);
      if (unlisted !== undefined) unlisted = `cannot read whom to probe: ${errorMessage(error)}`;
      return;
    }
    const [plain] = table.plain;
    const socket = plain && sockets[plain.address.family];
    if (table.groups.length > 0 || !socket) plainAnswered = undefined;
    else plainAnswered ??= await options.looks.ping(socket.address, plain.address, signal);
  }

  async function readReports(): Promise<void> {
    if (!reporting.due(now())) return;
    reporting.used(now());
    try {
      reports = await options.reports.list(signal);
    } catch (error) {
      signal.throwIfAborted();
      gate.failed('warn', 'cannot read what other nodes report', error);
    }
  }

  async function lookAtSilent(): Promise<void> {
    const due = table.groups.filter(
      ({ silentRounds, evidence }) =>
        silentRounds >= silentRoundsBeforeLook && (!evidence || now() - evidence.at >= lookAgainMs),
    );
    if (due.length === 0) return;
    await readReports();
    const known = reports;
    // Without reports nobody can be told from a node of an earlier version: the look waits, and so does the node.
    if (!known) return;
    await Promise.all(
      due.map(async (group) => {
        const socket = sockets[group.family];
        if (!socket) return;
        const found = await gatherEvidence(group, socket, options.looks, known, signal);
        group.evidence = { found, at: now() };
      }),
    );
  }

  /** A few nodes may turn not ready because of their probes, but not all of them at once. */
  async function mayTurnNotReady(verdict: Verdict): Promise<boolean> {
    if (!holding.due(now())) return false;
    holding.used(now());
    try {
      const all = await options.reports.list(signal);
      const own = leaseKey(options.self.subnets);
      const others = [...all].filter(([key]) => key !== own).map(([, report]) => report);
      if (!tooManyNotReady(others)) return true;
      options.logger.warn('not reachable, but too many nodes are not ready already: this one stays ready', {
        reason: verdict.reason,
        notReady: others.filter(({ ready }) => !ready).length,
        nodes: others.length + 1,
      });
    } catch (error) {
      signal.throwIfAborted();
      gate.failed('warn', 'cannot read what other nodes report', error);
    }
    return false;
  }

  async function decide({ answered }: RoundResult): Promise<Damped> {
    const [plain] = table.plain;
    const verdict = judge({
      unlisted,
      groups: table.views(now()),
      plain: plain && { peer: formatIp(plain.address), answered: plainAnswered },
    });
    const next = damp(damped, verdict, answered);
    const turns = damped && isReady(damped.verdict) && !isReady(next.verdict);
    if (!damped || !turns || (await mayTurnNotReady(next.verdict))) return next;
    const reason = `unproven: ${next.verdict.reason}; many nodes say so, and this one stays ready`;
    return { verdict: { state: 'unproven', reason }, failures: next.failures };
  }

  for (;;) {
    const roundAt = now();
    heardNews();
    const anySilent = table.groups.some(({ outcome }) => outcome?.kind !== 'answered');
    if (wantsPeers(damped?.verdict.state ?? 'waiting', anySilent) && listing.due(now())) await readPeers();
    const result = await probeRound(table, sockets, now, signal);
    await lookAtSilent();
    damped = await decide(result);
    if (damped.verdict.state === 'proven') for (const backoff of [listing, reporting, holding]) backoff.reset();
    if (table.groups.length > 0) options.onRound(result);
    options.onVerdict(damped.verdict);
    await pauseUntilDue(pauseBefore(damped, { intervalMs, waitingMs: now() - startedAt, random }), roundAt);
  }

  function heardNews(): boolean {
    return options.takeHeard().filter((from) => table.heard(from)).length > 0;
  }

  /** A request from somebody who was not known to answer ends the pause: it may be the peer that was waited for. */
  async function pauseUntilDue(ms: number, roundAt: number): Promise<void> {
    const ending = new AbortController();
    const timeUp = clock.sleep(ms, AbortSignal.any([signal, ending.signal]));
    let over = false;
    const slept = timeUp.then(() => {
      over = true;
    });
    try {
      while (!over && !heardNews()) await Promise.race([slept, requests.next()]);
    } finally {
      ending.abort();
      // A promise that nobody ever resolves would keep what waited for it.
      requests.wake();
      slept.catch(() => {});
    }
    const early = spacingMs - (now() - roundAt);
    if (!over && early > 0) await clock.sleep(early, signal);
  }
}
