/**
 * The seam to a cloud's route tables. Adapters translate and execute; they never decide.
 *
 * Every call is one or a few API requests without a retry of its own (retries, limits and waiting are one layer, in
 * `providers/budget.ts`), takes a signal, and throws only `FlannelVpcError`s: THROTTLED (retryAfterMs when the cloud said
 * so), QUOTA_EXCEEDED (details: limit, used, tableId), PERMISSION_DENIED (details.action), CONFLICT, NOT_FOUND, TRANSIENT,
 * INVALID, METADATA_UNAVAILABLE; or an AbortError.
 */
import type { Clock, Random } from '../src/core/clock.ts';
import type { FlannelVpcError } from '../src/core/errors.ts';
import type { Cidr, Family, Ip, PerFamily } from '../src/core/ip.ts';
import type { Logger } from '../src/core/log.ts';
import type { BudgetLimits } from './budget-limits.ts';
import type { Finding } from './diagnosis.ts';

/** What a cloud can do. The core asks these flags, never the provider's name. */
export interface ProviderCapabilities {
  readonly families: readonly Family[];
  /** A route's next hop can be changed in one call without a gap. */
  readonly replacesInPlace: boolean;
  /**
   * Several routes of one destination with different next hops can stand in one table, so that a move adds before it deletes: packets
   * follow the former one until it goes, or the new one from the start, and never none.
   */
  readonly coexistingRoutes?: boolean | undefined;
  /** Routes of a table's limit that new destinations leave free, so that a move that adds before it deletes finds room. Default 0. */
  readonly spareRoutes?: number | undefined;
  /** Changes of one table that one `applyBatch` can carry; 1 where the cloud has no such call. */
  readonly batchSize: number;
  /** The cloud stores a mark of ours on the route itself. */
  readonly marksRoutes: boolean;
  /** A route to a machine that is gone looks like any other: only asking for the machine tells. */
  readonly hidesDeadNextHops?: boolean | undefined;
  /** Writes that may be under way at the same time: any number, one for each table, or one in all (one VPC is one queue). */
  readonly writesAtOnce: 'any' | 'one-per-table' | 'one';
  /**
   * What counts against a table's limit. `each-family` (default): all routes but propagated ones, each family by itself. `static`: what
   * somebody's create call made, both families together.
   */
  readonly routeQuota?: RouteQuota | undefined;
  /** Routes per table when the API does not tell, from the cloud's public documentation. */
  readonly defaultRouteLimit: number;
  /**
   * Longest time that one `apply` or `prepare` is under way, milliseconds: by then it has ended, and nothing more is sent. What is on
   * the wire may still take effect. A controller's term must be longer.
   */
  readonly writeTimeoutMs: number;
  /** The setting of a next hop that lets it forward what is not its own. */
  readonly forwarding: ForwardingSetting;
  /** Most nodes that can reasonably write their own routes to one table; without end when absent. */
  readonly mostNodeWriters?: number | undefined;
  /** What this cloud publishes where it differs from `defaultBudget`. */
  readonly budget?: Partial<BudgetLimits> | undefined;
}

export type RouteQuota = 'each-family' | 'static';

/** How a cloud calls what `NextHop.forwards` is about, for messages such as "the source/dest check of eni-1 is on". */
export interface ForwardingSetting {
  /** The setting's own name, such as `source/dest check`. */
  readonly name: string;
  /** What it must be. */
  readonly wanted: 'on' | 'off';
  /** Whether `prepare` can set it. Else a person must, and `prepare` is never called. */
  readonly settable: boolean;
}

/** This machine, as its metadata server describes it. */
export interface MachineIdentity {
  readonly instanceId: string;
  readonly zone: string | undefined;
  readonly region: string | undefined;
  readonly nics: readonly MachineNic[];
  /** This machine's clock minus the metadata server's, milliseconds, true to a second or two; absent where it told no time. */
  readonly clockAheadMs?: number | undefined;
}

export interface MachineNic {
  readonly nicId: string;
  readonly subnetId: string | undefined;
  /** VPC or network id. */
  readonly networkId: string | undefined;
  /** Private addresses, both families. */
  readonly addresses: readonly Ip[];
}

