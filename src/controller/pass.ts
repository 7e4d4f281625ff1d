/** Carries out what a look planned: NICs that must forward, then routes, then leases of terminated machines; and looks again. */
import type { LeaseAdmin } from '../../lease/lease-admin.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { NextHop, RouteTable } from '../../providers/provider.ts';
import { type FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import { type Family, formatCidr } from '../core/ip.ts';
import { forgetOldWrites, writeKey } from '../routing/check-step.ts';
import { confirmWrites } from '../routing/confirm.ts';
import { type Execution, type Executor, executePlan, isRefusal, noteRecords } from '../routing/execute.ts';
import { withoutRepetition } from '../routing/pass-result.ts';
import type { RouteStep } from '../routing/route-plan.ts';
import type { Look, Observer } from './observer.ts';
import { chooseSteps, type StepChoice } from './step-choice.ts';

export interface PassParts {
  readonly executor: Executor;
  readonly observer: Observer;
  /** Ends the leases of terminated machines; undefined: they run out by themselves. */
  readonly reaper: Pick<LeaseAdmin, 'end'> | undefined;
}

export interface PassOutcome {
  /** What stands now. */
  readonly look: Look;
  readonly done: readonly RouteStep[];
  /** NICs that forward now. */
  readonly prepared: readonly NextHop[];
  /** Leases that were ended. */
  readonly reaped: number;
  readonly failures: readonly FlannelVpcError[];
  /** There is more to do, or the world moved meanwhile: look again at once. */
  readonly again: boolean;
}

/** NICs that are let forward side by side. */
const preparers = 8;

/** Carries the look's plan out, as far as `choice` allows. Throws only when the signal fires. */
export async function runPass(
  { executor, observer, reaper }: PassParts,
  look: Look,
  choice: StepChoice,
  signal: AbortSignal,
): Promise<PassOutcome> {
  const { clock } = executor;
  forgetOldWrites(executor.recent, clock.monotonic());
  noteRecords(executor, look.input.records ?? []);
  const { steps, left } = chooseSteps(withoutRecent(look.plan.steps, executor), choice);
  const [preparation, execution] = await Promise.all([
    prepareAll(executor, observer, look.prepares, signal),
    executePlan(executor, { steps, kept: look.plan.kept }, look.input, signal),
  ]);
  const reaping = choice.createsOnly ? { reaped: 0, failures: [] } : await reap(executor, reaper, look, signal);
  const read = (inner: AbortSignal): Promise<readonly RouteTable[]> => executor.provider.tables(look.selector, inner);
  const confirmed = await confirmWrites({ clock, read }, look.input, { plan: look.plan, execution }, signal);
  noteRefusals(observer, execution, confirmed.tables, clock.monotonic());
  const failures = [
    ...withoutRepetition(execution.failures),
    ...preparation.failures,
    ...reaping.failures,
    ...(confirmed.unread ? [confirmed.unread] : []),
  ];
  const removed = execution.done.some(({ action }) => action === 'delete' || action === 'forget');
  return {
    look: observer.review(look, withoutDeleted(confirmed.tables, execution), execution.done),
    done: execution.done,
    prepared: preparation.prepared,
    reaped: reaping.reaped,
    failures,
    // A failed step is tried again in its own time; what was left out, or made room, is not to wait for that.
    again: execution.conflict || (left && failures.length === 0) || reaping.reaped > 0 || (removed && left),
  };
}

/** What was written a moment ago may not show yet where it was read; its removal waits for a later look. */
function withoutRecent(steps: readonly RouteStep[], { recent }: Executor): readonly RouteStep[] {
  return steps.filter((step) => step.action !== 'delete' || !recent.has(writeKey(step.tableId, step.destination)));
}

async function prepareAll(
  { provider, logger }: Executor,
  observer: Observer,
  nextHops: readonly NextHop[],
  signal: AbortSignal,
): Promise<{ readonly prepared: readonly NextHop[]; readonly failures: readonly FlannelVpcError[] }> {
  const prepared: NextHop[] = [];
  const failures: FlannelVpcError[] = [];
  const waiting = nextHops.values();
  await Promise.all(
    Array.from({ length: preparers }, async () => {
      for (const nextHop of waiting) {
        // One refusal says it for all.
        if (failures.some(isRefusal)) return;
        try {
          await provider.prepare(nextHop, signal);
          observer.prepared(nextHop);
          prepared.push(nextHop);
          logger.info('source/dest check switched off', { nic: nextHop.nicId, instance: nextHop.instanceId });
        } catch (error) {
          signal.throwIfAborted();
          if (!isFlannelVpcError(error)) throw error;
          failures.push(error);
        }
      }
    }),
  );
  const codes = new Map(failures.map((error) => [isRefusal(error) ? error.code : error.message, error]));
  return { prepared, failures: [...codes.values()] };
}

/** Ends leases whose machine is terminated. A reservation is an operator's word and stays. */
async function reap(
  { logger }: Executor,
  reaper: PassParts['reaper'],
  { ended }: Look,
  signal: AbortSignal,
): Promise<{ readonly reaped: number; readonly failures: readonly FlannelVpcError[] }> {
  let reaped = 0;
  const failures: FlannelVpcError[] = [];
  for (const lease of reaper ? ended.filter(({ reserved }) => !reserved) : []) {
    try {
      if (!(await reaper?.end(lease, signal))) continue;
      reaped += 1;
      logger.info('lease ended: its machine is terminated', {
        subnet: leaseKey(lease.subnets),
        instance: lease.attributes.node?.instanceId,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!isFlannelVpcError(error)) throw error;
      failures.push(error);
    }
  }
  return { reaped, failures };
}

/** Learns from the cloud how many routes a table takes: as many as it held when one more was refused. */
function noteRefusals(
  observer: Observer,
  { failures }: Execution,
  tables: readonly RouteTable[],
  monotonic: number,
): void {
  for (const { step, error } of failures) {
    if (error.code !== 'QUOTA_EXCEEDED' || !step) continue;
    const table = tables.find(({ id }) => id === step.tableId);
    if (table) observer.limits.refused(table.id, countRoutes(table, step.destination.family), monotonic);
  }
}

function countRoutes({ routes }: RouteTable, family: Family): number {
  return routes.filter(({ destination, origin }) => origin !== 'propagated' && destination?.family === family).length;
}

/** Tables that were not read again after a deletion still show what is gone. */
function withoutDeleted(tables: readonly RouteTable[], { done }: Execution): readonly RouteTable[] {
  const deleted = new Set(
    done.flatMap((step) => (step.action === 'delete' ? `${step.tableId} ${formatCidr(step.destination)}` : [])),
  );
  if (deleted.size === 0) return tables;
  return tables.map((table) => ({
    ...table,
    routes: table.routes.filter(
      ({ destinationText, origin }) => origin !== 'static' || !deleted.has(`${table.id} ${destinationText}`),
    ),
  }));
}
