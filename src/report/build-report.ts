/** Makes a report of a look. Pure. */
import type { Lease } from '../../lease/lease.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import type { NodeReport } from '../../lease/node-reports.ts';
import { notForwarding } from '../../providers/forwarding.ts';
import type { RouteTable } from '../../providers/provider.ts';
import type { Look } from '../controller/observer.ts';
import type { FlannelVpcError } from '../core/errors.ts';
import { type Cidr, compareCidrs, families, formatCidr, formatIp } from '../core/ip.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import type { DesiredRoute } from '../routing/desired.ts';
import { cidrKey } from '../routing/networks.ts';
import { targetName } from '../routing/plan-writes.ts';
import type { RouteStep } from '../routing/route-plan.ts';
import { compareText } from '../routing/table-index.ts';
import type { ClusterReport, ControllerRow, NodeRow, NodeState, RouteRow, TableRow } from './cluster-report.ts';
import { movingOf } from './moving.ts';
import { problemRows } from './problem-rows.ts';

export interface ReportInput {
  readonly look: Look;
  readonly netConf: NetConf;
  readonly version: string;
  /** The store's description. */
  readonly store: string;
  /** What went wrong when the plan was carried out. */
  readonly failures?: readonly FlannelVpcError[];
  readonly controller?: ControllerRow | undefined;
}

/** The report of one look. Input order makes no difference. */
export function buildReport({ look, netConf, version, store, failures = [], controller }: ReportInput): ClusterReport {
  const routes = routeRows(look);
  const nodes = nodeRows(look, routes);
  const tables = tableRows(look, routes);
  const problems = problemRows({ look, nodes, tables, failures });
  return {
    at: new Date(look.at).toISOString(),
    version,
    networks: networksOf(netConf),
    backendType: netConf.backend.type,
    writer: netConf.backend.writer,
    store,
    healthy: problems.every(({ severity }) => severity !== 'error'),
    problems,
    nodes,
    tables,
    routes,
    controller,
    moving: movingOf(look.leases, look.reports, netConf),
  };
}

/** Pod networks as text. */
export function networksOf(netConf: Pick<NetConf, 'ranges'>): readonly string[] {
  return families.flatMap((family) => {
    const range = netConf.ranges[family];
    return range ? formatCidr(range.network) : [];
  });
}

interface SortableRoute {
  readonly cidr: Cidr;
  readonly row: RouteRow;
}

function routeRows({ plan, input }: Look): readonly RouteRow[] {
  const rows: SortableRoute[] = [];
  const leases = new Map(input.desired.map((route) => [cidrKey(route.destination), route]));
  const cloudState = cloudStates(input.tables);
  const add = (tableId: string, cidr: Cidr, state: RouteRow['state'], target: string, reason: string): void => {
    const destination = formatCidr(cidr);
    const lease = leases.get(cidrKey(cidr))?.lease;
    const stands = state === 'missing' ? undefined : cloudState.get(`${tableId} ${cidrKey(cidr)}`);
    rows.push({ cidr, row: { tableId, destination, state, target, cloudState: stands, lease, reason } });
  };
  for (const { tableId, route } of plan.kept) add(tableId, route.destination, 'present', hopName(route), '');
  const seen = new Set<string>();
  for (const step of plan.steps) {
    const key = `${step.tableId} ${cidrKey(step.destination)}`;
    if (step.action === 'forget' || seen.has(key)) continue;
    seen.add(key);
    add(step.tableId, step.destination, stepState(step), stepTarget(step), step.reason);
  }
  for (const { tableId, destination, action, reason } of plan.held) {
    const wanted = leases.get(cidrKey(destination));
    add(tableId, destination, action === 'write' ? 'held' : 'stale', wanted ? hopName(wanted) : '', reason);
  }
  for (const { tableId, destination, target, reason } of plan.conflicts)
    add(tableId, destination, 'conflict', targetName(target), reason);
  for (const { tableId, destination, target, reason } of plan.foreign)
    add(tableId, destination, 'foreign', targetName(target), reason);
  return rows
    .sort((a, b) => compareCidrs(a.cidr, b.cidr) || compareText(a.row.tableId, b.row.tableId))
    .map(({ row }) => row);
}

function cloudStates(tables: readonly RouteTable[]): ReadonlyMap<string, string> {
  const states = new Map<string, string>();
  for (const { id, routes } of tables) {
    for (const { destination, state, origin } of routes) {
      const key = destination && `${id} ${cidrKey(destination)}`;
      // A static route wins over a propagated one beside it.
      if (key !== undefined && (origin === 'static' || !states.has(key))) states.set(key, state);
    }
  }
  return states;
}

