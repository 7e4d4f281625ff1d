/** Carries out what a look planned: NICs that must forward, then routes, then leases of terminated machines; and looks again. */
import type { LeaseAdmin } from '../../lease/lease-admin.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import { switchedForwarding } from '../../providers/forwarding.ts';
import type { NextHop, RouteTable, RouteTarget } from '../../providers/provider.ts';
import { type FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import type { Cidr } from '../core/ip.ts';
import { forgetOldWrites, recentMs, writeKey } from '../routing/check-step.ts';
import { confirmWrites } from '../routing/confirm.ts';
import { type Execution, type Executor, executePlan, isRefusal, noteRecords } from '../routing/execute.ts';
import { withoutRepetition } from '../routing/pass-result.ts';
import { countsIn } from '../routing/plan.ts';
import type { RouteStep } from '../routing/route-plan.ts';
import type { Look, Observer } from './observer.ts';
import { chooseSteps, isRemoval, type StepChoice } from './step-choice.ts';

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
  /** Something was done and there is more to do: look again at once. */
  readonly again: boolean;
  /** The world moved meanwhile, or had the time to: look again soon. */
  readonly conflict: boolean;
  /** Milliseconds until a removal that was put off may be carried out. */
  readonly ripeInMs: number | undefined;
}

/** NICs that are let forward side by side. */
const preparers = 8;

/**
 * Carries the look's plan out, as far as `choice` allows. Throws only when the signal fires, and LEADERSHIP_LOST: nothing more may be
 * written then.
 */
export async function runPass(
  { executor, observer, reaper }: PassParts,
  look: Look,
  choice: StepChoice,
  signal: AbortSignal,
): Promise<PassOutcome> {
  const { clock, recent } = executor;
  forgetOldWrites(recent, clock.monotonic());
  noteRecords(executor, look.input.records ?? []);
  const { ripe, ripeInMs } = withoutUnripe(look.plan.steps, recent, clock.monotonic());
  const { steps, left } = chooseSteps(ripe, choice);
  const { forwarding } = look;
  // What only a person can set is reported, and not tried.
  const closed = forwarding.settable ? look.prepares : [];
  const prepares = choosePrepares(closed, steps, choice.mostWrites);
  const [preparation, execution] = await Promise.all([
    prepareAll(executor, observer, prepares, signal),
    executePlan(executor, { steps, kept: look.plan.kept }, look.input, signal, look.readAt),
  ]);
  const reaping = choice.createsOnly ? { reaped: 0, failures: [] } : await reap(executor, reaper, look, signal);
  const read = (inner: AbortSignal): Promise<readonly RouteTable[]> => executor.provider.tables(look.selector, inner);
  const input = { ...look.input, tables: look.tables };
  const confirmed = await confirmWrites({ clock, read }, input, { plan: look.plan, execution }, signal);
  noteRefusals(observer, look, execution, clock.monotonic());
  noteDoubts(observer, execution);
  const failures = [
    ...withoutRepetition(execution.failures),
    ...preparation.failures,
    ...reaping.failures,
    ...(confirmed.unread ? [confirmed.unread] : []),
  ];
  const { done } = execution;
  const { prepared } = preparation;
  const changed = done.length + prepared.length > 0 || execution.failures.length > 0;
  // A review plans anew, which takes a while in a large cluster; nothing happened in most passes.
  const now = changed ? observer.review(look, withoutDeleted(confirmed.tables, execution), done) : look;
  const progress = done.length + prepared.length + reaping.reaped > 0;
  return {
    look: now,
    ...{ done, prepared, reaped: reaping.reaped, failures, ripeInMs },
    conflict: execution.conflict || (execution.stale && !progress),
    // Only after progress, so that what can't be done is not tried without end.
    again: progress && (left || prepares.length < closed.length || now.plan.steps.length > 0),
  };
}

/** Takes out removals of what this process wrote just now: reads may lag behind, and the last check would refuse them. */
function withoutUnripe(
  steps: readonly RouteStep[],
  recent: Executor['recent'],
  monotonic: number,
): { readonly ripe: readonly RouteStep[]; readonly ripeInMs: number | undefined } {
  const ages = steps.flatMap((step) => {
    const at = isRemoval(step) ? recent.get(writeKey(step.tableId, step.destination)) : undefined;
    return at === undefined ? [] : [{ step, ripeInMs: Math.max(0, at + recentMs - monotonic) }];
  });
  if (ages.length === 0) return { ripe: steps, ripeInMs: undefined };
  const unripe = new Set(ages.map(({ step }) => step));
  return {
    ripe: steps.filter((step) => !unripe.has(step)),
    ripeInMs: Math.min(...ages.map(({ ripeInMs }) => ripeInMs)),
  };
}

/** Those whose routes are written in this pass first; no more than routes, since the pass waits for them. */
function choosePrepares(prepares: readonly NextHop[], steps: readonly RouteStep[], most: number): readonly NextHop[] {
  if (prepares.length <= most) return prepares;
  const written = new Set(steps.flatMap((step) => ('nextHop' in step ? step.nextHop.nicId : [])));
  const first = prepares.filter(({ nicId }) => written.has(nicId));
  return [...first, ...prepares.filter(({ nicId }) => !written.has(nicId))].slice(0, most);
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
          logger.info(switchedForwarding(provider.capabilities.forwarding), {
            nic: nextHop.nicId,
            instance: nextHop.instanceId,
          });
        } catch (error) {
          signal.throwIfAborted();
          if (!isFlannelVpcError(error) || error.code === 'LEADERSHIP_LOST') throw error;
          if (isDoubt(error)) observer.doubt(nextHop);
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
function noteRefusals(observer: Observer, { plan }: Look, { failures, done }: Execution, monotonic: number): void {
  for (const { step, error } of failures) {
    if (error.code !== 'QUOTA_EXCEEDED' || !step) continue;
    const { family } = step.destination;
    // Not as read afterwards: removals follow, and the room they make is no part of what was refused.
    const use = plan.use.find((each) => each.tableId === step.tableId && countsIn(each, family));
    if (!use) continue;
    const created = done.filter(
      ({ action, tableId, destination }) =>
        action === 'create' && tableId === step.tableId && countsIn(use, destination.family),
    );
    observer.limits.refused(step.tableId, use.used + created.length, monotonic);
  }
}

/** A write that the cloud refuses as wrong may mean that the next hop is not what it was. */
function noteDoubts(observer: Observer, { failures }: Execution): void {
  for (const { step, error } of failures) if (step && 'nextHop' in step && isDoubt(error)) observer.doubt(step.nextHop);
}

/** True for what a next hop that is gone makes the cloud say. */
export function isDoubt({ code }: FlannelVpcError): boolean {
  return code === 'NOT_FOUND' || code === 'INVALID';
}

/** Tables that were not read again after a deletion still show what is gone. */
function withoutDeleted(tables: readonly RouteTable[], { done }: Execution): readonly RouteTable[] {
  const deleted = new Set(
    done.flatMap((step) =>
      step.action === 'delete' ? deletionKey(step.tableId, step.destination, step.expected) : [],
    ),
  );
  if (deleted.size === 0) return tables;
  return tables.map((table) => ({
    ...table,
    routes: table.routes.filter(
      ({ destination, target, origin }) =>
        !destination || origin !== 'static' || !deleted.has(deletionKey(table.id, destination, target)),
    ),
  }));
}

function deletionKey(tableId: string, destination: Cidr, { id }: RouteTarget): string {
  return `${writeKey(tableId, destination)} ${id}`;
}
