/** Made-up reports as the commands show them: rows by their lease, ids as long as AWS's, and nothing in a cluster that is not asked for. */
import type { ClusterReport, NodeRow, RouteRow } from '../../../src/report/cluster-report.ts';
import * as made from '../../support/cluster-reports.ts';

const instanceId = 'i-0123456789abcdef0';
const nicId = 'eni-0123456789abcdef0';

export function nodeRow(lease: string, changed: Partial<NodeRow> = {}): NodeRow {
  return made.nodeRow(7, {
    ...{ lease, subnets: lease.split(','), publicIps: ['10.0.1.7'], instanceId, nicId, nodeName: undefined },
    ...changed,
  });
}

/** A route that stands. */
export function routeRow(destination: string, changed: Partial<RouteRow> = {}): RouteRow {
  return made.routeRow(destination, {
    ...{ tableId: 'rtb-0123456789abcdef0', target: `${nicId} (${instanceId})` },
    ...{ state: 'present', cloudState: 'active', reason: '' },
    ...changed,
  });
}

export function report(changed: Partial<ClusterReport> = {}): ClusterReport {
  return made.clusterReport({
    at: '2026-01-01T03:20:00.000Z',
    networks: ['10.244.0.0/16'],
    store: 'etcd http://127.0.0.1:2379, prefix /coreos.com/network',
    ...{ nodes: [], tables: [], routes: [], controller: undefined },
    ...changed,
  });
}
