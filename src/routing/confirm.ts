/** Seeing what was written: a cloud's reads lag behind its writes, and what is read decides what is said to stand. */
import type { RouteTable } from '../../providers/provider.ts';
import type { Clock } from '../core/clock.ts';
import { type FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import { writeKey } from './check-step.ts';
import type { Execution } from './execute.ts';
import { planRoutes } from './plan.ts';
import type { PlanInput, RoutePlan } from './route-plan.ts';

/** Pauses before each look whether what was written can be seen, milliseconds. EC2 mostly shows it at once. */
const pausesMs = [0, 500, 1_000, 2_000, 4_000];

export interface Confirmation {
  /** The plan by what was seen last; nothing is removed by it. */
  readonly seen: RoutePlan;
  /** The tables as seen last. */
  readonly tables: readonly RouteTable[];
  /** Why that could not be seen. */
  readonly unread?: FlannelVpcError;
}

/** Reads until what was written shows, or the pauses are used up. Writes nothing; reads nothing where nothing was written. */
export async function confirmWrites(
  { clock, read }: { readonly clock: Clock; readonly read: (signal: AbortSignal) => Promise<readonly RouteTable[]> },
  input: PlanInput,
  { plan, execution }: { readonly plan: RoutePlan; readonly execution: Execution },
  signal: AbortSignal,
): Promise<Confirmation> {
  const written = execution.done.filter(({ action }) => action !== 'delete' && action !== 'forget');
  let { tables } = input;
  if (written.length === 0) return { seen: plan, tables };
  const awaited = new Set(written.map(({ tableId, destination }) => writeKey(tableId, destination)));
  // Half a move does not show as a route that stands, however long one waits.
  for (const { step } of execution.failures) if (step) awaited.delete(writeKey(step.tableId, step.destination));
  let seen = plan;
  for (const pause of pausesMs) {
    if (pause > 0) await clock.sleep(pause, signal);
    try {
      tables = await read(signal);
      seen = planRoutes({ ...input, tables, records: undefined });
    } catch (error) {
      signal.throwIfAborted();
      if (!isFlannelVpcError(error)) throw error;
      return { seen, tables, unread: error };
    }
    const shown = new Set(seen.kept.map(({ tableId, route }) => writeKey(tableId, route.destination)));
    if ([...awaited].every((key) => shown.has(key))) break;
  }
  return { seen, tables };
}
