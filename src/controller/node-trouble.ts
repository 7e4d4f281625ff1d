/** Which nodes have routes that can't be written, and why, as their store's users are told it. Pure. */
import type { LeaseKey } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { NodeNotice } from '../../lease/node-notices.ts';
import { notForwarding } from '../../providers/forwarding.ts';
import type { ErrorCode, FlannelVpcError } from '../core/errors.ts';
import { formatCidr } from '../core/ip.ts';
import type { ClusterReport, NodeRow } from '../report/cluster-report.ts';
import type { Look } from './observer.ts';

/** What the cloud says no to until somebody acts. The rest passes by itself, and is no news of a node. */
const reasons: Partial<Readonly<Record<ErrorCode, string>>> = {
  PERMISSION_DENIED: 'PermissionDenied',
  QUOTA_EXCEEDED: 'QuotaExceeded',
  ROUTE_NOT_OWNED: 'RouteConflict',
  INVALID: 'RefusedByCloud',
  NOT_FOUND: 'RefusedByCloud',
};

interface Trouble {
  readonly reason: string;
  readonly message: string;
}

export interface TroubleInput {
  /** What stands after the pass. */
  readonly look: Look;
  readonly report: Pick<ClusterReport, 'nodes' | 'routes'>;
  /** What went wrong in the pass. */
  readonly failures: readonly FlannelVpcError[];
}

/** In the order of the report's nodes. Nodes whose machine is gone, and those of other backends, are nobody's trouble. */
export function nodeTrouble({ look, report, failures }: TroubleInput): readonly NodeNotice[] {
  const elsewhere = new Set(look.others.map(({ subnets }) => leaseKey(subnets)));
  const rejected = new Map(
    look.rejected.map(({ lease, reason }) => [lease, { reason: 'LeaseRefused', message: reason }]),
  );
  const byRoute = routeTrouble(look, report, failures);
  const denied = failures.find(({ code }) => reasons[code] !== undefined);
  return report.nodes.flatMap((node): NodeNotice[] => {
    const { nodeName, lease, state } = node;
    if (nodeName === undefined || state === 'ended' || elsewhere.has(lease)) return [];
    const trouble = rejected.get(lease) ?? byRoute.get(lease) ?? checkTrouble(look, node, denied);
    return trouble ? [{ nodeName, ...trouble }] : [];
  });
}

/** The first trouble of each lease's routes. */
function routeTrouble(
  { plan }: Look,
  { routes }: TroubleInput['report'],
  failures: readonly FlannelVpcError[],
): ReadonlyMap<LeaseKey, Trouble> {
  const quota = new Map(
    plan.held.flatMap(({ code, tableId, destination, reason }) =>
      code === 'quota' ? [[`${tableId} ${formatCidr(destination)}`, reason]] : [],
    ),
  );
  const found = new Map<LeaseKey, Trouble>();
  for (const { lease, tableId, destination, state, reason } of routes) {
    if (lease === undefined || found.has(lease)) continue;
    const full = quota.get(`${tableId} ${destination}`);
    if (full !== undefined) found.set(lease, { reason: 'QuotaExceeded', message: `table ${tableId}: ${full}` });
    else if (state === 'conflict')
      found.set(lease, { reason: 'RouteConflict', message: `table ${tableId}: ${reason}` });
    else if (state === 'missing' || state === 'misdirected') {
      const trouble = refusal(tableId, destination, failures);
      if (trouble) found.set(lease, trouble);
    }
  }
  return found;
}

/** Failures are told once for each table: one that names another node's route stands for this one too. */
function refusal(tableId: string, destination: string, failures: readonly FlannelVpcError[]): Trouble | undefined {
  const lasting = failures.filter(({ code }) => reasons[code] !== undefined);
  const own = lasting.find(({ message }) => message.includes(destination));
  const error =
    own ?? lasting.find(({ message, details }) => details['tableId'] === tableId || message.includes(tableId));
  const reason = error && reasons[error.code];
  if (!error || reason === undefined) return undefined;
  return {
    reason,
    message: own?.message ?? `table ${tableId}: the route ${destination} is not written: ${error.code}`,
  };
}

function checkTrouble(
  { prepares, forwarding }: Look,
  { nicId }: NodeRow,
  denied: FlannelVpcError | undefined,
): Trouble | undefined {
  if (nicId === undefined || !prepares.some((nextHop) => nextHop.nicId === nicId)) return undefined;
  const problem = notForwarding(forwarding, nicId);
  // The word of the Kubernetes event stays what it was for AWS, whose check it is.
  const reason = forwarding.wanted === 'off' ? 'SourceDestCheckOn' : 'ForwardingOff';
  if (!forwarding.settable) return { reason, message: `${problem}, and only a person can change that` };
  return denied && { reason, message: `${problem}: ${denied.message}` };
}
