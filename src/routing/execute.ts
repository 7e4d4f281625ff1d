/**
 * Carries a plan out: record first, then the route. Some destinations are written side by side; the steps of one destination in one
 * table go one after the other. So do removals, but where the cloud takes several changes in one call.
 */

import type { OwnershipRecord, OwnershipStore, StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { CloudProvider, RouteEntry } from '../../providers/provider.ts';
import type { Clock } from '../core/clock.ts';
import { withDeadline } from '../core/deadline.ts';
import { type ErrorCode, errorMessage, FlannelVpcError, isAbortError, isFlannelVpcError } from '../core/errors.ts';
import { formatCidr } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import { createStepCheck, type StepCheck, writeKey } from './check-step.ts';
import { cidrKey } from './networks.ts';
import { isRecorded, targetIdOf } from './plan-writes.ts';
import { type RecordedRoutes, recordedRoutesIn } from './recorded-routes.ts';
import type { PlanInput, RemovalStep, RoutePlan, RouteStep, WriteStep } from './route-plan.ts';
import { indexRecords, type RecordIndex } from './table-index.ts';

export interface Executor {
  readonly provider: CloudProvider;
  readonly ownership: OwnershipStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Routes this process wrote, see `check-step.ts`; the executor adds to it. */
  readonly recent: Map<string, number>;
  /** Records this process knows to stand: `table cidr target`; the executor adds to it. */
  readonly claimed: Set<string>;
}

export interface Execution {
  readonly done: readonly RouteStep[];
  readonly failures: readonly StepFailure[];
  /** True when the tables were not as planned for: read again. */
  readonly conflict: boolean;
  /** True when steps were left since the tables were read too long ago: read again. */
  readonly stale: boolean;
  /** True when somebody is just now removing a route that stands as it should: look again soon. */
  readonly endangered: boolean;
}

export interface StepFailure {
  readonly step: RouteStep | undefined;
  readonly error: FlannelVpcError;
}

const refusals: readonly ErrorCode[] = ['QUOTA_EXCEEDED', 'PERMISSION_DENIED'];
/** Failures that outlasted all the retries of the layer below: the next write to the table would go through them again. */
const outages: readonly ErrorCode[] = ['THROTTLED', 'TRANSIENT'];

/** Destinations that are written side by side: enough to keep the provider busy, few enough to heed its first refusal. */
const writers = 8;
/** Most of them, and of removals, where the cloud takes many changes in one call: as many records are being stored at once. */
const mostLanes = 64;

/** Time a removal may take, and for how long its mark keeps others from writing the route: longer by a request's time-out. */
const removalMs = 20_000;
const removalMarkMs = 45_000;

/**
 * For how long tables that were read say what stands, milliseconds. A cloud such as EC2 can't make a write depend on what it
 * replaces, so that what somebody else wrote meanwhile would go.
 */
const freshMs = { write: 60_000, removal: 15_000 } as const;

/** True for what the next write of the same kind to the same table would meet too. */
export function isRefusal({ code }: FlannelVpcError): boolean {
  return refusals.includes(code);
}

/** Records read just now need not be stored again. */
export function noteRecords({ claimed }: Executor, records: readonly StoredOwnershipRecord[]): void {
  claimed.clear();
  for (const record of records) if (record.removingUntil === undefined) claimed.add(claimKey(record));
}

/** Carries out every step it can. Throws only when the signal fires, and LEADERSHIP_LOST: nothing more may be written then. `readAt`: monotonic time of the tables' reading; without it steps don't age. */
export async function executePlan(
  executor: Executor,
  plan: Pick<RoutePlan, 'steps' | 'kept'>,
  input: PlanInput,
  signal: AbortSignal,
  readAt = Number.POSITIVE_INFINITY,
): Promise<Execution> {
  const run = new Run(executor, input, signal, readAt);
  const removals = plan.steps.filter((step) => step.action === 'delete' || step.action === 'forget');
  const writes = plan.steps.filter((step) => step.action !== 'delete' && step.action !== 'forget');
  await run.adopt(plan.kept);
  const groups = Map.groupBy(writes, ({ destination }) => cidrKey(destination));
  const { batchSize } = executor.provider.capabilities;
  const lanes = Math.min(batchSize, mostLanes);
  await inLanes(Math.max(writers, lanes), groups.values(), (steps) => run.write(steps));
  // Routes of one destination have one record, and go by it together.
  const places = Map.groupBy(removals, ({ tableId, destination }) => writeKey(tableId, destination));
  await inLanes(lanes, places.values(), (steps) => run.remove(steps));
  const { done, failures, conflict, endangered, stale } = run;
  return { done, failures, conflict, endangered, stale };
}

/** Works through the items, so many at a time. */
async function inLanes<T>(lanes: number, items: IterableIterator<T>, work: (item: T) => Promise<void>): Promise<void> {
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      // One iterator for all: each takes the next item that nobody has taken.
      for (const item of items) await work(item);
    }),
  );
}

