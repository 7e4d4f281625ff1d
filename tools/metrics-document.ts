/** docs/metrics.md, made from the metrics themselves. */
import type { Registry } from 'prom-client';
import * as z from 'zod';
import { createControllerMetrics } from '../src/controller/metrics.ts';
import { createAgentMetrics } from '../src/metrics.ts';

/** What prom-client knows of a metric and does not declare. */
const metricSchema = z.object({
  name: z.string(),
  help: z.string(),
  type: z.enum(['counter', 'gauge', 'histogram', 'summary']),
  labelNames: z.array(z.string()),
});

export type DescribedMetric = z.infer<typeof metricSchema>;

/** All metrics of a registry, by name. */
function describeMetrics(registry: Registry): readonly DescribedMetric[] {
  return registry
    .getMetricsAsArray()
    .map((metric) => metricSchema.parse(metric))
    .sort((a, b) => a.name.localeCompare(b.name, 'en'));
}

/** A controller's metrics. */
export const controllerMetrics = (): readonly DescribedMetric[] =>
  describeMetrics(createControllerMetrics({ isReady: () => false, isLeader: () => false }).registry);

/** An agent's metrics. */
export const agentMetrics = (): readonly DescribedMetric[] => describeMetrics(createAgentMetrics(() => false).registry);

function tableOf(metrics: readonly DescribedMetric[]): string {
  const rows = metrics.map(({ name, type, labelNames, help }) => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${labels} | ${help.replaceAll('|', '\\|')} |`;
  });
  return ['| metric | type | labels | says |', '|---|---|---|---|', ...rows].join('\n');
}

/** The whole document. */
export function metricsDocument(): string {
  return `# Metrics

<!-- Made from src/metrics.ts and src/controller/ by tools/docs.ts; change it there or in tools/metrics-document.ts. -->

For Prometheus, at \`/metrics\` of the port that \`--healthz-port\` names. Names and labels stay as they are; a new one may come with any
version. [\`deploy/grafana/flannel-vpc.json\`](../deploy/grafana/flannel-vpc.json) is a dashboard of them: import it and choose your data source.

## Of a controller

It listens on 127.0.0.1 unless \`--healthz-ip\` says otherwise; the status page is at \`/\`. Only the leader has numbers of leases, routes and
tables, so aggregate over controllers by \`max\` (gauges) and \`sum\` (counters).

${tableOf(controllerMetrics())}

## Of an agent

${tableOf(agentMetrics())}

## What to be woken for

| when | expression |
|---|---|
| nobody leads, or two do | \`sum(flannel_vpc_leader) != 1\` for 2 minutes |
| nobody has looked at the tables for long | \`time() - max(flannel_vpc_last_look_timestamp_seconds) > 900\` |
| passes fail | \`sum(increase(flannel_vpc_reconcile_passes_total{result="failed"}[15m])) > 3\` |
| nodes that pods can't be reached on | \`sum(flannel_vpc_leases{state=~"waiting\\|refused\\|unready"}) > 0\` for 10 minutes |
| a table is nearly full | \`max by (table, family) (flannel_vpc_table_routes_used) / max by (table, family) (flannel_vpc_table_routes_limit) > 0.8\` |
| the cloud throttles us | \`sum(rate(flannel_vpc_cloud_throttles_total[10m])) > 0.1\` |
| a node's routes are long in coming | \`histogram_quantile(0.99, sum by (le) (rate(flannel_vpc_lease_to_route_seconds_bucket[30m]))) > 60\` |
| an agent is not ready | \`flannel_vpc_ready == 0\` for 10 minutes |
`;
}
