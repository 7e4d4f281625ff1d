/** Reports of made-up clusters, for what shows them. */
import type { ClusterReport, ControllerRow, NodeRow, RouteRow, TableRow } from '../../src/report/cluster-report.ts';

const at = '2026-11-01T12:03:04.000Z';

/** A node whose routes stand and that says it is reachable. */
export function nodeRow(index: number, changed: Partial<NodeRow> = {}): NodeRow {
  const lease = `10.${244 + (index >> 8)}.${index & 255}.0/24`;
  const id = index.toString(16).padStart(17, '0');
  return {
    lease,
    subnets: [lease],
    publicIps: [`172.31.${index >> 8}.${index & 255}`],
    instanceId: `i-${id}`,
    nicId: `eni-${id}`,
    zone: `eu-west-1${'abc'[index % 3]}`,
    nodeName: `worker-${index}`,
    backendType: '',
    reserved: false,
    state: 'ok',
    reason: '',
    routesWanted: 2,
    routesPresent: 2,
    report: { ready: true, reason: '', since: '2026-11-01T08:00:00.000Z' },
    ...changed,
  };
}

/** An IPv4 table with room. */
export function tableRow(id: string, changed: Partial<TableRow> = {}): TableRow {
  return {
    id,
    networkId: 'vpc-0a1b2c3d4e5f60718',
    use: [{ family: 4, used: 48, limit: 500, limitSource: 'default' }],
    routesWanted: 40,
    routesPresent: 40,
    routesWaiting: 0,
    routesForeign: 0,
    routesStale: 0,
    ...changed,
  };
}

/** A route that a lease wants and that is not there yet. */
export function routeRow(destination: string, changed: Partial<RouteRow> = {}): RouteRow {
  return {
    tableId: 'rtb-0aaa',
    destination,
    state: 'missing',
    target: 'eni-0001 (i-0001)',
    cloudState: undefined,
    lease: destination,
    reason: 'to be created',
    ...changed,
  };
}

/** A controller that leads. */
export function controllerRow(changed: Partial<ControllerRow> = {}): ControllerRow {
  return {
    holder: 'ctl-1/4711/k3x9',
    role: 'leader',
    leader: { holder: 'ctl-1/4711/k3x9', since: '2026-11-01T07:59:58.000Z' },
    dryRun: false,
    passes: 128,
    lastPassMs: 412.4,
    nextResync: '2026-11-01T12:08:01.000Z',
    changes: [],
    ...changed,
  };
}

/** A healthy cluster of two nodes and two tables. */
export function clusterReport(changed: Partial<ClusterReport> = {}): ClusterReport {
  return {
    at,
    version: '0.0.0-test',
    networks: ['10.244.0.0/14'],
    backendType: 'aws-vpc',
    writer: 'controller',
    store: 'etcd at https://10.0.0.10:2379, below /coreos.com/network',
    healthy: true,
    problems: [],
    nodes: [nodeRow(1), nodeRow(2)],
    tables: [tableRow('rtb-0aaa'), tableRow('rtb-0bbb')],
    routes: [],
    controller: controllerRow(),
    ...changed,
  };
}

/** A cluster in which something of every kind is wrong. */
export function troubledReport(changed: Partial<ClusterReport> = {}): ClusterReport {
  return clusterReport({
    healthy: false,
    problems: [
      {
        severity: 'warning',
        code: 'foreign',
        text: 'table rtb-0aaa: 10.244.200.0/24 leads to pcx-0123 and is not ours',
      },
      {
        severity: 'error',
        code: 'QUOTA_EXCEEDED',
        text: 'table rtb-0bbb: 50 of 50 routes are used; 1 waiting, 10.244.4.0/24 the first',
        hint: 'Ask for a higher quota, remove routes that are not needed, or use larger subnets on fewer nodes.',
      },
    ],
    nodes: [
      nodeRow(1),
      nodeRow(2, {
        reserved: true,
        subnets: ['10.244.2.0/24', 'fd00:244:0:2::/64'],
        lease: '10.244.2.0/24,fd00:244:0:2::/64',
      }),
      nodeRow(3, {
        state: 'unready',
        reason: 'its agent says that it is not ready',
        report: { ready: false, reason: 'no peer answered the probe', since: '2026-11-01T12:00:11.000Z' },
      }),
      nodeRow(4, { state: 'waiting', reason: 'table rtb-0bbb is full', routesPresent: 1, report: undefined }),
      nodeRow(5, {
        state: 'refused',
        reason: 'i-0005 does not own 172.31.0.5',
        nodeName: undefined,
        zone: undefined,
        routesPresent: 0,
        report: undefined,
        backendType: 'vxlan',
      }),
      nodeRow(6, { state: 'ended', reason: 'its instance is terminated', report: undefined }),
    ],
    tables: [
      tableRow('rtb-0aaa', {
        use: [
          { family: 4, used: 412, limit: 500, limitSource: 'configured' },
          { family: 6, used: 12, limit: 500, limitSource: 'default' },
        ],
        routesForeign: 1,
      }),
      tableRow('rtb-0bbb', {
        use: [{ family: 4, used: 50, limit: 50, limitSource: 'refusal' }],
        routesPresent: 38,
        routesWaiting: 1,
        routesStale: 1,
      }),
    ],
    routes: [
      routeRow('10.244.1.0/24', { state: 'present', cloudState: 'active', reason: '' }),
      routeRow('10.244.200.0/24', {
        state: 'foreign',
        target: 'pcx-0123',
        cloudState: 'active',
        lease: undefined,
        reason: 'not ours',
      }),
      routeRow('10.244.4.0/24', { tableId: 'rtb-0bbb', state: 'held', reason: '50 of 50 routes are used' }),
      routeRow('10.244.6.0/24', {
        tableId: 'rtb-0bbb',
        state: 'stale',
        target: 'eni-0006 (i-0006)',
        cloudState: 'blackhole',
        lease: undefined,
        reason: 'its lease has ended',
      }),
      routeRow('10.244.5.0/24', {
        state: 'conflict',
        target: 'igw-01',
        cloudState: 'active',
        reason: 'a gateway’s route stands there',
      }),
    ],
    controller: controllerRow({
      changes: [
        {
          at: '2026-11-01T12:03:03.000Z',
          action: 'create',
          tableId: 'rtb-0aaa',
          destination: '10.244.4.0/24',
          reason: 'a new lease of i-0004',
        },
        {
          at: '2026-11-01T11:40:00.000Z',
          action: 'replace',
          tableId: 'rtb-0bbb',
          destination: '10.244.3.0/24',
          reason: 'leads to eni-0002 (i-0002), wanted eni-0003 (i-0003)',
        },
      ],
    }),
    ...changed,
  });
}
