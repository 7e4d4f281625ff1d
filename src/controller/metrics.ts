/** What is counted and measured of a controller, in Prometheus' terms. Loaded only when something asks for it. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { OnCloudCall } from '../../providers/call-meter.ts';
import { createCloudCallMetrics } from '../cloud-metrics.ts';
import type { MetricsText } from '../health/http.ts';
import { asked, processMetrics } from '../process-metrics.ts';
import type { ClusterReport } from '../report/cluster-report.ts';
import { version } from '../version.ts';
import { createReportMetrics } from './report-metrics.ts';

/** How a pass ended: all routes stand; some don't; nothing could be read or planned. */
export type PassResultLabel = 'in-sync' | 'not-in-sync' | 'failed';

export interface ControllerMetrics {
  readonly onCloudCall: OnCloudCall;
  /** Seconds from seeing a lease for the first time to its last route confirmed. */
  readonly leaseToRoute: Histogram;
  /** Seconds that a pass took, from looking to the last write confirmed. */
  readonly reconcileDuration: Histogram;
  passed(result: PassResultLabel): void;
  /** A route table was changed. */
  readonly routeWrites: Counter<'action'>;
  leadership(event: 'won' | 'lost'): void;
  /** Leases ended because their instance is terminated. */
  readonly reapedLeases: Counter;
  /** Takes over what the report says; what it says no more goes. */
  observeReport(report: ClusterReport): void;
  readonly registry: Registry;
  render(): Promise<MetricsText>;
}

export interface ControllerMetricsOptions {
  readonly isReady: () => boolean;
  readonly isLeader: () => boolean;
}

/** From a quarter of a second, which is a write and a read, to ten minutes, which is a queue behind a quota of calls. */
const leaseToRouteBuckets = [0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600];
const passBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** Makes a fresh set; nothing is global. */
export function createControllerMetrics({ isReady, isLeader }: ControllerMetricsOptions): ControllerMetrics {
  const registry = new Registry();
  const registers = [registry];
  asked(registers, 'flannel_vpc_controller_ready', '1 when /readyz says 200.', () => Number(isReady()));
  asked(registers, 'flannel_vpc_leader', '1 while this controller leads. The sum over all of them should be 1.', () =>
    Number(isLeader()),
  );
  new Gauge({ name: 'flannel_vpc_build_info', help: 'Always 1.', labelNames: ['version'], registers }).set(
    { version },
    1,
  );
  processMetrics(registers);
  const passes = new Counter({
    name: 'flannel_vpc_reconcile_passes_total',
    help: 'Passes over all leases and tables, by how they ended: `in-sync`, `not-in-sync` (something waits or was refused), `failed`.',
    labelNames: ['result'],
    registers,
  });
  const changes = new Counter({
    name: 'flannel_vpc_leadership_changes_total',
    help: 'How often this controller became the leader (`won`) and ceased to be (`lost`).',
    labelNames: ['event'],
    registers,
  });
  // From zero on, so that the first one shows as an increase.
  for (const result of ['in-sync', 'not-in-sync', 'failed']) passes.inc({ result }, 0);
  for (const event of ['won', 'lost']) changes.inc({ event }, 0);

  return {
    onCloudCall: createCloudCallMetrics(registers),
    leaseToRoute: new Histogram({
      name: 'flannel_vpc_lease_to_route_seconds',
      help: 'Time from seeing a lease for the first time to all its routes confirmed.',
      buckets: leaseToRouteBuckets,
      registers,
    }),
    reconcileDuration: new Histogram({
      name: 'flannel_vpc_reconcile_duration_seconds',
      help: 'Time that a pass took.',
      buckets: passBuckets,
      registers,
    }),
    passed: (result) => passes.inc({ result }),
    routeWrites: new Counter({
      name: 'flannel_vpc_route_writes_total',
      help: 'Route table changes made, by action.',
      labelNames: ['action'],
      registers,
    }),
    leadership: (event) => changes.inc({ event }),
    reapedLeases: new Counter({
      name: 'flannel_vpc_leases_reaped_total',
      help: 'Leases ended because the cloud says that their instance is terminated (--reap-terminated).',
      registers,
    }),
    observeReport: createReportMetrics(registers),
    registry,
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
