/** A plan as plain data: what `plan --json` prints, and what the text for people is made from. Pure. */
import type { NextHop, RouteTarget } from '../../providers/provider.ts';
import { formatCidr } from '../core/ip.ts';
import type { DesiredRoute, RejectedSubnet } from '../routing/desired.ts';
import type { HoldCode, RoutePlan, RouteStep } from '../routing/route-plan.ts';

export interface PlanDocument {
  /** True when `apply` would change something. */
  readonly changes: boolean;
  /** NICs that do not forward yet, and would be made to before a route leads there. */
  readonly prepare: readonly HopDocument[];
  /** Leases that get no route, by address. */
  readonly refused: readonly RefusedDocument[];
  /** Every table that was read, by id. */
  readonly tables: readonly TableDocument[];
  readonly summary: {
    readonly create: number;
    readonly replace: number;
    readonly withdraw: number;
    readonly delete: number;
    readonly forget: number;
    readonly held: number;
    readonly conflicts: number;
    readonly foreign: number;
    readonly unchanged: number;
    readonly refused: number;
  };
}

export interface RefusedDocument {
  readonly lease: string;
  readonly destination: string;
  readonly reason: string;
}

export interface TableDocument {
  readonly id: string;
  readonly use: readonly {
    readonly family: 4 | 6 | 'both';
    readonly used: number;
    readonly limit?: number | undefined;
  }[];
  /** In the order in which they would be carried out. */
  readonly steps: readonly StepDocument[];
  /** Left as they are although something would be done. */
  readonly held: readonly HeldDocument[];
  /** Somebody else's, in the way of ours. */
  readonly conflicts: readonly OthersDocument[];
  /** Somebody else's, in nobody's way. */
  readonly foreign: readonly OthersDocument[];
  /** Routes that stand as they should. */
  readonly unchanged: number;
}

export interface HopDocument {
  readonly nicId: string;
  readonly instanceId?: string | undefined;
}

export interface TargetDocument {
  readonly kind: RouteTarget['kind'];
  readonly id: string;
  readonly instanceId?: string | undefined;
}

export interface StepDocument {
  readonly action: RouteStep['action'];
  readonly destination: string;
  /** Where it leads now; absent for a route that is not there. */
  readonly from?: TargetDocument | undefined;
  /** Where it will lead; absent where it is taken out. */
  readonly to?: HopDocument | undefined;
  readonly reason: string;
}

export interface HeldDocument {
  readonly action: 'write' | 'delete';
  readonly destination: string;
  readonly code: HoldCode;
  readonly reason: string;
}

export interface OthersDocument {
  readonly destination: string;
  readonly target: TargetDocument;
  readonly reason: string;
}

/** What a plan was made of and came to; a `Look` is one. */
export interface Planned {
  readonly plan: RoutePlan;
  readonly input: { readonly desired: readonly DesiredRoute[] };
  readonly rejected: readonly RejectedSubnet[];
}

/** The document of a plan. */
export function planDocument({ plan, input, rejected }: Planned): PlanDocument {
  const ids = [
    ...new Set([...plan.use, ...plan.steps, ...plan.held, ...plan.conflicts, ...plan.foreign].map((of) => of.tableId)),
  ];
  const unready = new Map(
    input.desired.filter(({ nextHop }) => !nextHop.forwards).map(({ nextHop }) => [nextHop.nicId, nextHop]),
  );
  const prepare = [...unready.values()].map(hop);
  const count = (action: RouteStep['action']): number => plan.steps.filter((step) => step.action === action).length;
  return {
    changes: plan.steps.length > 0 || prepare.length > 0,
    prepare,
    refused: rejected.map(({ lease, destination, reason }) => ({
      lease,
      destination: formatCidr(destination),
      reason,
    })),
    tables: ids.sort().map((id) => tableDocument(id, plan)),
    summary: {
      create: count('create'),
      replace: count('replace'),
      withdraw: count('withdraw'),
      delete: count('delete'),
      forget: count('forget'),
      held: plan.held.length,
      conflicts: plan.conflicts.length,
      foreign: plan.foreign.length,
      unchanged: plan.kept.length,
      refused: rejected.length,
    },
  };
}

function tableDocument(id: string, plan: RoutePlan): TableDocument {
  const mine = <T extends { readonly tableId: string }>(all: readonly T[]): readonly T[] =>
    all.filter(({ tableId }) => tableId === id);
  const others = (all: RoutePlan['foreign']): readonly OthersDocument[] =>
    mine(all).map(({ destination, target, reason }) => ({
      ...{ destination: formatCidr(destination), target: targetDocument(target), reason },
    }));
  return {
    id,
    use: mine(plan.use).map(({ family, used, limit }) => ({ family, used, ...(limit === undefined ? {} : { limit }) })),
    steps: mine(plan.steps).map(stepDocument),
    held: mine(plan.held).map(({ action, destination, code, reason }) => ({
      ...{ action, destination: formatCidr(destination), code, reason },
    })),
    conflicts: others(plan.conflicts),
    foreign: others(plan.foreign),
    unchanged: mine(plan.kept).length,
  };
}

function stepDocument(step: RouteStep): StepDocument {
  return {
    action: step.action,
    destination: formatCidr(step.destination),
    ...('expected' in step ? { from: targetDocument(step.expected) } : {}),
    ...('nextHop' in step && step.action !== 'withdraw' ? { to: hop(step.nextHop) } : {}),
    reason: step.reason,
  };
}

function hop({ nicId, instanceId }: NextHop): HopDocument {
  return { nicId, ...(instanceId === undefined ? {} : { instanceId }) };
}

function targetDocument({ kind, id, instanceId }: RouteTarget): TargetDocument {
  return { kind, id, ...(instanceId === undefined ? {} : { instanceId }) };
}
