/** What else shows whether the nodes of a silent group are there. */
import type { LeaseKey } from '../../lease/lease.ts';
import type { NodeReport } from '../../lease/node-reports.ts';
import type { Looks } from './looks.ts';
import { type PeerGroup, peerText } from './peer-table.ts';
import type { ProbeSocket } from './socket.ts';
import type { Evidence } from './verdict.ts';

/** Live peers that are pinged: one process each. */
const pings = 3;

/** Looks at the group's members, which are few; takes some seconds at most. */
export async function gatherEvidence(
  group: Pick<PeerGroup, 'members'>,
  socket: Pick<ProbeSocket, 'address' | 'port'>,
  looks: Looks,
  reports: ReadonlyMap<LeaseKey, NodeReport>,
  signal: AbortSignal,
): Promise<Evidence> {
  const seen = await Promise.all(
    group.members.map(async (peer) => {
      const up = peer.nodeAddress !== undefined && (await looks.isUp(peer.nodeAddress, socket.port, signal));
      return up ? [peer] : [];
    }),
  );
  const up = seen.flat();
  const pinged = await Promise.all(
    up.slice(0, pings).map(async (peer) => {
      const answered = await looks.ping(socket.address, peer.address, signal);
      return answered ? [peerText(peer)] : [];
    }),
  );
  signal.throwIfAborted();
  return {
    pinged: pinged.flat()[0],
    live: up.map((peer) => ({ peer: peerText(peer), report: reportOf(peer.lease, reports) })),
  };
}

function reportOf(
  lease: LeaseKey | undefined,
  reports: ReadonlyMap<LeaseKey, NodeReport>,
): Evidence['live'][number]['report'] {
  const report = lease === undefined ? undefined : reports.get(lease);
  if (!report) return 'none';
  return report.ready ? 'ready' : 'not-ready';
}
