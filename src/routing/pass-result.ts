/** What a pass reports: whether all routes stand, and if not, why. */

import { FlannelVpcError } from '../core/errors.ts';
import { formatCidr } from '../core/ip.ts';
import type { DesiredRoute } from './desired.ts';
import { type Execution, isRefusal } from './execute.ts';
import { cidrKey } from './networks.ts';
import type { HeldRoute, OthersRoute, RoutePlan, RouteStep, WriterScope } from './route-plan.ts';

export interface PassResult {
  /** True when every desired route stands in every table, seen after the last write. */
  readonly inSync: boolean;
  /** Why not, and what else went wrong. */
  readonly problems: readonly FlannelVpcError[];
  readonly done: readonly RouteStep[];
  readonly held: readonly HeldRoute[];
  readonly conflicts: readonly OthersRoute[];
  readonly foreign: readonly OthersRoute[];
}

export interface Outcome {
  readonly plan: RoutePlan;
  readonly execution: Execution;
  /** The plan by what was seen after the last write. */
  readonly seen: RoutePlan;
  /** Why that could not be seen. */
  readonly unread?: FlannelVpcError;
  readonly desired: readonly DesiredRoute[];
  readonly scope: WriterScope;
  readonly done: readonly RouteStep[];
  readonly problem: FlannelVpcError | undefined;
}

/** Sums up a pass. */
export function toResult({ plan, execution, seen, unread, desired, scope, done, problem }: Outcome): PassResult {
  const conflicts = plan.conflicts.map(
    ({ tableId, destination, target, reason }) =>
      new FlannelVpcError('ROUTE_NOT_OWNED', `table ${tableId}: ${reason}`, {
        hint: 'Remove that route if it is not needed, or give the network another range.',
        details: { tableId, destination: formatCidr(destination), target: target.id },
      }),
  );
  const failures = withoutRepetition(execution.failures);
  const problems = [...failures, ...heldProblems(plan.held), ...conflicts, problem, unread].filter(
    (error) => error !== undefined,
  );
  const unwanted = reasonForNothing(seen, desired, scope);
  const inSync = !unwanted && !execution.endangered && missingFrom(seen, desired) === 0;
  if (!inSync && problems.length === 0) {
    const others = execution.conflict ? 'somebody else writes the same route at the same time' : undefined;
    const text = unwanted ?? others ?? 'what was written does not show in the route table yet';
    problems.push(new FlannelVpcError('TRANSIENT', text));
  }
  return { inSync, problems, done, held: plan.held, conflicts: plan.conflicts, foreign: plan.foreign };
}

/** Why there is no route to look for, which is no reason to be content. The one writer of a cluster without leases may be. */
function reasonForNothing(
  { use }: RoutePlan,
  desired: readonly DesiredRoute[],
  scope: WriterScope,
): string | undefined {
  if (use.length === 0) return 'there is no route table to write to';
  if (scope.kind === 'all' || desired.length > 0) return undefined;
  return 'no subnet of the lease is one of the configured networks';
}

/** One problem for each table, action and code: side by side, several writes meet the same refusal. */
export function withoutRepetition(failures: Execution['failures']): readonly FlannelVpcError[] {
  const first = new Map<string, FlannelVpcError>();
  for (const [index, { step, error }] of failures.entries()) {
    const kind = isRefusal(error) && step ? `${step.tableId} ${step.action} ${error.code}` : String(index);
    if (!first.has(kind)) first.set(kind, error);
  }
  return [...first.values()];
}

/** How many desired routes don't stand as they should. */
function missingFrom({ kept, use }: RoutePlan, desired: readonly DesiredRoute[]): number {
  const wanted = new Set(desired.map(({ destination }) => cidrKey(destination))).size;
  const tables = new Set(use.map(({ tableId }) => tableId)).size;
  return wanted * tables - kept.length;
}

/** A problem for each route that can't be written yet; one for each full table. */
function heldProblems(held: readonly HeldRoute[]): readonly FlannelVpcError[] {
  const writes = held.filter(({ action }) => action === 'write');
  const full = Map.groupBy(
    writes.filter(({ code }) => code === 'quota'),
    ({ tableId }) => tableId,
  );
  const ofFullTables = [...full].map(([tableId, routes]) => {
    const [first] = routes;
    const waiting = routes.map(({ destination }) => formatCidr(destination));
    const hint = 'Ask for a higher quota, remove routes that are not needed, or use larger subnets on fewer nodes.';
    const message = `table ${tableId}: ${first?.reason}; ${waiting.length} waiting, ${waiting[0]} the first`;
    return new FlannelVpcError('QUOTA_EXCEEDED', message, { hint, details: { tableId, waiting: waiting.length } });
  });
  return [...writes.filter(({ code }) => code !== 'quota').map(heldProblem), ...ofFullTables];
}

function heldProblem({ tableId, destination, reason }: HeldRoute): FlannelVpcError {
  const details = { tableId, destination: formatCidr(destination) };
  return new FlannelVpcError('TRANSIENT', `table ${tableId}: ${formatCidr(destination)}: ${reason}`, { details });
}
