/**
 * How long one plan takes in a cluster of 5,000 leases and four tables. Run alone by `node test/bench/planner.ts`.
 *
 * Steady state is what every resync plans: all routes and records stand, nothing is to be done.
 */
import { pathToFileURL } from 'node:url';
import type { RouteEntry } from '../../providers/provider.ts';
import { type Cidr, formatCidr } from '../../src/core/ip.ts';
import type { DesiredRoute } from '../../src/routing/desired.ts';
import { planRoutes } from '../../src/routing/plan.ts';
import { defaultDeletionPolicy, type PlanInput } from '../../src/routing/route-plan.ts';

export interface PlannerBench {
  readonly name: string;
  readonly leases: number;
  readonly tables: number;
  /** Milliseconds of the fastest of several plans, warmed up: what else the machine does can only add. */
  readonly steadyMs: number;
  /** The same for tables that are empty: every route is to be written. */
  readonly emptyMs: number;
  readonly budgetMs: number;
  readonly withinBudget: boolean;
}

const leases = 5_000;
const tables = 4;
/** For the steady state; empty tables are seen once in a cluster's life. */
const budgetMs = 50;

/** Measures and prints one line. */
export function benchPlanner(): PlannerBench {
  const steady = fastest(() => planRoutes(input(true)).kept.length, leases * tables);
  const empty = fastest(() => planRoutes(input(false)).steps.length, leases * tables);
  const withinBudget = steady < budgetMs;
  const verdict = withinBudget ? 'ok' : 'OVER BUDGET';
  console.log(
    `planner: ${leases} leases x ${tables} tables: steady ${steady.toFixed(1)} ms (budget ${budgetMs} ms), ` +
      `all to write ${empty.toFixed(1)} ms: ${verdict}`,
  );
  return { name: 'planner', leases, tables, steadyMs: steady, emptyMs: empty, budgetMs, withinBudget };
}

function fastest(plan: () => number, expected: number): number {
  const times: number[] = [];
  for (let run = 0; run < 15; run++) {
    const started = performance.now();
    const count = plan();
    times.push(performance.now() - started);
    if (count !== expected) throw new Error(`the plan has ${count} routes, not ${expected}`);
  }
  return Math.min(...times);
}

const inputs = new Map<boolean, PlanInput>();

function input(written: boolean): PlanInput {
  const made = inputs.get(written) ?? makeInput(written);
  inputs.set(written, made);
  return made;
}

function makeInput(written: boolean): PlanInput {
  const desired = Array.from({ length: leases }, (_, index): DesiredRoute => {
    const nextHop = {
      nicId: `eni-${index}`,
      instanceId: `i-${index}`,
      subnetId: 'subnet-1',
      networkId: 'vpc-1',
      forwards: true,
    };
    return { destination: subnet(index), nextHop, holder: nextHop.instanceId };
  });
  const routes = desired.map(
    ({ destination, nextHop: { nicId, instanceId } }): RouteEntry => ({
      destination,
      destinationText: formatCidr(destination),
      target: { kind: 'nic', id: nicId, instanceId },
      state: 'active',
      origin: 'static',
    }),
  );
  const ids = Array.from({ length: tables }, (_, index) => `rtb-${index}`);
  return {
    networks: { 4: { network: { family: 4, address: 10n << 24n, length: 8 }, subnetLength: 24 } },
    scope: { kind: 'all' },
    tables: ids.map((id) => ({ id, networkId: 'vpc-1', routes: written ? routes.map((route) => ({ ...route })) : [] })),
    desired,
    records: ids.flatMap((tableId) =>
      desired.map(({ destination, nextHop, holder }) => ({
        ...{ tableId, destination, target: nextHop.nicId, holder },
        ...{ writtenAt: '2026-01-01T00:00:00.000Z', revision: '1' },
      })),
    ),
    leases: {
      kind: 'known',
      live: desired.map(({ destination }) => destination),
      store: { storeId: 'etcd-1', revision: '2' },
      remembered: { storeId: 'etcd-1', revision: '1' },
      absences: new Map(),
    },
    terminatedInstances: new Set(),
    policy: defaultDeletionPolicy,
    capabilities: { replacesInPlace: true },
    now: Date.UTC(2026, 0, 1),
  };
}

function subnet(index: number): Cidr {
  return { family: 4, address: (10n << 24n) + (BigInt(index) << 8n), length: 24 };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = benchPlanner().withinBudget ? 0 : 1;
}