function stepState(step: RouteStep): RouteRow['state'] {
  if (step.action === 'delete') return 'stale';
  return step.action === 'create' ? 'missing' : 'misdirected';
}

function stepTarget(step: RouteStep): string {
  if ('expected' in step) return targetName(step.expected);
  return 'nextHop' in step
    ? targetName({ kind: 'nic', id: step.nextHop.nicId, instanceId: step.nextHop.instanceId })
    : '';
}

function hopName({ nextHop }: DesiredRoute): string {
  return targetName({ kind: 'nic', id: nextHop.nicId, instanceId: nextHop.instanceId });
}

function nodeRows(look: Look, routes: readonly RouteRow[]): readonly NodeRow[] {
  const { input, rejected, ended, others, leases, reports } = look;
  const desired = Map.groupBy(input.desired, ({ lease }) => lease ?? '');
  const rows = Map.groupBy(routes, ({ lease }) => lease ?? '');
  const refusals = Map.groupBy(rejected, ({ lease }) => lease);
  const over = new Set(ended);
  const elsewhere = new Set(others);
  const closed = new Set(look.prepares.map(({ nicId }) => nicId));
  return [...leases]
    .sort((a, b) => compareFirst(a, b))
    .map((lease): NodeRow => {
      const key = leaseKey(lease.subnets);
      const wanted = desired.get(key) ?? [];
      const waiting = (rows.get(key) ?? []).filter(({ state }) => state !== 'present');
      const report = reports.get(key);
      const refusal = refusals.get(key)?.[0]?.reason;
      const backend = `its backend is ${lease.attributes.backendType}, which gets no routes here`;
      const [state, reason] = stateOf({
        ended: over.has(lease),
        refusal: elsewhere.has(lease) ? backend : refusal,
        waiting: waiting[0]
          ? `${waiting[0].tableId}: ${waiting[0].reason}`
          : wanted[0] && closed.has(wanted[0].nextHop.nicId)
            ? notForwarding(look.forwarding, wanted[0].nextHop.nicId)
            : undefined,
        report,
      });
      const { node, publicIps, backendType } = lease.attributes;
      const hop = wanted[0]?.nextHop;
      return {
        lease: key,
        subnets: subnetsOf(lease.subnets).map(formatCidr),
        publicIps: families.flatMap((family) => {
          const address = publicIps[family];
          return address ? formatIp(address) : [];
        }),
        instanceId: hop?.instanceId ?? node?.instanceId,
        nicId: hop?.nicId ?? node?.nicId,
        zone: node?.zone,
        nodeName: node?.nodeName,
        backendType,
        reserved: lease.reserved,
        state,
        reason,
        routesWanted: wanted.length * input.tables.length,
        routesPresent: (rows.get(key) ?? []).filter(({ state: route }) => route === 'present').length,
        report,
      };
    });
}

function stateOf(facts: {
  readonly ended: boolean;
  readonly refusal: string | undefined;
  readonly waiting: string | undefined;
  readonly report: NodeReport | undefined;
}): readonly [NodeState, string] {
  if (facts.ended) return ['ended', 'its machine is terminated'];
  if (facts.refusal !== undefined) return ['refused', facts.refusal];
  if (facts.waiting !== undefined) return ['waiting', facts.waiting];
  if (facts.report?.ready === false) return ['unready', facts.report.reason];
  return ['ok', ''];
}

function compareFirst(a: Lease, b: Lease): number {
  const [left] = subnetsOf(a.subnets);
  const [right] = subnetsOf(b.subnets);
  return left && right ? compareCidrs(left, right) : 0;
}

function tableRows({ input, plan, limits }: Look, routes: readonly RouteRow[]): readonly TableRow[] {
  const wanted = new Set(input.desired.map(({ destination }) => cidrKey(destination))).size;
  const byTable = Map.groupBy(routes, ({ tableId }) => tableId);
  return [...input.tables]
    .sort((a, b) => compareText(a.id, b.id))
    .map(({ id, networkId }) => {
      const rows = byTable.get(id) ?? [];
      const count = (...states: readonly RouteRow['state'][]): number =>
        rows.filter(({ state }) => states.includes(state)).length;
      const known = limits.get(id);
      const use = plan.use.flatMap(({ tableId, family, used }) =>
        tableId === id && known && (family !== 6 || used > 0)
          ? { family, used, limit: known.limit, limitSource: known.source }
          : [],
      );
      return {
        id,
        networkId,
        use,
        routesWanted: wanted,
        routesPresent: count('present'),
        routesWaiting: count('missing', 'misdirected', 'held', 'conflict'),
        routesForeign: count('foreign', 'conflict'),
        routesStale: count('stale'),
      };
    });
}
