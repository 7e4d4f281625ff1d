/**
 * The last look before a step is carried out: the invariants again, from what the executor itself knows, so that a fault in
 * planning can't reach the cloud. Pure.
 */
import { cidrsOverlap, formatCidr } from '../core/ip.ts';
import { cidrKey, insideNetworks, isSubnetOf } from './networks.ts';
import { isMachine, leadsTo } from './plan-writes.ts';
import type { PlanInput, RouteStep } from './route-plan.ts';

/** Routes this process wrote lately: `table cidr`, with the monotonic time of the write, milliseconds. */
export type RecentWrites = ReadonlyMap<string, number>;

/** How long a route we wrote can't be deleted by us, milliseconds: longer than reads lag behind writes. */
export const recentMs = 60_000;

/** The key of a route in `RecentWrites`. */
export function writeKey(tableId: string, destination: RouteStep['destination']): string {
  return `${tableId} ${cidrKey(destination)}`;
}

/** Why the step must not be carried out, or undefined. */
export function objectionTo(
  step: RouteStep,
  input: Pick<PlanInput, 'networks' | 'desired' | 'leases'>,
  recent: RecentWrites,
  monotonic: number,
): string | undefined {
  const name = formatCidr(step.destination);
  if (!insideNetworks(input.networks, step.destination)) return `${name} lies outside the configured networks`;
  if ('expected' in step && !isMachine(step.expected))
    return `${name} leads to a ${step.expected.kind}, which is never touched`;
  if (step.action === 'delete' || step.action === 'forget') return objectionToRemoval(step, input, recent, monotonic);
  if (!isSubnetOf(input.networks, step.destination)) return `${name} is no subnet of the configured networks`;
  if (step.action === 'withdraw' && leadsTo(step.expected, step.nextHop)) return `${name} leads to its lease`;
  const wanted = input.desired.some(
    (route) => cidrKey(route.destination) === cidrKey(step.destination) && route.nextHop.nicId === step.nextHop.nicId,
  );
  return wanted ? undefined : `no lease asks for ${name} by ${step.nextHop.nicId}`;
}

function objectionToRemoval(
  step: Extract<RouteStep, { readonly action: 'delete' | 'forget' }>,
  input: Pick<PlanInput, 'desired' | 'leases'>,
  recent: RecentWrites,
  monotonic: number,
): string | undefined {
  const name = formatCidr(step.destination);
  if (step.record.tableId !== step.tableId || cidrKey(step.record.destination) !== cidrKey(step.destination)) {
    return `the record is not that of ${name} in ${step.tableId}`;
  }
  if (input.leases.kind === 'unknown') return `the leases are not known: ${input.leases.reason}`;
  const live = [...input.leases.live, ...input.desired.map((route) => route.destination)];
  if (live.some((subnet) => cidrsOverlap(subnet, step.destination))) return `a lease holds ${name}`;
  const wroteAt = recent.get(writeKey(step.tableId, step.destination));
  return wroteAt !== undefined && monotonic - wroteAt < recentMs
    ? `${name} was written by this process just now`
    : undefined;
}
