/** What the leader does until it is none any more: look, plan, write, report, and wait for the next reason to look. */
import type { Leadership } from '../../lease/election.ts';
import type { Lease } from '../../lease/lease.ts';
import type { LeaseAdmin } from '../../lease/lease-admin.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { LeaseStore, LeaseWatchEvent } from '../../lease/lease-store.ts';
import type { NodeNotices } from '../../lease/node-notices.ts';
import type { NodeReportStore } from '../../lease/node-reports.ts';
import type { OwnershipStore } from '../../lease/ownership-store.ts';
import type { OpenCloud } from '../cloud.ts';
import { backoffMs, type Clock, jitter, type Random } from '../core/clock.ts';
import { type FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import { formatCidr } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { createRepeatGate, type RepeatGate } from '../repeats.ts';
import { buildReport } from '../report/build-report.ts';
import type { ClusterReport, ProblemRow } from '../report/cluster-report.ts';
import type { Executor } from '../routing/execute.ts';
import type { Memory } from '../routing/knowledge.ts';
import type { DeletionPolicy, HeldRoute } from '../routing/route-plan.ts';
import { version } from '../version.ts';
import { dryRunLines } from './dry-run.ts';
import type { ControllerEvents } from './events.ts';
import { NodeTeller } from './node-teller.ts';
import { nodeTrouble } from './node-trouble.ts';
import { createObserver, type Look, type Observer } from './observer.ts';
import { isDoubt, type PassOutcome, runPass } from './pass.ts';
import type { ControllerState } from './state.ts';
import { Waker } from './waker.ts';

export interface LeadOptions {
  readonly resyncMs: number;
  readonly dryRun: boolean;
  readonly reapTerminated: boolean;
  readonly backendTypes: 'own' | 'all';
  readonly routeLimit: number | undefined;
  readonly policy: DeletionPolicy;
}

export interface LeadParts {
  readonly leases: LeaseStore;
  readonly ownership: OwnershipStore;
  readonly reports: NodeReportStore;
  readonly admin: LeaseAdmin;
  /** Undefined where the store has no place for it. */
  readonly notices?: NodeNotices | undefined;
  readonly cloud: OpenCloud;
  readonly netConf: NetConf;
  readonly state: ControllerState;
  readonly events: ControllerEvents;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** Throws when net-conf is no longer the one in force. */
  readonly assertNetConfStands: (signal: AbortSignal) => Promise<void>;
  /** What this process saw of the store when it led before. */
  readonly memory?: Memory | undefined;
}

/** What comes within this time after a change is taken with it, milliseconds: nodes of one scaling step join together. */
const gatherMs = 200;
/** Timers fire a little early now and then, milliseconds: the look would be for nothing, and the resync right behind it. */
const earlyMs = 50;
/** Pauses after a look or a write that failed, milliseconds. */
const retryMs = { base: 1_000, max: 60_000 };
/** First pause before looking again at what should mend itself (a lease whose NIC is not there yet), milliseconds. */
const hopefulMs = 5_000;
/** Shortest pause after a write that failed, milliseconds, whatever happens meanwhile; or what is left of a shorter one. */
const calmMs = 5_000;
/** Writes between two looks: at EC2's pace about half a minute. */
const mostWrites = 100;

/** Runs until the signal fires or the leadership is lost: an AbortError, or LEADERSHIP_LOST. */
export async function lead(
  parts: LeadParts,
  options: LeadOptions,
  leadership: Leadership,
  signal: AbortSignal,
): Promise<never> {
  const ending = new AbortController();
  const inner = AbortSignal.any([signal, leadership.lost, ending.signal]);
  const waker = new Waker(parts.clock);
  const arrivals = new Map<string, number>();
  try {
    const leader = new Leader(parts, options, leadership, waker, arrivals);
    const { teller } = leader;
    const running = [follow(parts, leader, waker, arrivals, inner), leader.run(inner)];
    return await Promise.race(teller ? [...running, teller.run(inner)] : running);
  } finally {
    ending.abort(new DOMException('the leader ends', 'AbortError'));
  }
}

/** Events only wake: what there is to do is always listed anew. But that a lease was ended on purpose, no list tells. */
async function follow(
  { leases, clock }: LeadParts,
  leader: Leader,
  waker: Waker,
  arrivals: Map<string, number>,
  signal: AbortSignal,
): Promise<never> {
  for await (const event of leases.watch(signal)) {
    noteArrivals(event, arrivals, clock.monotonic());
    if (event.kind === 'changes') for (const lease of event.deleted ?? []) leader.deleted(lease);
    waker.wake();
  }
  signal.throwIfAborted();
  throw new DOMException('the watch of the leases ended', 'AbortError');
}

/** When each lease was first heard of, for the time it takes until its routes stand. Those there at the start have waited longer. */
function noteArrivals(event: LeaseWatchEvent, arrivals: Map<string, number>, monotonic: number): void {
  if (event.kind === 'snapshot') {
    const present = new Set(event.list.leases.map(({ subnets }) => leaseKey(subnets)));
    for (const key of arrivals.keys()) if (!present.has(key)) arrivals.delete(key);
    return;
  }
  for (const lease of event.put) arrivals.set(leaseKey(lease.subnets), monotonic);
  for (const key of event.removed) arrivals.delete(key);
}

class Leader {
  readonly teller: NodeTeller | undefined;
  readonly #parts: LeadParts;
  readonly #options: LeadOptions;
  readonly #waker: Waker;
  readonly #arrivals: Map<string, number>;
  readonly #observer: Observer;
  readonly #executor: Executor;
  readonly #gate: RepeatGate;
  /** Monotonic: until then a request of the leader before may land. */
  readonly #quietUntil: number;
  /** Monotonic: the next look that counts as a resync. */
  #resyncAt: number;
  /** Problems told already, so that each is told once. */
  #told: ReadonlySet<string> = new Set();
  /** What a dry run said that it would do. */
  #wouldDo: ReadonlySet<string> = new Set();
  /** The report of the last look that did not fail. */
  #lastReport: ClusterReport | undefined;
  /** What should mend itself soon, as of the last look; and looks since something was added. */
  #hoped: ReadonlySet<string> = new Set();
  #hopes = 0;

  constructor(
    parts: LeadParts,
    options: LeadOptions,
    leadership: Leadership,
    waker: Waker,
    arrivals: Map<string, number>,
  ) {
    const { cloud, clock, logger, ownership, notices } = parts;
    this.teller = notices && !options.dryRun ? new NodeTeller({ notices, clock, logger }) : undefined;
    this.#parts = parts;
    this.#options = options;
    this.#waker = waker;
    this.#arrivals = arrivals;
    this.#observer = createObserver({ ...parts, ...options });
    const fenced = leadership.token === '' ? ownership : ownership.fenced(leadership);
    // Without an election there is no key to compare.
    this.#executor = {
      ...{ provider: cloud.provider, ownership: fenced, clock, logger, recent: new Map(), claimed: new Set() },
    };
    this.#gate = createRepeatGate(parts);
    this.#quietUntil = leadership.since + cloud.provider.capabilities.writeTimeoutMs;
    this.#resyncAt = this.#nextResync();
  }

  deleted(lease: Lease): void {
    this.#observer.deleted(lease);
  }

  async run(signal: AbortSignal): Promise<never> {
    const { clock, random, logger } = this.#parts;
    let failures = 0;
    for (let first = true; ; first = false) {
      const resync = clock.monotonic() >= this.#resyncAt - earlyMs;
      if (resync) this.#resyncAt = this.#nextResync();
      let pause: number;
      try {
        // A standby may have waited for weeks.
        if (first || resync) await this.#parts.assertNetConfStands(signal);
        const { outcome, look } = await this.#pass(resync, signal);
        const failed = outcome !== undefined && (outcome.conflict || outcome.failures.some(isPassing));
        failures = failed ? failures + 1 : 0;
        pause = this.#pauseAfter(look, outcome, failures);
        // Events must not make a failing cloud be asked more often.
        const calm = failed ? Math.min(pause, calmMs) : 0;
        if (calm > 0) await clock.sleep(calm, signal);
        pause -= calm;
      } catch (error) {
        signal.throwIfAborted();
        if (!isFlannelVpcError(error) || error.code === 'LEADERSHIP_LOST') throw error;
        failures += 1;
        this.#gate.failed('error', 'cannot look at the cluster; what stands is left as it is', error);
        this.#failed(error);
        const asked = Math.min(error.retryAfterMs ?? 0, retryMs.max);
        pause = Math.max(asked, backoffMs(failures - 1, retryMs.base, retryMs.max, random));
        await clock.sleep(pause, signal);
        continue;
      }
      const untilResync = Math.max(0, this.#resyncAt - clock.monotonic());
      const woken = await this.#waker.wait(Math.min(pause, untilResync), gatherMs, signal);
      if (woken) logger.debug('leases changed; looking');
    }
  }

  /** Milliseconds until the next look, if nothing happens and no resync comes first. `failures`: in a row, this pass included. */
  #pauseAfter(look: Look, outcome: PassOutcome | undefined, failures: number): number {
    const { clock, random } = this.#parts;
    const hoped = new Set([...hopesOf(look), ...(outcome?.failures.some(isDoubt) ? ['refused'] : [])]);
    const isNews = [...hoped].some((hope) => !this.#hoped.has(hope));
    this.#hopes = isNews ? 1 : this.#hopes + 1;
    this.#hoped = hoped;
    const pauses = [outcome?.ripeInMs ?? Number.POSITIVE_INFINITY];
    if (failures > 0) pauses.push(backoffMs(failures - 1, retryMs.base, retryMs.max, random));
    else if (outcome?.again) pauses.push(0);
    if (hoped.size > 0) pauses.push(backoffMs(this.#hopes - 1, hopefulMs, 2 * this.#options.resyncMs, random));
    const quiet = this.#quietUntil - clock.monotonic();
    // What is in the way is told only by a look that may write all of it.
    const waits = look.plan.steps.length > 0 || look.ended.length > 0 || this.teller !== undefined;
    if (quiet > 0 && waits && outcome) pauses.push(quiet);
    return Math.min(...pauses);
  }

  async #pass(
    resync: boolean,
    signal: AbortSignal,
  ): Promise<{ readonly outcome: PassOutcome | undefined; readonly look: Look }> {
    const { clock, state, events, admin, logger } = this.#parts;
    const { dryRun, reapTerminated } = this.#options;
    const started = clock.monotonic();
    const seen = await this.#observer.look({ resync }, signal);
    const createsOnly = started < this.#quietUntil;
    const outcome = dryRun
      ? undefined
      : await runPass(
          { executor: this.#executor, observer: this.#observer, reaper: reapTerminated ? admin : undefined },
          seen,
          { createsOnly, mostWrites },
          signal,
        );
    const look = outcome?.look ?? seen;
    const tookMs = clock.monotonic() - started;
    const { forwarding } = look;
    state.passed({ tookMs, done: outcome?.done ?? [], prepared: outcome?.prepared ?? [], forwarding });
    this.#gate.recovered('the cluster can be looked at again');
    if (dryRun) this.#tellDryRun(seen);
    this.#report(look, outcome?.failures ?? [], outcome?.again === true || createsOnly);
    const inSync = isInSync(look) && (outcome?.failures.length ?? 0) === 0;
    events.passed({ tookMs, inSync, done: outcome?.done ?? [], reaped: outcome?.reaped ?? 0 });
    this.#measureArrivals(started);
    if (resync) logger.debug('resync', { tookMs: Math.round(tookMs), leases: look.leases.length });
    return { outcome, look };
  }

  /** `unfinished`: more is about to be done, so that what is not done yet is no news. */
  #report(look: Look, failures: readonly FlannelVpcError[], unfinished: boolean): void {
    const { netConf, leases, logger } = this.#parts;
    const report = buildReport({ look, netConf, version, store: leases.description, failures });
    this.#lastReport = report;
    this.#show(report);
    const news = report.problems.filter(({ code }) => !unfinished || !isPending(code));
    const told = new Set(news.map(newsOf));
    for (const { severity, code, text, hint } of news) {
      if (this.#told.has(newsOf({ code, text }))) continue;
      logger[severity === 'error' ? 'error' : 'warn'](text, { code, ...(hint === undefined ? {} : { hint }) });
    }
    if (this.#told.size > 0 && report.problems.length === 0) logger.info('no problems left');
    this.#told = told;
    if (!unfinished) this.teller?.update(nodeTrouble({ look, report, failures }));
  }

  /** A look that failed leaves the last report standing, with what went wrong on top. */
  #failed(error: FlannelVpcError): void {
    const { state, events } = this.#parts;
    const last = this.#lastReport ?? { ...state.report(), problems: [] };
    events.passed({ tookMs: undefined, inSync: false, done: [], reaped: 0 });
    const row = { severity: 'error' as const, code: error.code, text: error.message, hint: error.hint };
    this.#show({ ...last, healthy: false, problems: [row, ...last.problems] });
  }

  #show(report: ClusterReport): void {
    const { state, clock, events } = this.#parts;
    state.saw(report, clock.now() + Math.max(0, this.#resyncAt - clock.monotonic()));
    // With the controller's own row: only a leader's numbers are counted.
    events.reported(state.report());
  }

  /** Each line once, and again when it had gone meanwhile. */
  #tellDryRun(look: Look): void {
    const lines = dryRunLines(look, this.#options);
    for (const [text, fields] of lines) if (!this.#wouldDo.has(text)) this.#parts.logger.info(text, fields);
    this.#wouldDo = new Set(lines.keys());
  }

  /** `started`: what came later was not looked at yet. */
  #measureArrivals(started: number): void {
    const { state, events, clock } = this.#parts;
    for (const node of state.report().nodes) {
      const at = this.#arrivals.get(node.lease);
      if (at === undefined || at > started || node.routesPresent < node.routesWanted || node.routesWanted === 0)
        continue;
      this.#arrivals.delete(node.lease);
      events.routesStood(clock.monotonic() - at);
    }
  }

  #nextResync(): number {
    const { clock, random } = this.#parts;
    return clock.monotonic() + jitter(this.#options.resyncMs, 0.1, random);
  }
}

/** What may work at the next try; the rest waits for a person, and for the next resync. */
function isPassing(error: FlannelVpcError): boolean {
  return error.retry === 'backoff' || error.retry === 'now';
}

/** Problems that are only there until a pass has done its work. */
function isPending(code: string): boolean {
  return code === 'missing' || code === 'forwarding';
}

/** Problems that differ in their numbers alone are one piece of news: a table that fills up is no other one at each pass. */
function newsOf({ code, text }: Pick<ProblemRow, 'code' | 'text'>): string {
  return `${code} ${text.replace(/(?<=[\s(])\d+(?=\s)/g, '#')}`;
}

/** What should mend itself soon, which no event of the store will tell. */
function hopesOf({ rejected, plan, prepares }: Look): readonly string[] {
  const soon: readonly HeldRoute['code'][] = ['being-removed', 'not-active'];
  return [
    ...prepares.map(({ nicId }) => nicId),
    ...rejected.flatMap(({ code, lease }) => (code === 'unresolved' ? lease : [])),
    ...plan.held.flatMap(({ code, action, tableId, destination }) =>
      action === 'write' && soon.includes(code) ? `${tableId} ${formatCidr(destination)}` : [],
    ),
  ];
}

/** True when all that is wanted stands and forwards. */
function isInSync({ plan, prepares }: Look): boolean {
  const waits = plan.steps.length + plan.conflicts.length + prepares.length > 0;
  return !waits && plan.held.every(({ action }) => action !== 'write');
}
