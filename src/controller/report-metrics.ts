/** The part of a controller's metrics that follows its report. Only the leader has numbers: others look at nothing. */
import { Gauge, type Registry } from 'prom-client';
import type { ClusterReport, NodeState, TableRow } from '../report/cluster-report.ts';

const nodeStates: readonly NodeState[] = ['ok', 'unready', 'waiting', 'refused', 'ended'];

const routeStates: Readonly<Record<string, (row: TableRow) => number>> = {
  present: ({ routesPresent }) => routesPresent,
  waiting: ({ routesWaiting }) => routesWaiting,
  foreign: ({ routesForeign }) => routesForeign,
  stale: ({ routesStale }) => routesStale,
};

/** Makes the gauges and gives what sets them. */
export function createReportMetrics(registers: Registry[]): (report: ClusterReport) => void {
  const leases = new Gauge({
    name: 'flannel_vpc_leases',
    help: 'Leases by state: `ok`, `unready` (its node says so), `waiting` (a route can’t be written yet), `refused`, `ended` (its machine is gone).',
    labelNames: ['state'],
    registers,
  });
  const wanted = new Gauge({
    name: 'flannel_vpc_routes_wanted',
    help: 'Routes that leases ask for in this table.',
    labelNames: ['table'],
    registers,
  });
  const routes = new Gauge({
    name: 'flannel_vpc_routes',
    help: 'Routes of this table inside the pod networks: `present` and `waiting` of those wanted, `foreign` (not ours), `stale` (ours, without a lease).',
    labelNames: ['table', 'state'],
    registers,
  });
  const used = new Gauge({
    name: 'flannel_vpc_table_routes_used',
    help: 'Routes that count against the table’s limit, ours or not.',
    labelNames: ['table', 'family'],
    registers,
  });
  const limit = new Gauge({
    name: 'flannel_vpc_table_routes_limit',
    help: 'Routes that the table can hold. `source` says who says so: `api`, `configured`, `refusal`, `default`.',
    labelNames: ['table', 'family', 'source'],
    registers,
  });
  const problems = new Gauge({
    name: 'flannel_vpc_problems',
    help: 'Problems on the status page, by severity.',
    labelNames: ['severity'],
    registers,
  });
  const looked = new Gauge({
    name: 'flannel_vpc_last_look_timestamp_seconds',
    help: 'When leases and tables were last looked at, seconds since 1970; 0 where this controller does not lead.',
    registers,
  });

  return (report) => {
    for (const gauge of [leases, wanted, routes, used, limit, problems]) gauge.reset();
    looked.set(0);
    for (const severity of ['error', 'warning']) {
      problems.set({ severity }, report.problems.filter((each) => each.severity === severity).length);
    }
    if (report.controller?.role !== 'leader') return;
    looked.set(Date.parse(report.at) / 1_000);
    for (const state of nodeStates) leases.set({ state }, 0);
    for (const { state } of report.nodes) leases.inc({ state });
    for (const row of report.tables) {
      wanted.set({ table: row.id }, row.routesWanted);
      for (const [state, count] of Object.entries(routeStates)) routes.set({ table: row.id, state }, count(row));
      for (const { family, used: use, limit: most, limitSource } of row.use) {
        const labels = { table: row.id, family: family === 'both' ? family : `ipv${family}` };
        used.set(labels, use);
        limit.set({ ...labels, source: limitSource }, most);
      }
    }
  };
}
