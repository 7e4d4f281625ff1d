/** What planning takes and gives: plain data, so that logs, dry runs, tests and the executor read the same thing. */

import type { Lease } from '../../lease/lease.ts';
import type { StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type {
  NextHop,
  ProviderCapabilities,
  RouteTable,
  RouteTarget,
  StandingRoute,
} from '../../providers/provider.ts';
import type { Cidr, Family } from '../core/ip.ts';
import type { DesiredRoute } from './desired.ts';
import type { CidrKey, RouteNetworks } from './networks.ts';

/** Who plans, and so what may be changed. */
export type WriterScope =
  /** The cluster's one writer: every lease's route. */
  | { readonly kind: 'all' }
  /**
   * An agent: only the routes it desires (its own subnets); and of the rest only what is recorded as this network's, and is
   * either its own former route or a blackhole.
   */
  | { readonly kind: 'node'; readonly identity: WriterIdentity };

export interface WriterIdentity {
  /** As in ownership records: instance id, else public IP. */
  readonly holder: string;
  /** Every id a route to this machine can carry: its NICs and its instance id. */
  readonly targets: readonly string[];
}

/** What is known about the store's leases when deletions are judged. */
export type LeaseEvidence =
  /** Not read, or not wholly: nothing is deleted. */
  | { readonly kind: 'unknown'; readonly reason: string }
  | {
      readonly kind: 'known';
      /** The subnets of every lease in the store, those that get no route among them, but not those of `ended`. */
      readonly live: readonly Cidr[];
      /** Leases whose machine the cloud calls terminated, by each of their subnets: they hold nothing any more. */
      readonly ended?: ReadonlyMap<CidrKey, Lease> | undefined;
      /** Identity and revision of the store that this list is true at. */
      readonly store: StorePosition;
      /** The last position acted on before; undefined at the first look. */
      readonly remembered: StorePosition | undefined;
      /** How many looks in a row, this one included, saw no lease for a destination. */
      readonly absences: ReadonlyMap<CidrKey, number>;
    };

export interface StorePosition {
  readonly storeId: string;
  /** Decimal text of a 64-bit number. */
  readonly revision: string;
}

export interface DeletionPolicy {
  /** Looks without the lease before the route of a machine that may still run is deleted. */
  readonly requiredAbsences: number;
  /** More destinations than this *and* more than the share in one plan wait for a person. */
  readonly massDeleteCount: number;
  /** Share of our destinations in these tables, 0 to 1. */
  readonly massDeleteShare: number;
  /** The person's word (`--allow-mass-delete`). */
  readonly allowMassDelete: boolean;
}

export const defaultDeletionPolicy: DeletionPolicy = {
  requiredAbsences: 2,
  massDeleteCount: 5,
  massDeleteShare: 0.2,
  allowMassDelete: false,
};

export interface PlanInput {
  readonly networks: RouteNetworks;
  readonly scope: WriterScope;
  readonly tables: readonly RouteTable[];
  readonly desired: readonly DesiredRoute[];
  /** This network's ownership records, or undefined when they were not read: then nothing is deleted. */
  readonly records: readonly StoredOwnershipRecord[] | undefined;
  readonly leases: LeaseEvidence;
  /** Instances the cloud itself says are terminated, or are being so. Stopped ones don't belong here. */
  readonly terminatedInstances: ReadonlySet<string>;
  readonly policy: DeletionPolicy;
  readonly capabilities: Pick<
    ProviderCapabilities,
    'replacesInPlace' | 'coexistingRoutes' | 'spareRoutes' | 'routeQuota'
  >;
  /** Wall clock, milliseconds: whether somebody's attempt to remove a route is over. */
  readonly now: number;
}

interface StepBase {
  readonly tableId: string;
  readonly destination: Cidr;
  /** Why, in words, with both next hops where one takes the other's place. */
  readonly reason: string;
}

/** A change for a live lease. The executor claims the ownership record first. */
export type WriteStep = StepBase & { readonly nextHop: NextHop; readonly holder: string } & (
    | {
        readonly action: 'create';
        /** Routes that stand and go once this one does. */
        readonly beside?: readonly StandingRoute[] | undefined;
      }
    | { readonly action: 'replace'; readonly expected: RouteTarget; readonly handle?: string | undefined }
    /** The other half of a move where the cloud can't replace in place: takes out the former next hop. */
    | { readonly action: 'withdraw'; readonly expected: RouteTarget; readonly handle?: string | undefined }
  );

/** A change for a lease that is gone. The executor goes through the record's removal, which looks for the lease again. */
export type RemovalStep = StepBase & {
  readonly record: StoredOwnershipRecord;
  /** The lease that does not count, since its machine is terminated; the removal holds only while it is this very one. */
  readonly ended?: Lease | undefined;
} & (
    | { readonly action: 'delete'; readonly expected: RouteTarget; readonly handle?: string | undefined }
    /** The route is gone already; only its record is left. */
    | { readonly action: 'forget' }
  );

export type RouteStep = WriteStep | RemovalStep;

/** What holds a step back. Stable words. */
export type HoldCode =
  /** The route leads to the right place but the cloud does not forward by it (yet). */
  | 'not-active'
  /** Desired, but no subnet of the networks: a fault of the caller. */
  | 'outside-network'
  /** Two holders want it. */
  | 'contested'
  /** The table has no room. */
  | 'quota'
  | 'leases-unknown'
  | 'lease-list-empty'
  | 'store-changed'
  | 'store-went-back'
  | 'lease-absent-lately'
  /** A lease without a usable next hop holds it. */
  | 'lease-live'
  | 'being-removed'
  /** The cloud's mark says ours, but there is no record to check the removal against. */
  | 'no-record'
  | 'mass-delete';

/** A route left as it is although something would be done, and what is missing. */
export interface HeldRoute {
  readonly tableId: string;
  readonly destination: Cidr;
  readonly action: 'write' | 'delete';
  readonly code: HoldCode;
  readonly reason: string;
}

/** A route of somebody else. */
export interface OthersRoute {
  readonly tableId: string;
  readonly destination: Cidr;
  readonly target: RouteTarget;
  readonly reason: string;
}

/** Which routes a limit is about: one family's, or those of both together. */
export type QuotaFamily = Family | 'both';

/** How full a table is. */
export interface TableUse {
  readonly tableId: string;
  readonly family: QuotaFamily;
  /** Routes that count against the limit. */
  readonly used: number;
  /** Undefined when the API does not tell. */
  readonly limit: number | undefined;
}

/** A desired route that stands as it should. */
export interface KeptRoute {
  readonly tableId: string;
  readonly route: DesiredRoute;
}

export interface RoutePlan {
  /** In the order to carry them out: writes by age and address, then removals. */
  readonly steps: readonly RouteStep[];
  readonly kept: readonly KeptRoute[];
  readonly held: readonly HeldRoute[];
  /** Routes that stand where one of ours should, and that may not be touched. */
  readonly conflicts: readonly OthersRoute[];
  /** Routes inside the networks that are not ours and stop nothing. */
  readonly foreign: readonly OthersRoute[];
  readonly use: readonly TableUse[];
}