/** What a lease says about its holder; nothing of it is believed before `resolve` has checked it. */
export interface NextHopClaim {
  /** The lease's own address in the VPC (flannel's PublicIP). */
  readonly address: Ip;
  readonly instanceId?: string | undefined;
  readonly nicId?: string | undefined;
  /** VPC to look in. The same private address can exist in several. */
  readonly networkId?: string | undefined;
}

/** A verified next hop: the cloud says that it owns the claimed address. */
export interface NextHop {
  readonly nicId: string;
  readonly instanceId: string | undefined;
  readonly subnetId: string | undefined;
  readonly networkId: string | undefined;
  /** Whether the cloud lets it forward packets that are not its own (AWS: source/dest check off). */
  readonly forwards: boolean;
  /** Its addresses in the VPC, both families, where the cloud's routes may lead to an address. */
  readonly addresses?: readonly Ip[] | undefined;
  /** What a route of ours to it shows as its target, by family; absent means the NIC. */
  readonly target?: PerFamily<RouteTarget> | undefined;
}

export type Resolution =
  | { readonly kind: 'resolved'; readonly nextHop: NextHop }
  /** The cloud knows no machine that fits; `reason` says what did not. */
  | { readonly kind: 'unresolved'; readonly reason: string };

/** The life of an instance, in EC2's words. */
export type InstanceState = 'pending' | 'running' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated';

/** A mark that the operator put on tables. */
export interface TableTag {
  readonly key: string;
  readonly value: string;
}

/** Which tables to read. */
export interface TableSelector {
  /** Configured ids; empty means: those with `tag`, or else those that serve `subnetIds`. */
  readonly tableIds: readonly string[];
  /** All tables that carry it, of the network where that is known. */
  readonly tag?: TableTag | undefined;
  readonly networkId: string | undefined;
  readonly subnetIds: readonly string[];
  /** Besides those that serve `subnetIds`: these, where they are there, and in the network where that is known. */
  readonly alsoIds?: readonly string[] | undefined;
}

export interface RouteTable {
  readonly id: string;
  readonly networkId: string | undefined;
  /** Every route of the table, all pages, in canonical form. */
  readonly routes: readonly RouteEntry[];
  /** Most routes, counted as `capabilities.routeQuota` has it, when the API tells. */
  readonly routeLimit?: number | undefined;
  /** `explicit`: it is associated with one of the subnets asked for. `main`: it is not, and serves every subnet without one. */
  readonly association?: 'explicit' | 'main' | undefined;
}

export interface RouteEntry {
  /** Undefined when the destination is no CIDR (a prefix list); then `destinationText` names it. */
  readonly destination: Cidr | undefined;
  readonly destinationText: string;
  readonly target: RouteTarget;
  /** `blackhole`: the target is gone, stopped or detached. `other`: anything else than active. */
  readonly state: 'active' | 'blackhole' | 'other';
  /** `static`: somebody's create call. `propagated`: by a gateway or route server. `local`: the network's own. */
  readonly origin: 'static' | 'propagated' | 'local';
  /** The cloud's own mark says that this network's flannel-vpc wrote it. */
  readonly marked?: boolean | undefined;
  /** The cloud's own name of the route, where table and destination alone do not name it. */
  readonly handle?: string | undefined;
  /** Which of several routes of one destination packets follow: the smallest number (GCE: priority). */
  readonly preference?: number | undefined;
}

/** Where a route leads. Only `instance`, `nic` and `address` (a machine's, by its text) are kinds we ever write or replace. */
export interface RouteTarget {
  readonly kind: 'nic' | 'instance' | 'address' | 'local' | 'gateway' | 'nat' | 'peering' | 'endpoint' | 'other';
  /** The id the cloud shows, such as `eni-0ab…`. */
  readonly id: string;
  readonly instanceId?: string | undefined;
}

