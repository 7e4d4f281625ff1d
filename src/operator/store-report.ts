/** A report of what the store alone says: of backends without a cloud, and where the cloud can't be read. Pure. */
import type { Lease, LeaseKey } from '../../lease/lease.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import type { NodeReport } from '../../lease/node-reports.ts';
import type { FlannelVpcError } from '../core/errors.ts';
import { compareCidrs, families, formatCidr, formatIp } from '../core/ip.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { networksOf } from '../report/build-report.ts';
import type { ClusterReport, NodeRow } from '../report/cluster-report.ts';
import { movingOf } from '../report/moving.ts';
import { errorRow, nodeProblems } from '../report/problem-rows.ts';

export interface StoreReportInput {
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly version: string;
  readonly store: string;
  /** Undefined where there is no sound one. */
  readonly netConf: NetConf | undefined;
  readonly leases: readonly Lease[];
  readonly reports: ReadonlyMap<LeaseKey, NodeReport>;
  /** Why the rest is missing; undefined where there is no more to see. */
  readonly problem: FlannelVpcError | undefined;
}

/** The report, without tables and routes. */
export function storeReport(input: StoreReportInput): ClusterReport {
  const { netConf, problem } = input;
  const nodes = [...input.leases].sort(byAddress).map((lease) => nodeRow(lease, input));
  const problems = [...(problem ? [errorRow('error', problem)] : []), ...nodeProblems(nodes)];
  return {
    at: new Date(input.at).toISOString(),
    version: input.version,
    networks: netConf ? networksOf(netConf) : [],
    backendType: netConf?.backend.type ?? '',
    writer: netConf?.backend.writer ?? 'node',
    store: input.store,
    healthy: problems.every(({ severity }) => severity !== 'error'),
    problems,
    nodes,
    tables: [],
    routes: [],
    controller: undefined,
    moving: movingOf(input.leases, input.reports, netConf),
  };
}

function nodeRow(lease: Lease, { reports, problem }: StoreReportInput): NodeRow {
  const key = leaseKey(lease.subnets);
  const { node, publicIps, backendType } = lease.attributes;
  const report = reports.get(key);
  const unready = report?.ready === false;
  return {
    lease: key,
    subnets: subnetsOf(lease.subnets).map(formatCidr),
    publicIps: families.flatMap((family) => publicIps[family] ?? []).map(formatIp),
    ...{ instanceId: node?.instanceId, nicId: node?.nicId, zone: node?.zone, nodeName: node?.nodeName },
    ...{ backendType, reserved: lease.reserved },
    state: unready ? 'unready' : 'ok',
    reason: unready ? report.reason : problem ? 'its routes were not looked at' : '',
    ...{ routesWanted: 0, routesPresent: 0, report },
  };
}

function byAddress(a: Lease, b: Lease): number {
  const [left] = subnetsOf(a.subnets);
  const [right] = subnetsOf(b.subnets);
  return left && right ? compareCidrs(left, right) : 0;
}
