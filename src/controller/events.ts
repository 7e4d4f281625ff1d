/** What happens in the controller, for whoever counts it. */
import type { ClusterReport } from '../report/cluster-report.ts';
import type { RouteStep } from '../routing/route-plan.ts';

export interface PassEvent {
  /** Milliseconds; undefined for a look that failed. */
  readonly tookMs: number | undefined;
  /** Everything stands as it should and nothing failed. */
  readonly inSync: boolean;
  readonly done: readonly RouteStep[];
  /** Leases of terminated machines that were ended. */
  readonly reaped: number;
}

export interface ControllerEvents {
  passed(event: PassEvent): void;
  reported(report: ClusterReport): void;
  /** All routes of a lease stand, this many milliseconds after the lease was heard of. */
  routesStood(ms: number): void;
  /** The leadership was won, or lost. */
  leading(now: boolean): void;
}

/** For those who count nothing. */
export const noEvents: ControllerEvents = { passed() {}, reported() {}, routesStood() {}, leading() {} };
