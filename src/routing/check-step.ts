/**
 * The last look before a step is carried out: the invariants again, from what the executor itself knows, so that a fault in
 * planning can't reach the cloud. Pure.
 */
import { formatCidr } from '../core/ip.ts';
import { createCidrSet } from './cidr-set.ts';
import { cidrKey, insideNetworks, isSubnetOf } from './networks.ts';
import { isMachine, leadsTo } from './plan-writes.ts';
import type { PlanInput, RemovalStep, RouteStep } from './route-plan.ts';

/** Routes this process wrote lately: `table cidr`, with the monotonic time of the write, milliseconds. */
export type RecentWrites = ReadonlyMap<string, number>;

/** Says why the step must not be carried out, or undefined. */
export type StepCheck = (step: RouteStep, recent: RecentWrites, monotonic: number) => string | undefined;

/** How long a route we wrote can't be deleted by us, milliseconds: longer than reads lag behind writes. */
export const recentMs = 60_000;

/** The key of a route in `RecentWrites`. */
export function writeKey(tableId: string, destination: RouteStep['destination']): string {
  return `${tableId} ${cidrKey(destination)}`;
}

/** Takes out writes that reads no longer lag behind. */
export function forgetOldWrites(recent: Map<string, number>, monotonic: number): void {
  for (const [key, at] of recent) if (monotonic - at >= recentMs) recent.delete(key);
}

/** Prepares the check of a plan's steps, so that each takes logarithmic time. */
export function createStepCheck(input: Pick<PlanInput, 'networks' | 'desired' | 'leases'>): StepCheck {
  const { networks, desired, leases } = input;
  const wanted = new Set(desired.map(({ destination, nextHop }) => `${cidrKey(destination)} ${nextHop.nicId}`));
  const leased = createCidrSet([
    ...(leases.kind === 'known' ? leases.live : []),
    ...desired.map(({ destination }) => destination),
  ]);

  function objectionToRemoval(step: RemovalStep, recent: RecentWrites, monotonic: number): string | undefined {
    const name = formatCidr(step.destination);
    if (step.record.tableId !== step.tableId || cidrKey(step.record.destination) !== cidrKey(step.destination)) {
      return `the record is not that of ${name} in ${step.tableId}`;
    }
    if (leases.kind === 'unknown') return `the leases are not known: ${leases.reason}`;
    if (leased.overlaps(step.destination)) return `a lease holds ${name}`;
    const wroteAt = recent.get(writeKey(step.tableId, step.destination));
    return wroteAt !== undefined && monotonic - wroteAt < recentMs
      ? `${name} was written by this process just now`
      : undefined;
  }

  return (step, recent, monotonic) => {
    const name = formatCidr(step.destination);
    if (!insideNetworks(networks, step.destination)) return `${name} lies outside the configured networks`;
    if ('expected' in step && !isMachine(step.expected))
      return `${name} leads to a ${step.expected.kind}, which is never touched`;
    if (step.action === 'delete' || step.action === 'forget') return objectionToRemoval(step, recent, monotonic);
    if (!isSubnetOf(networks, step.destination)) return `${name} is no subnet of the configured networks`;
    if (step.action === 'withdraw' && leadsTo(step.expected, step.nextHop)) return `${name} leads to its lease`;
    const { nicId } = step.nextHop;
    return wanted.has(`${cidrKey(step.destination)} ${nicId}`) ? undefined : `no lease asks for ${name} by ${nicId}`;
  };
}
