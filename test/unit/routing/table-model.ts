/** A cloud's tables and the records of ownership as plain values: what carrying out a plan makes of them. */
import type { StoredOwnershipRecord } from '../../../lease/ownership-store.ts';
import type { RouteEntry, RouteTable, RouteTarget } from '../../../providers/provider.ts';
import { formatCidr, sameCidr } from '../../../src/core/ip.ts';
import { handleOf, targetIdOf } from '../../../src/routing/plan-writes.ts';
import type { PlanInput, RoutePlan, RouteStep } from '../../../src/routing/route-plan.ts';

/** The input as it is once every step of the plan has been carried out. */
export function afterPlan(input: PlanInput, plan: RoutePlan): PlanInput {
  return plan.steps.reduce(afterStep, input);
}

/** The input as it is once the step has been carried out. Throws where a cloud would refuse it. */
export function afterStep(input: PlanInput, step: RouteStep): PlanInput {
  if (!input.tables.some(({ id }) => id === step.tableId)) throw new Error(`there is no table ${step.tableId}`);
  return {
    ...input,
    tables: input.tables.map((table) => (table.id === step.tableId ? changed(table, step, input) : table)),
    records: input.records && recordsAfter(input.records, step),
  };
}

/** What stands in the table for exactly the step's destination. */
export function standing(input: PlanInput, step: Pick<RouteStep, 'tableId' | 'destination'>): readonly RouteEntry[] {
  const table = input.tables.find(({ id }) => id === step.tableId);
  return (table?.routes ?? []).filter(({ destination }) => destination && sameCidr(destination, step.destination));
}

function changed(table: RouteTable, step: RouteStep, { capabilities }: PlanInput): RouteTable {
  const name = `${formatCidr(step.destination)} in ${table.id}`;
  const same = (entry: RouteEntry): boolean =>
    entry.origin === 'static' && entry.destination !== undefined && sameCidr(entry.destination, step.destination);
  switch (step.action) {
    case 'forget':
      return table;
    case 'create': {
      const standing = table.routes.filter(same);
      const made = written(step, capabilities.coexistingRoutes ? standing : undefined);
      const clash = standing.some(({ target }) => !capabilities.coexistingRoutes || target.id === made.target.id);
      if (clash) throw new Error(`${name} stands already`);
      const beside = new Set((step.beside ?? []).map(({ preference }) => preference));
      if (standing.some(({ preference }) => !beside.has(preference)))
        throw new Error(`${name}: what stands is not named`);
      return { ...table, routes: [...table.routes, made] };
    }
    case 'replace': {
      if (!capabilities.replacesInPlace) throw new Error(`${name}: this cloud replaces nothing`);
      const former = table.routes.find((entry) => same(entry) && isMeant(entry, step));
      if (!former) throw new Error(`${name}: there is no route to ${step.expected.id}`);
      const made = { ...written(step), ...handleOf(former) };
      return { ...table, routes: table.routes.map((entry) => (entry === former ? made : entry)) };
    }
    case 'withdraw':
    case 'delete': {
      const routes = table.routes.filter((entry) => !same(entry) || !isMeant(entry, step));
      if (routes.length === table.routes.length) throw new Error(`${name}: there is no route to ${step.expected.id}`);
      return { ...table, routes };
    }
  }
}

/** By the cloud's own name of it where it has one, and while it leads where it was seen to lead. */
function isMeant({ target, handle }: RouteEntry, step: Extract<RouteStep, { expected: RouteTarget }>): boolean {
  return target.id === step.expected.id && handle === step.handle;
}

/** What the cloud makes of it: `beside` these, with a preference that none of them has. */
function written(
  { destination, nextHop }: RouteStep & { readonly action: 'create' | 'replace' },
  beside?: readonly RouteEntry[],
): RouteEntry {
  const { nicId, instanceId } = nextHop;
  const preference = beside && [1_000, 990, 980, 970].find((one) => beside.every((other) => other.preference !== one));
  return {
    destination,
    destinationText: formatCidr(destination),
    target: nextHop.target?.[destination.family] ?? { kind: 'nic', id: nicId, instanceId },
    state: 'active',
    origin: 'static',
    ...(beside && { preference, handle: `route-to-${nicId}` }),
  };
}

function recordsAfter(records: readonly StoredOwnershipRecord[], step: RouteStep): readonly StoredOwnershipRecord[] {
  const others = records.filter(
    (record) => record.tableId !== step.tableId || !sameCidr(record.destination, step.destination),
  );
  if (step.action === 'delete' || step.action === 'forget') return others;
  const { tableId, destination, nextHop, holder } = step;
  const target = targetIdOf(nextHop, destination.family);
  return [...others, { tableId, destination, target, holder, writtenAt: '', revision: 'new' }];
}
