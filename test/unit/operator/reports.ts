/** Hand-made reports to show. */
import type { ClusterReport, NodeRow, RouteRow } from '../../../src/report/cluster-report.ts';

export function nodeRow(lease: string, more: Partial<NodeRow> = {}): NodeRow {
  return {
    lease,
    subnets: lease.split(','),
    publicIps: ['10.0.1.7'],
    instanceId: 'i-0123456789abcdef0',
    nicId: 'eni-0123456789abcdef0',
    zone: 'eu-west-1a',
    nodeName: undefined,
    backendType: '',
    reserved: false,
    state: 'ok',
    reason: '',
    routesWanted: 2,
    routesPresent: 2,
    report: { ready: true, reason: '', since: '2026-01-01T00:00:00.000Z' },
    ...more,
  };
}

export function routeRow(destination: string, more: Partial<RouteRow> = {}): RouteRow {
  return {
    tableId: 'rtb-0123456789abcdef0',
    destination,
    state: 'present',
    target: 'eni-0123456789abcdef0 (i-0123456789abcdef0)',
    cloudState: 'active',
    lease: destination,
    reason: '',
    ...more,
  };
}

export function report(more: Partial<ClusterReport> = {}): ClusterReport {
  return {
    at: '2026-01-01T03:20:00.000Z',
    version: '0.1.0',
    networks: ['10.244.0.0/16'],
    backendType: 'aws-vpc',
    writer: 'controller',
    store: 'etcd http://127.0.0.1:2379, prefix /coreos.com/network',
    healthy: true,
    problems: [],
    nodes: [],
    tables: [],
    routes: [],
    controller: undefined,
    ...more,
  };
}
