/** What an operator watches, in Prometheus' terms. Loaded only when something asks for it. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { OnCloudCall } from '../providers/call-meter.ts';
import { createCloudCallMetrics } from './cloud-metrics.ts';
import type { MetricsText } from './health/http.ts';
import { asked, processMetrics } from './process-metrics.ts';

export interface AgentMetrics {
  readonly leaseExpiry: Gauge;
  readonly routePasses: Counter<'state'>;
  readonly routeWrites: Counter<'action'>;
  readonly lastRoutePass: Gauge;
  readonly hostChanges: Counter;
  readonly probeReachable: Gauge;
  readonly probeRounds: Counter<'result'>;
  readonly probeRoundTrip: Gauge;
  readonly onCloudCall: OnCloudCall;
  readonly registry: Registry;
  render(): Promise<MetricsText>;
}

/** Makes a fresh set; nothing is global, so that several agents in one process don't share counts. */
export function createAgentMetrics(isReady: () => boolean): AgentMetrics {
  const registry = new Registry();
  const registers = [registry];
  asked(registers, 'flannel_vpc_ready', '1 when /readyz says 200.', () => Number(isReady()));
  processMetrics(registers);
  return {
    leaseExpiry: new Gauge({
      name: 'flannel_vpc_lease_expiry_timestamp_seconds',
      help: 'When the lease ends unless renewed, seconds since 1970; 0 for a reservation.',
      registers,
    }),
    routePasses: new Counter({
      name: 'flannel_vpc_route_passes_total',
      help: 'Route checks, by how they ended.',
      labelNames: ['state'],
      registers,
    }),
    routeWrites: new Counter({
      name: 'flannel_vpc_route_writes_total',
      help: 'Route table changes made, by action.',
      labelNames: ['action'],
      registers,
    }),
    lastRoutePass: new Gauge({
      name: 'flannel_vpc_last_route_pass_timestamp_seconds',
      help: 'When the route was last seen in place, seconds since 1970.',
      registers,
    }),
    hostChanges: new Counter({
      name: 'flannel_vpc_host_changes_total',
      help: 'Changes made to rules, bridge, sysctls and routes of this host.',
      registers,
    }),
    probeReachable: new Gauge({
      name: 'flannel_vpc_probe_reachable',
      help: '1 when a peer behind each route table answers our probe and sees our address, or there is no peer.',
      registers,
    }),
    probeRounds: new Counter({
      name: 'flannel_vpc_probe_rounds_total',
      help: 'Rounds of probes, by whether at least one peer answered and saw our address.',
      labelNames: ['result'],
      registers,
    }),
    probeRoundTrip: new Gauge({
      name: 'flannel_vpc_probe_round_trip_seconds',
      help: 'Time of the last answered probe, there and back.',
      registers,
    }),
    onCloudCall: createCloudCallMetrics(registers),
    registry,
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
