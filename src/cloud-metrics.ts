/** What is counted of the calls to a cloud, in an agent as in a controller. */
import { Counter, type Registry } from 'prom-client';
import type { OnCloudCall } from '../providers/call-meter.ts';

/** Makes the two counters and gives what feeds them. */
export function createCloudCallMetrics(registers: Registry[]): OnCloudCall {
  const calls = new Counter({
    name: 'flannel_vpc_cloud_calls_total',
    help: 'Calls to the cloud, each try by itself, by what was asked and how it ended (`ok`, `aborted`, or an error code).',
    labelNames: ['action', 'result'],
    registers,
  });
  const throttles = new Counter({
    name: 'flannel_vpc_cloud_throttles_total',
    help: 'Calls that the cloud refused because there were too many.',
    labelNames: ['action'],
    registers,
  });
  return ({ action, result, throttled }) => {
    calls.inc({ action, result });
    if (throttled) throttles.inc({ action });
  };
}
