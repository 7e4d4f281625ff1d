/** A cloud's tables and the records of ownership as plain values: what carrying out a plan makes of them. */
import type { StoredOwnershipRecord } from '../../../lease/ownership-store.ts';
import type { RouteEntry, RouteTable } from '../../../providers/provider.ts';
import { formatCidr, sameCidr } from '../../../src/core/ip.ts';
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
      const clash = standing.some(({ target }) => !capabilities.coexistingRoutes || target.id === step.nextHop.nicId);
      if (clash) throw new Error(`${name} stands already`);
      return { ...table, routes: [...table.routes, written(step)] };
    }
    case 'replace': {
      if (!capabilities.replacesInPlace) throw new Error(`${name}: this cloud replaces nothing`);
      const former = table.routes.find((entry) => same(entry) && entry.target.id === step.expected.id);
      if (!former) throw new Error(`${name}: there is no route to ${step.expected.id}`);
      return { ...table, routes: table.routes.map((entry) => (entry === former ? written(step) : entry)) };
    }
    case 'withdraw':
    case 'delete': {
      const routes = table.routes.filter((entry) => !same(entry) || entry.target.id !== step.expected.id);
      if (routes.length === table.routes.length) throw new Error(`${name}: there is no route to ${step.expected.id}`);
      return { ...table, routes };
    }
  }
}

function written({ destination, nextHop }: RouteStep & { readonly action: 'create' | 'replace' }): RouteEntry {
  const { nicId, instanceId } = nextHop;
  return {
    destination,
    destinationText: formatCidr(destination),
    target: { kind: 'nic', id: nicId, instanceId },
    state: 'active',
    origin: 'static',
  };
}

function recordsAfter(records: readonly StoredOwnershipRecord[], step: RouteStep): readonly StoredOwnershipRecord[] {
  const others = records.filter(
    (record) => record.tableId !== step.tableId || !sameCidr(record.destination, step.destination),
  );
  if (step.action === 'delete' || step.action === 'forget') return others;
  const { tableId, destination, nextHop, holder } = step;
  return [...others, { tableId, destination, target: nextHop.nicId, holder, writtenAt: '', revision: 'new' }];
}
