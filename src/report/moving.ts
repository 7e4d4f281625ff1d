/** How far a cluster is on its way from an overlay to a cloud's routes. Pure. */
import type { Lease, LeaseKey } from '../../lease/lease.ts';
import { leaseKey } from '../../lease/lease-key.ts';
import type { NodeReport } from '../../lease/node-reports.ts';
import { needsOverlay } from '../crossing/words.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { compareText } from '../routing/table-index.ts';
import type { MovingRow } from './cluster-report.ts';

/** Undefined for a cluster that does not move. Pins that no machine holds yet do not count. */
export function movingOf(
  leases: readonly Lease[],
  reports: ReadonlyMap<LeaseKey, NodeReport>,
  netConf: NetConf | undefined,
): MovingRow | undefined {
  const onTheWay = leases.filter(({ attributes }) => attributes.node?.movedTo !== undefined);
  const [first] = onTheWay;
  const from = netConf?.backend.movesFrom?.type ?? first?.attributes.backendType;
  const to = netConf?.backend.movesFrom ? netConf.backend.type : first?.attributes.node?.movedTo;
  if (from === undefined || to === undefined) return undefined;
  const held = leases.filter(({ attributes: { publicIps } }) => publicIps[4] ?? publicIps[6]);
  const behind = held.filter(
    ({ attributes }) => attributes.backendType === from && attributes.node?.movedTo === undefined,
  );
  const open = onTheWay.flatMap((lease) => {
    const key = leaseKey(lease.subnets);
    const report = reports.get(key);
    if (!report) return [`${key} has reported nothing yet`];
    return needsOverlay(report.reason) ? [`${key}: ${report.reason}`] : [];
  });
  return { from, to, nodes: held.length, moved: held.length - behind.length, open: open.sort(compareText) };
}

/** The row in one line, without its sentences. */
export function movingLine({ from, to, nodes, moved, open }: MovingRow): string {
  const done = moved === nodes ? ', and none needs the overlay' : '';
  const rest = open.length > 0 ? `, ${open.length} of them not wholly` : done;
  return `from ${from} to ${to}: ${moved} of ${nodes} nodes have moved${rest}`;
}