class Run {
  readonly done: RouteStep[] = [];
  readonly failures: StepFailure[] = [];
  conflict = false;
  endangered = false;
  stale = false;
  /** Kinds of writes that a table refuses, or that the cloud does not get done. */
  readonly #refused = new Set<string>();
  readonly #executor: Executor;
  readonly #check: StepCheck;
  readonly #signal: AbortSignal;
  readonly #readAt: number;
  readonly #records: RecordIndex | undefined;
  readonly #routesOf: RecordedRoutes;

  constructor(executor: Executor, input: PlanInput, signal: AbortSignal, readAt: number) {
    this.#executor = executor;
    this.#readAt = readAt;
    this.#check = createStepCheck(input);
    this.#records = input.records && indexRecords(input.records);
    this.#routesOf = recordedRoutesIn(input.tables);
    this.#signal = signal;
  }

  /** Makes sure that routes which stand already are recorded as ours, once per process. */
  async adopt(kept: RoutePlan['kept']): Promise<void> {
    const records = kept.map(({ tableId, route }) =>
      this.#record(tableId, route.destination, targetIdOf(route.nextHop, route.destination.family), route.holder),
    );
    const missing = records.filter((record) => !this.#executor.claimed.has(claimKey(record)));
    if (missing.length === 0) return;
    await this.#attempt(undefined, () => this.#claim(missing));
  }

  async write(steps: readonly WriteStep[]): Promise<void> {
    const [first] = steps;
    if (!first || this.#isStale(freshMs.write)) return;
    const objection = steps.map((step) => this.#objection(step)).find((text) => text !== undefined);
    if (objection !== undefined) return void this.#refuse(first, objection);
    const unclaimed = await this.#attempt(first, () => this.#claim(this.#recordsOf(steps)));
    if (unclaimed) return;
    const tables = Map.groupBy(steps, ({ tableId }) => tableId);
    await Promise.all([...tables.values()].map((ofTable) => this.#writeTable(ofTable)));
  }

  /** The steps of one destination in one table. */
  async #writeTable(steps: readonly WriteStep[]): Promise<void> {
    for (const step of steps) {
      const kind = `${step.action} ${step.tableId} ${step.destination.family}`;
      // One refusal says it for all: hundreds of leases must not ask a full table one by one.
      if (this.#refused.has(kind)) return;
      const failure = await this.#attempt(step, async () => {
        const { recent, clock, provider } = this.#executor;
        // Before it is sent: a write whose answer is lost may have taken effect.
        recent.set(writeKey(step.tableId, step.destination), clock.monotonic());
        await provider.apply(toChange(step), this.#signal);
        this.#report(step);
      });
      if (failure && (isRefusal(failure) || outages.includes(failure.code))) this.#refused.add(kind);
      // The next step may rest on this one: a creation that failed must not be followed by a withdrawal.
      if (failure) return;
    }
  }

  /** The removals of one destination in one table. */
  async remove(steps: readonly RemovalStep[]): Promise<void> {
    const [first] = steps;
    if (!first || this.#isStale(freshMs.removal)) return;
    const objection = steps.map((step) => this.#objection(step)).find((text) => text !== undefined);
    if (objection !== undefined) return void this.#refuse(first, objection);
    const kind = `${first.action} ${first.tableId}`;
    if (this.#refused.has(kind)) return;
    const { ownership, clock } = this.#executor;
    const failure = await this.#attempt(first, async () => {
      const until = clock.now() + removalMarkMs;
      // Counted from before the mark is set: a slow store must not let the deletion outlive it.
      const deadline = { clock, ms: removalMs, signal: this.#signal, error: () => tooSlow(first) };
      const marked = await withDeadline(deadline, async (signal) => {
        const record = await ownership.beginRemoval(first.record, until, signal, first.ended);
        if (!record) return undefined;
        for (const step of steps) if (step.action === 'delete') await this.#delete(step, record, signal);
        return record;
      });
      if (!marked) return;
      // Without its record, nobody would ever know again that the other route is ours.
      if (this.#hasOthers(steps, marked)) await ownership.cancelRemoval(marked, this.#signal);
      else await ownership.finishRemoval(marked, this.#signal);
      this.#executor.claimed.delete(claimKey(first.record));
      for (const step of steps) this.#report(step);
    });
    if (failure && isRefusal(failure)) this.#refused.add(kind);
  }

  /** Whether the record makes more routes ours than these. */
  #hasOthers(steps: readonly RemovalStep[], record: StoredOwnershipRecord): boolean {
    const isGone = ({ target, handle }: RouteEntry): boolean =>
      steps.some((step) => step.action === 'delete' && step.expected.id === target.id && step.handle === handle);
    return this.#routesOf(record).some((entry) => !isGone(entry));
  }

  async #delete(
    { tableId, destination, expected, handle }: Extract<RemovalStep, { action: 'delete' }>,
    marked: StoredOwnershipRecord,
    signal: AbortSignal,
  ): Promise<void> {
    const { ownership, provider } = this.#executor;
    try {
      await provider.apply({ action: 'delete', tableId, destination, expected, handle }, signal);
    } catch (error) {
      // Nothing is on its way. Else the mark would hide the reason from whoever looks next, and keep a new lease from its route.
      if (isFlannelVpcError(error, 'PERMISSION_DENIED')) await ownership.cancelRemoval(marked, signal).catch(() => {});
      throw error;
    }
  }

  async #claim(records: readonly OwnershipRecord[]): Promise<void> {
    const result = await this.#executor.ownership.claim(records, this.#signal);
    if (result.kind === 'removing') {
      this.endangered = true;
      throw new FlannelVpcError('TRANSIENT', 'somebody is just now removing a former route of this subnet', {
        retryAfterMs: Math.max(0, result.until - this.#executor.clock.now()),
      });
    }
    for (const record of records) this.#executor.claimed.add(claimKey(record));
  }

  /** Gives the failure, which is noted already; throws only when the signal has fired, and LEADERSHIP_LOST. */
  async #attempt(step: RouteStep | undefined, effect: () => Promise<void>): Promise<FlannelVpcError | undefined> {
    try {
      await effect();
      return undefined;
    } catch (thrown) {
      this.#signal.throwIfAborted();
      const error = typed(thrown);
      if (error.code === 'LEADERSHIP_LOST') throw error;
      if (error.code === 'CONFLICT') this.conflict = true;
      else this.failures.push({ step, error });
      return error;
    }
  }

  #isStale(ms: number): boolean {
    const old = this.#executor.clock.monotonic() - this.#readAt >= ms;
    this.stale ||= old;
    return old;
  }

  #objection(step: RouteStep): string | undefined {
    return this.#check(step, this.#executor.recent, this.#executor.clock.monotonic());
  }

  #refuse(step: RouteStep, objection: string): void {
    this.failures.push({
      step,
      error: new FlannelVpcError('INTERNAL', `a planned ${step.action} was refused: ${objection}`),
    });
  }

  #record(
    tableId: string,
    destination: OwnershipRecord['destination'],
    target: string,
    holder: string,
  ): OwnershipRecord {
    return { tableId, destination, target, holder, writtenAt: new Date(this.#executor.clock.now()).toISOString() };
  }

  /** One record for each route, however many steps a move takes: no store takes a key twice in one transaction. */
  #recordsOf(steps: readonly WriteStep[]): readonly OwnershipRecord[] {
    const records = new Map<string, OwnershipRecord>();
    for (const step of steps) {
      const { tableId, destination, nextHop, holder } = step;
      const key = writeKey(tableId, destination);
      const record =
        records.get(key) ?? this.#record(tableId, destination, targetIdOf(nextHop, destination.family), holder);
      records.set(key, { ...record, ...this.#replaces(step) });
    }
    return [...records.values()];
  }

  /** Only what is ours already: a route that a lease's may take the place of is not ours before it has. */
  #replaces(step: WriteStep): Pick<OwnershipRecord, 'replaces'> {
    if (!('expected' in step) || !step.expected) return {};
    const record = this.#records?.get(step.tableId)?.get(cidrKey(step.destination));
    return record && isRecorded(record, step.expected) ? { replaces: step.expected.id } : {};
  }

  #report(step: RouteStep): void {
    this.done.push(step);
    const target = 'nextHop' in step ? { nextHop: step.nextHop.nicId } : {};
    const fields = { table: step.tableId, destination: formatCidr(step.destination), ...target, reason: step.reason };
    this.#executor.logger.info(`route: ${step.action}`, fields);
  }
}

function toChange(step: WriteStep): Parameters<CloudProvider['apply']>[0] {
  const { tableId, destination, nextHop } = step;
  if (step.action === 'create') return { action: 'create', tableId, destination, nextHop, beside: step.beside };
  const { expected, handle } = step;
  if (step.action === 'replace') return { action: 'replace', tableId, destination, nextHop, expected, handle };
  return { action: 'delete', tableId, destination, expected, handle };
}

function tooSlow({ destination, tableId }: RemovalStep): FlannelVpcError {
  return new FlannelVpcError('TRANSIENT', `taking ${formatCidr(destination)} out of ${tableId} took too long`);
}

function claimKey(record: Pick<OwnershipRecord, 'tableId' | 'destination' | 'target' | 'holder'>): string {
  return `${writeKey(record.tableId, record.destination)} ${record.target} ${record.holder}`;
}

function typed(error: unknown): FlannelVpcError {
  if (isFlannelVpcError(error)) return error;
  const code = isAbortError(error) ? 'TRANSIENT' : 'INTERNAL';
  return new FlannelVpcError(code, errorMessage(error), { cause: error });
}
