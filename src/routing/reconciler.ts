/**
 * One pass: read the tables, plan, carry out, confirm. The pass of an agent and of the controller are the same; what differs
 * is the scope.
 */

import type { LeaseStore } from '../../lease/lease-store.ts';
import type { OwnershipStore } from '../../lease/ownership-store.ts';
import type { CloudProvider, RouteTable, TableSelector } from '../../providers/provider.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import { forgetOldWrites } from './check-step.ts';
import { confirmWrites } from './confirm.ts';
import type { DesiredRoute } from './desired.ts';
import { type Executor, executePlan } from './execute.ts';
import { type Memory, readKnowledge } from './knowledge.ts';
import type { RouteNetworks } from './networks.ts';
import { type PassResult, toResult } from './pass-result.ts';
import { planRoutes } from './plan.ts';
import {
  type DeletionPolicy,
  defaultDeletionPolicy,
  type PlanInput,
  type RouteStep,
  type WriterScope,
} from './route-plan.ts';

export type { PassResult };

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
  /** The store may have lost records that this process stored. Default no. */
  readonly doubtsRecords?: boolean;
}

export interface RouteReconciler {
  /** One pass. Throws what reading the tables throws; all that goes wrong later is in the result. */
  pass(request: PassRequest, signal: AbortSignal): Promise<PassResult>;
}

/** Times to read and plan anew after somebody else wrote at the same time. */
const maxRounds = 3;

export function createRouteReconciler(options: ReconcilerOptions): RouteReconciler {
  const { provider, clock, logger, ownership } = options;
  const executor: Executor = { provider, ownership, clock, logger, recent: new Map(), claimed: new Set() };
  const memory: Memory = { absences: new Map(), position: undefined };

  async function pass(request: PassRequest, signal: AbortSignal): Promise<PassResult> {
    forgetOldWrites(executor.recent, clock.monotonic());
    if (request.doubtsRecords) executor.claimed.clear();
    const done: RouteStep[] = [];
    let tables = request.tables ?? (await provider.tables(request.selector, signal));
    for (let round = 1; ; round++) {
      const resync = request.resync && round === 1;
      const { problem, ...known } = await readKnowledge(options, memory, { ...request, resync }, tables, signal);
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
      const read = (inner: AbortSignal) => provider.tables(request.selector, inner);
      const seen = await confirmWrites({ clock, read }, input, { plan, execution }, signal);
      return toResult({ plan, execution, ...seen, desired: request.desired, scope: options.scope, done, problem });
    }
  }

  return { pass };
}
