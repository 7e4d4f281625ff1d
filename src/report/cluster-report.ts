/**
 * What is, in one piece of plain data: made by `build-report.ts` from one look at store and cloud, and read by the controller's status
 * page, its metrics and the operator's commands. Everything in it is text and numbers fit to be shown and sent as JSON.
 */

export type Severity = 'error' | 'warning';

/** Something a person should know, the worst first. */
export interface ProblemRow {
  readonly severity: Severity;
  /** Stable word: one of our error codes, or `foreign`, `quota`, `unready`, `stale`. */
  readonly code: string;
  /** One sentence. */
  readonly text: string;
  readonly hint?: string | undefined;
}

/**
 * `ok`: every route stands and its node says that it is reachable, or says nothing. `unready`: the routes stand and the node says
 * that it is not. `waiting`: a route can't be written yet. `refused`: the lease asks for something it can't have. `ended`: its machine
 * is terminated.
 */
export type NodeState = 'ok' | 'unready' | 'waiting' | 'refused' | 'ended';

export interface NodeRow {
  /** The lease's key, such as `10.244.7.0/24`, or with `,` and the IPv6 subnet after it. */
  readonly lease: string;
  readonly subnets: readonly string[];
  readonly publicIps: readonly string[];
  /** As the cloud confirms it, else as the lease says it. */
  readonly instanceId: string | undefined;
  readonly nicId: string | undefined;
  readonly zone: string | undefined;
  readonly nodeName: string | undefined;
  /** flannel's `BackendType`; empty for alloc and the clouds. */
  readonly backendType: string;
  readonly reserved: boolean;
  readonly state: NodeState;
  /** Why not ok; empty when ok. */
  readonly reason: string;
  /** Over all tables and families. */
  readonly routesWanted: number;
  readonly routesPresent: number;
  /** What its agent says of itself, if it does. */
  readonly report: { readonly ready: boolean; readonly reason: string; readonly since: string } | undefined;
}

export type LimitSource =
  /** The cloud's API tells it. */
  | 'api'
  /** `--route-limit`. */
  | 'configured'
  /** The cloud refused a route at this use. */
  | 'refusal'
  /** The cloud's documented default, which an account may have had raised: it warns and stops nothing. */
  | 'default';

export interface TableUseRow {
  /** Which routes count: one family's, or both together. */
  readonly family: 4 | 6 | 'both';
  readonly used: number;
  readonly limit: number;
  readonly limitSource: LimitSource;
}

export interface TableRow {
  readonly id: string;
  readonly networkId: string | undefined;
  readonly use: readonly TableUseRow[];
  readonly routesWanted: number;
  readonly routesPresent: number;
  /** Wanted and held back, for whatever reason. */
  readonly routesWaiting: number;
  /** Inside the pod networks and not ours. */
  readonly routesForeign: number;
  /** Ours, nobody's any more, and to be taken out. */
  readonly routesStale: number;
}

/**
 * `present`: as wanted. `missing`: to be created. `misdirected`: leads elsewhere and is to be replaced. `held`: wanted, and something
 * stands against it. `stale`: ours, without a lease. `foreign`: not ours, and in nobody's way. `conflict`: not ours, in a lease's way.
 */
export type RouteState = 'present' | 'missing' | 'misdirected' | 'held' | 'stale' | 'foreign' | 'conflict';

/** One destination inside the pod networks in one table. */
export interface RouteRow {
  readonly tableId: string;
  readonly destination: string;
  readonly state: RouteState;
  /** Where it leads now, or would for one that is missing; `eni-1 (i-1)`. */
  readonly target: string;
  /** `active`, `blackhole` or `other`; undefined for one that is missing. */
  readonly cloudState: string | undefined;
  /** The lease that wants it, if any. */
  readonly lease: string | undefined;
  /** Why it is not simply present; empty when it is. */
  readonly reason: string;
}

/** A change that was made. */
export interface ChangeRow {
  /** Wall clock, ISO 8601. */
  readonly at: string;
  readonly action: string;
  readonly tableId: string;
  readonly destination: string;
  readonly reason: string;
}

/** The controller that made the report; undefined in the report of a command. */
export interface ControllerRow {
  readonly holder: string;
  /** `standby` has no view of its own: then nodes, tables and routes are empty. */
  readonly role: 'leader' | 'standby' | 'starting';
  readonly leader: { readonly holder: string; readonly since: string } | undefined;
  readonly dryRun: boolean;
  readonly passes: number;
  /** Milliseconds that the last pass took. */
  readonly lastPassMs: number | undefined;
  /** Wall clock at which the next look comes by itself, ISO 8601; undefined before the first look, and for who does not lead. */
  readonly nextResync: string | undefined;
  /** The last changes, newest first; at most 100. */
  readonly changes: readonly ChangeRow[];
}

/** How far the cluster is on its way from an overlay to a cloud's routes. */
export interface MovingRow {
  /** flannel's `BackendType` of the nodes that have not moved. */
  readonly from: string;
  /** The cloud's backend type. */
  readonly to: string;
  readonly nodes: number;
  readonly moved: number;
  /** One sentence for each moved node that still sends to some peers by the overlay, or has not said that it doesn't. */
  readonly open: readonly string[];
}

export interface ClusterReport {
  /** Wall clock of the look, ISO 8601. */
  readonly at: string;
  readonly version: string;
  /** Pod networks. */
  readonly networks: readonly string[];
  readonly backendType: string;
  readonly writer: 'node' | 'controller';
  readonly store: string;
  /** No problem of severity `error`. */
  readonly healthy: boolean;
  readonly problems: readonly ProblemRow[];
  /** In address order. */
  readonly nodes: readonly NodeRow[];
  readonly tables: readonly TableRow[];
  /** In address order, then by table. */
  readonly routes: readonly RouteRow[];
  readonly controller: ControllerRow | undefined;
  /** Undefined for a cluster that does not move. */
  readonly moving?: MovingRow | undefined;
}