/** One change of one table. `expected` is what the caller last saw there, for clouds that can make it a condition. */
export type RouteChange =
  | {
      readonly action: 'create';
      readonly tableId: string;
      readonly destination: Cidr;
      readonly nextHop: NextHop;
      /** Routes of the same destination that stand and are to go once this one stands: the first half of a move. */
      readonly beside?: readonly StandingRoute[] | undefined;
    }
  | {
      readonly action: 'replace';
      readonly tableId: string;
      readonly destination: Cidr;
      readonly nextHop: NextHop;
      readonly expected: RouteTarget;
      /** As in the `RouteEntry` it was seen in. */
      readonly handle?: string | undefined;
    }
  | {
      readonly action: 'delete';
      readonly tableId: string;
      readonly destination: Cidr;
      readonly expected: RouteTarget;
      /** As in the `RouteEntry` it was seen in. */
      readonly handle?: string | undefined;
    };

/** The parts of a `RouteEntry` that a change beside it depends on. */
export type StandingRoute = Pick<RouteEntry, 'target' | 'handle' | 'preference'>;

/** What became of one change of a batch: undefined when it was made, else why not. */
export type ChangeResult = FlannelVpcError | undefined;

/** What a diagnosis is about. Everything may be missing: then what rests on it is not checked, and that is a finding. */
export interface DiagnosisSubject {
  /** The pod networks. */
  readonly networks: readonly Cidr[];
  /** This machine's verified next hop, where it is one of the cloud's. */
  readonly nextHop: NextHop | undefined;
  readonly tables: readonly RouteTable[];
  readonly networkId: string | undefined;
  /**
   * What rights this machine needs. `write`: a node that writes its own routes. `control`: the controller, which reads instances too.
   * `read`: who only looks. `none`: an agent of a cluster with a controller.
   */
  readonly needs: 'write' | 'control' | 'read' | 'none';
}

export interface CloudProvider {
  /** The `Backend.Type` that chooses it. */
  readonly type: string;
  readonly capabilities: ProviderCapabilities;

  /** Who this machine is. Asks the metadata server only. @throws METADATA_UNAVAILABLE with advice. */
  identify(signal: AbortSignal): Promise<MachineIdentity>;

  /** Checks claims against the cloud, many with few paginated reads. The result is aligned with the input. */
  resolve(claims: readonly NextHopClaim[], signal: AbortSignal): Promise<readonly Resolution[]>;

  /**
   * States of instances, many with few paginated reads. One that the cloud does not know (any more) is absent, which says nothing
   * of what became of it.
   */
  instances(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, InstanceState>>;

  /** Lets the next hop forward (AWS: source/dest check off). Called only where `forwards` is false. */
  prepare(nextHop: NextHop, signal: AbortSignal): Promise<void>;

  /**
   * The selected tables with all their routes. One read where the cloud allows it.
   * @throws NOT_FOUND naming a configured table that does not exist, a tag that no table has, or that no table serves the subnet.
   */
  tables(selector: TableSelector, signal: AbortSignal): Promise<readonly RouteTable[]>;

  /**
   * Makes one change. Deleting an absent route succeeds. @throws CONFLICT when the route already exists (create) or is not
   * there (replace): the caller reads again.
   */
  apply(change: RouteChange, signal: AbortSignal): Promise<void>;

  /**
   * Makes several changes of one table, of different destinations, at most `capabilities.batchSize`; there where that is above 1.
   * Needs more rights than `apply` in some clouds: only who writes for all nodes uses it.
   * The result is aligned with the input. @throws what struck them all.
   */
  applyBatch?(tableId: string, changes: readonly RouteChange[], signal: AbortSignal): Promise<readonly ChangeResult[]>;

  /**
   * What stands in the way of the subject, as far as the cloud tells, without changing anything: rights, forwarding, ranges that
   * overlap, firewalls. What can't be found out is a finding as well. @throws only what passes by itself, such as THROTTLED.
   */
  diagnose(subject: DiagnosisSubject, signal: AbortSignal): Promise<readonly Finding[]>;

  close(): Promise<void>;
}

/** What every provider is made from. Nothing happens before a method is called. */
export interface ProviderOptions<Config> {
  /** The provider's own part of net-conf, validated by its `config.ts`. */
  readonly config: Config;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** The process environment, for the cloud's own standard variables (endpoints, region); never logged. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The cluster's pod networks, for marks on routes: no two clusters of one cloud network share any. */
  readonly networks?: readonly Cidr[] | undefined;
}
