/** What the controller shows of itself: to its status page, to metrics, and to nobody else. */
import type { LeaderInfo } from '../../lease/election.ts';
import type { ForwardingSetting, NextHop } from '../../providers/provider.ts';
import { formatCidr } from '../core/ip.ts';
import type { ChangeRow, ClusterReport, ControllerRow, ProblemRow } from '../report/cluster-report.ts';
import type { RouteStep } from '../routing/route-plan.ts';

const mostChanges = 100;

/** A report without a view of the cluster: what is known from net-conf alone. */
export type EmptyReport = Omit<ClusterReport, 'at' | 'controller'>;

export class ControllerState {
  readonly #holder: string;
  readonly #dryRun: boolean;
  readonly #empty: EmptyReport;
  readonly #now: () => number;
  readonly #changes: ChangeRow[] = [];
  #role: ControllerRow['role'] = 'starting';
  #leader: LeaderInfo | undefined;
  #passes = 0;
  #lastPassMs: number | undefined;
  #nextResync: number | undefined;
  #report: ClusterReport;

  constructor(options: {
    readonly holder: string;
    readonly dryRun: boolean;
    readonly empty: EmptyReport;
    /** Wall clock, milliseconds. */
    readonly now: () => number;
  }) {
    this.#holder = options.holder;
    this.#dryRun = options.dryRun;
    this.#empty = options.empty;
    this.#now = options.now;
    this.#report = this.#withoutView();
  }

  get role(): ControllerRow['role'] {
    return this.#role;
  }

  /** The last report; another object only when something in it is another. */
  report(): ClusterReport {
    return this.#report;
  }

  leads(leader: LeaderInfo): void {
    this.#role = 'leader';
    this.#leader = leader;
    this.#refresh();
  }

  /** Forgets the view of the cluster, which only a leader has. `problem`: why it isn't known who leads. */
  standsBy(leader: LeaderInfo | undefined, problem?: ProblemRow): void {
    const same =
      this.#role === 'standby' &&
      leader?.holder === this.#leader?.holder &&
      problem?.text === this.#report.problems[0]?.text;
    this.#role = 'standby';
    this.#leader = leader;
    this.#nextResync = undefined;
    if (same) return;
    this.#report = { ...this.#withoutView(), ...(problem && { healthy: false, problems: [problem] }) };
  }

  passed(pass: {
    readonly tookMs: number;
    readonly done: readonly RouteStep[];
    readonly prepared: readonly NextHop[];
    readonly forwarding: ForwardingSetting;
  }): void {
    this.#passes += 1;
    this.#lastPassMs = pass.tookMs;
    const at = new Date(this.#now()).toISOString();
    const rows = [
      ...pass.done.map(({ action, tableId, destination, reason }) => ({
        ...{ at, action, tableId, destination: formatCidr(destination), reason },
      })),
      ...pass.prepared.map(({ nicId, instanceId }) => ({
        ...{ at, action: 'prepare', tableId: '', destination: nicId },
        reason: `${pass.forwarding.name} of ${instanceId ?? nicId} switched ${pass.forwarding.wanted}`,
      })),
    ];
    this.#changes.unshift(...rows.reverse());
    this.#changes.length = Math.min(this.#changes.length, mostChanges);
  }

  /** `nextResync`: wall clock, milliseconds. */
  saw(report: ClusterReport, nextResync: number): void {
    this.#nextResync = nextResync;
    this.#report = { ...report, controller: this.#row() };
  }

  #refresh(): void {
    this.#report = { ...this.#report, controller: this.#row() };
  }

  #withoutView(): ClusterReport {
    return { ...this.#empty, at: new Date(this.#now()).toISOString(), controller: this.#row() };
  }

  #row(): ControllerRow {
    return {
      ...{ holder: this.#holder, role: this.#role, leader: this.#leader, dryRun: this.#dryRun },
      ...{ passes: this.#passes, lastPassMs: this.#lastPassMs, changes: [...this.#changes] },
      nextResync: this.#nextResync === undefined ? undefined : new Date(this.#nextResync).toISOString(),
    };
  }
}
