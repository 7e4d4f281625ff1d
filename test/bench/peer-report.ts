/** From the measurements of peers without a cloud to rows. */
import type { Effort, PeerNetworkResult } from './peer-network.ts';
import { hostGwPeer } from './peers.ts';
import { atMost, type Row, type Section } from './table.ts';

const seconds = (value: number): string => `${value.toFixed(2)} s`;

/** Seconds until 4,000 routes stand, and until 500 of them have changed; others are shown without a budget. */
const budgets = { first: 2, changed: 0.5 };

export function peerSection(result: PeerNetworkResult, theirs: PeerNetworkResult | undefined): Section {
  const { backend, leases, changes, first, changed, idle, memory } = result;
  const limited = backend === 'host-gw';
  const peer = limited && leases === 4_000 ? hostGwPeer : undefined;
  const timed = (what: string, mine: Effort, most: number, other: Effort | undefined, recorded?: string): Row => ({
    ...(limited ? atMost(what, mine.seconds, most, seconds) : { what, ours: seconds(mine.seconds) }),
    here: other && `${seconds(other.seconds)}, ratio ${(mine.seconds / other.seconds).toFixed(3)}`,
    peer: recorded,
  });
  const cost = (what: string, mine: Effort, other: Effort | undefined, recorded?: string): Row => ({
    ...{ what: `${what}: CPU; processes and threads`, ours: costText(mine), here: other && costText(other) },
    peer: recorded,
  });
  return {
    title: `${backend}: ${leases} leases, one etcd, kernel watched`,
    rows: [
      timed('exec to all routes', first, budgets.first, theirs?.first, peer?.first),
      cost('exec to all routes', first, theirs?.first, peer?.firstCpu),
      timed(`${changes} change: last write to all`, changed, budgets.changed, theirs?.changed, peer?.changed),
      cost(`${changes} change`, changed, theirs?.changed, peer?.changedCpu),
      {
        what: 'nothing changes, a minute: CPU; processes and threads',
        ours: perMinute(idle),
        here: theirs && perMinute(theirs.idle),
      },
      { what: 'resident memory (RSS)', ours: `${memory.rss.toFixed(1)} MB`, peer: peer?.memory },
    ],
  };
}

function costText({ cpu, started }: Pick<Effort, 'cpu' | 'started'>): string {
  return `${seconds(cpu)}; ${started}`;
}

function perMinute({ cpu, started, seconds: watched }: Effort): string {
  return costText({ cpu: (cpu * 60) / watched, started: Math.round((started * 60) / watched) });
}
