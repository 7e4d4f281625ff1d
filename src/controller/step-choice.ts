/** Which steps of a plan one pass carries out. Pure. */
import { cidrKey } from '../routing/networks.ts';
import type { RouteStep } from '../routing/route-plan.ts';

export interface StepChoice {
  /**
   * True while a request of the leader before may still be on its way: then only routes are written where nothing stands, which no late
   * request can turn into a wrong one.
   */
  readonly createsOnly: boolean;
  /** Destinations written in one pass; the world is looked at again in between. */
  readonly mostWrites: number;
}

/** Removals come last and only when everything is written: a pass that is cut short must not take out what it can't put back. */
export function chooseSteps(
  steps: readonly RouteStep[],
  { createsOnly, mostWrites }: StepChoice,
): { readonly steps: readonly RouteStep[]; readonly left: boolean } {
  const isRemoval = ({ action }: RouteStep): boolean => action === 'delete' || action === 'forget';
  const writes = Map.groupBy(
    steps.filter((step) => !isRemoval(step)),
    ({ destination }) => cidrKey(destination),
  );
  const allowed = [...writes.values()].flatMap((ofOne) => {
    if (!createsOnly) return [ofOne];
    const tables = [...Map.groupBy(ofOne, ({ tableId }) => tableId).values()];
    const creations = tables.filter((ofTable) => ofTable.every(({ action }) => action === 'create')).flat();
    return creations.length > 0 ? [creations] : [];
  });
  const chosen = allowed.slice(0, mostWrites).flat();
  const removals = createsOnly || allowed.length > mostWrites ? [] : steps.filter(isRemoval);
  const kept = new Set([...chosen, ...removals]);
  return { steps: steps.filter((step) => kept.has(step)), left: kept.size < steps.length };
}
