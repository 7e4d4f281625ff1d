/** Which steps of a plan one pass carries out. Pure. */
import { cidrKey } from '../routing/networks.ts';
import type { RouteStep } from '../routing/route-plan.ts';

export interface StepChoice {
  /**
   * True while a request of the leader before may still be on its way: then only routes are written where nothing stands, which no late
   * request can turn into a wrong one.
   */
  readonly createsOnly: boolean;
  /** Writes in one pass, more only where one destination alone needs more; the world is looked at again in between. */
  readonly mostWrites: number;
}

/** True for a step that takes something out for good. */
export function isRemoval({ action }: RouteStep): boolean {
  return action === 'delete' || action === 'forget';
}

/** Removals come last and only when everything is written: a pass that is cut short must not take out what it can't put back. */
export function chooseSteps(
  steps: readonly RouteStep[],
  { createsOnly, mostWrites }: StepChoice,
): { readonly steps: readonly RouteStep[]; readonly left: boolean } {
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
  const chosen: RouteStep[] = [];
  let cut = false;
  for (const ofOne of allowed) {
    cut = chosen.length > 0 && chosen.length + ofOne.length > mostWrites;
    if (cut) break;
    chosen.push(...ofOne);
  }
  const removals = createsOnly || cut ? [] : steps.filter(isRemoval);
  const kept = new Set([...chosen, ...removals]);
  return { steps: steps.filter((step) => kept.has(step)), left: kept.size < steps.length };
}
