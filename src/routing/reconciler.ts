/**
 * One pass: read the tables, plan, carry out, confirm. The pass of an agent and of the controller are the same; what differs
 * is the scope.
 */

import { subnetsOf } from '../../lease/lease-key.ts';
import type { LeaseStore } from '../../lease/lease-store.ts';
import type { OwnershipStore, StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { CloudProvider, RouteTable, TableSelector } from '../../providers/provider.ts';
import type { Clock } from '../core/clock.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { formatCidr } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import { recentMs } from './check-step.ts';
import type { DesiredRoute } from './desired.ts';
import { type Execution, type Executor, executePlan } from './execute.ts';
import { type CidrKey, cidrKey, type RouteNetworks } from './networks.ts';
import { planRoutes } from './plan.ts';
import { isCandidate, leftovers } from './plan-removals.ts';
import {
  type DeletionPolicy,
  defaultDeletionPolicy,
  type HeldRoute,
  type LeaseEvidence,
  type OthersRoute,
  type PlanInput,
  type RoutePlan,
  type RouteStep,
  type StorePosition,
  type WriterScope,
} from './route-plan.ts';

export interface ReconcilerOptions {
  readonly provider: CloudProvider;
  readonly ownership: OwnershipStore;
  readonly leases: Pick<LeaseStore, 'list'>;
  readonly networks: RouteNetworks;
  readonly scope: WriterScope;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy?: DeletionPolicy;
}

export interface PassRequest {
  readonly desired: readonly DesiredRoute[];
  readonly selector: TableSelector;
  /** Tables read just now, to save a call. */
  readonly tables?: readonly RouteTable[] | undefined;
  /** False at a start and for retries: only looks a resync apart count when a lease is missed. */
  readonly resync: boolean;
}

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

export interface RouteReconciler {
  /** One pass. Throws what reading the tables throws; all that goes wrong later is in the result. */
  pass(request: PassRequest, signal: AbortSignal): Promise<PassResult>;
}

/** Times to read and plan anew after somebody else wrote at the same time. */
const maxRounds = 3;
/** Pauses before each look whether what was written can be seen, milliseconds. EC2 mostly shows it at once. */
const confirmPausesMs = [0, 500, 1_000, 2_000, 4_000];

export function createRouteReconciler(options: ReconcilerOptions): RouteReconciler {
  const { provider, clock, logger, ownership } = options;
  const executor: Executor = { provider, ownership, clock, logger, recent: new Map(), claimed: new Set() };
  const memory: Memory = { absences: new Map(), position: undefined };

  async function pass(request: PassRequest, signal: AbortSignal): Promise<PassResult> {
    forgetOldWrites(executor.recent, clock.monotonic());
    const done: RouteStep[] = [];
    let tables = request.tables ?? (await provider.tables(request.selector, signal));
    for (let round = 1; ; round++) {
      const known = await readKnowledge(
        options,
        memory,
        { ...request, resync: request.resync && round === 1 },
        tables,
        signal,
      );
      const input: PlanInput = {
        ...known,
        ...{ networks: options.networks, scope: options.scope, tables, desired: request.desired },
        ...{ terminatedInstances: new Set<string>(), policy: options.policy ?? defaultDeletionPolicy },
        ...{ capabilities: provider.capabilities, now: clock.now() },
      };
      const plan = planRoutes(input);
      const execution = await executePlan(executor, plan, input, signal);
      done.push(...execution.done);
      if (execution.conflict && round < maxRounds) {
        tables = await provider.tables(request.selector, signal);
        continue;
      }
      const wrote = execution.done.some(({ action }) => action === 'create' || action === 'replace');
      const seen = wrote ? await confirm(request, input, signal) : plan;
      return toResult(plan, execution, seen, request.desired.length * tables.length, done);
    }
  }

  /** Reads until what was written shows, or the pauses are used up. Writes nothing. */
  async function confirm(request: PassRequest, input: PlanInput, signal: AbortSignal): Promise<RoutePlan> {
    let plan: RoutePlan | undefined;
    for (const pause of confirmPausesMs) {
      if (pause > 0) await clock.sleep(pause, signal);
      const tables = await provider.tables(request.selector, signal);
      plan = planRoutes({ ...input, tables, records: undefined });
      if (plan.kept.length === request.desired.length * tables.length) return plan;
    }
    if (!plan) throw new FlannelVpcError('INTERNAL', 'nothing was confirmed');
    return plan;
  }

  return { pass };
}

interface Memory {
  /** Looks in a row without a lease, by destination. */
  absences: Map<CidrKey, number>;
  position: StorePosition | undefined;
}

type Knowledge = { readonly records: readonly StoredOwnershipRecord[] | undefined; readonly leases: LeaseEvidence };

/**
 * Reads records and leases only where something could be collected by them: five thousand agents that listed all leases every few
 * minutes would be the store's main load.
 */
async function readKnowledge(
  options: ReconcilerOptions,
  memory: Memory,
  request: PassRequest,
  tables: readonly RouteTable[],
  signal: AbortSignal,
): Promise<Knowledge> {
  const { scope, networks } = options;
  const candidates = leftovers({ networks, tables, desired: request.desired }).filter((leftover) =>
    isCandidate(scope, leftover),
  );
  if (scope.kind === 'node' && (candidates.length === 0 || !request.resync)) {
    return { records: undefined, leases: { kind: 'unknown', reason: 'not read, since there was nothing to collect' } };
  }
  const [records, list] = await Promise.all([options.ownership.list(signal), options.leases.list(signal)]);
  const live = list.leases.flatMap((lease) => subnetsOf(lease.subnets));
  const store: StorePosition = { storeId: list.storeId, revision: list.revision };
  const remembered = memory.position;
  if (request.resync) countAbsences(memory, candidates, new Set(live.map(cidrKey)));
  if (!remembered || (remembered.storeId === store.storeId && BigInt(remembered.revision) <= BigInt(store.revision))) {
    memory.position = store;
  }
  return { records, leases: { kind: 'known', live, store, remembered, absences: memory.absences } };
}

function countAbsences(memory: Memory, candidates: ReturnType<typeof leftovers>, live: ReadonlySet<CidrKey>): void {
  const absences = new Map<CidrKey, number>();
  for (const { entry } of candidates) {
    if (!entry.destination) continue;
    const key = cidrKey(entry.destination);
    if (!live.has(key)) absences.set(key, (memory.absences.get(key) ?? 0) + 1);
  }
  memory.absences = absences;
}

function toResult(
  plan: RoutePlan,
  execution: Execution,
  seen: RoutePlan,
  wanted: number,
  done: readonly RouteStep[],
): PassResult {
  const held = plan.held.filter(({ action }) => action === 'write').map(heldProblem);
  const conflicts = plan.conflicts.map(
    ({ tableId, destination, target, reason }) =>
      new FlannelVpcError('ROUTE_NOT_OWNED', `table ${tableId}: ${reason}`, {
        hint: 'Remove that route if it is not needed, or give the network another range.',
        details: { tableId, destination: formatCidr(destination), target: target.id },
      }),
  );
  const problems = [...execution.failures.map(({ error }) => error), ...held, ...conflicts];
  const inSync = seen.kept.length === wanted && wanted > 0;
  if (!inSync && problems.length === 0) {
    const text = execution.conflict
      ? 'somebody else writes the same route at the same time'
      : 'what was written does not show in the route table yet';
    problems.push(new FlannelVpcError('TRANSIENT', text));
  }
  return { inSync, problems, done, held: plan.held, conflicts: plan.conflicts, foreign: plan.foreign };
}

function heldProblem({ tableId, destination, code, reason }: HeldRoute): FlannelVpcError {
  const details = { tableId, destination: formatCidr(destination) };
  const message = `table ${tableId}: ${formatCidr(destination)}: ${reason}`;
  if (code === 'quota') {
    const hint = 'Ask for a higher quota, remove routes that are not needed, or use larger subnets on fewer nodes.';
    return new FlannelVpcError('QUOTA_EXCEEDED', message, { hint, details });
  }
  return new FlannelVpcError('TRANSIENT', message, { details });
}

function forgetOldWrites(recent: Map<string, number>, monotonic: number): void {
  for (const [key, at] of recent) if (monotonic - at >= recentMs) recent.delete(key);
}
