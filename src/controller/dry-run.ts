/** What a dry run says instead of doing it. Pure. */
import { leaseKey } from '../../lease/lease-key.ts';
import { formatCidr } from '../core/ip.ts';
import type { LogFields } from '../core/log.ts';
import type { Look } from './observer.ts';

/** Lines for the log and their fields. */
export function dryRunLines(
  { plan, prepares, forwarding, ended }: Pick<Look, 'plan' | 'prepares' | 'forwarding' | 'ended'>,
  { reapTerminated }: { readonly reapTerminated: boolean },
): ReadonlyMap<string, LogFields> {
  const reaped = reapTerminated ? ended.filter(({ reserved }) => !reserved) : [];
  return new Map<string, LogFields>([
    ...(forwarding.settable ? prepares : []).map(
      ({ nicId, instanceId }) =>
        [
          `dry run: would switch ${forwarding.wanted} the ${forwarding.name} of ${nicId}`,
          { instance: instanceId },
        ] as const,
    ),
    ...plan.steps.map((step) => {
      const what = step.action === 'forget' ? 'the record of' : 'the route';
      const nextHop = 'nextHop' in step ? { nextHop: step.nextHop.nicId } : {};
      return [
        `dry run: would ${step.action} ${what} ${formatCidr(step.destination)} in ${step.tableId}`,
        { ...nextHop, reason: step.reason },
      ] as const;
    }),
    ...reaped.map(
      ({ subnets, attributes }) =>
        [`dry run: would end the lease ${leaseKey(subnets)}`, { instance: attributes.node?.instanceId }] as const,
    ),
  ]);
}
