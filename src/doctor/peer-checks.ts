/** The checks of backends without a cloud: devices of their own, and entries for peers. Everything is only read. */

import { readVxlanCounters } from '../../host/link-counters.ts';
import { onLinkNetworks, pendingPeerCommands } from '../../host/peer-network.ts';
import { familiesWithUdpPort } from '../../host/udp-ports.ts';
import type { Lease } from '../../lease/lease.ts';
import type { HostBackend, PeerVerdict } from '../../providers/host-backend.ts';
import { macsFor } from '../../providers/vxlan/vxlan.ts';
import { backendOf } from '../agent/node-state.ts';
import type { PerFamily } from '../core/ip.ts';
import type { VxlanLink } from '../core/peer-network.ts';
import { NotKnown } from './facts.ts';
import type { Finding } from './findings.ts';
import { judgeOverlay } from './judge-overlay.ts';
import { judgePeers } from './judge-peers.ts';
import type { Check } from './run-checks.ts';
import type { Subject } from './subject.ts';

/** In the order they are shown; a backend with neither devices nor peers has none. */
export function peerChecks(subject: Subject): readonly Check[] {
  const node = { group: 'node', unless: 'warning' } as const;
  return [
    { ...node, name: 'overlay', run: (signal) => overlay(subject, signal) },
    { ...node, name: 'peers', run: (signal) => peers(subject, signal) },
  ];
}

interface OwnLinks {
  readonly links: readonly VxlanLink[];
  /** Their link-layer addresses as this node's lease has them. */
  readonly told: PerFamily<string>;
}

/** Devices that the backend should have here; none while it is not known what it is. */
export async function ownLinks(subject: Subject): Promise<OwnLinks> {
  const [netConf, external, leases] = await Promise.all([
    subject.netConf.need().catch(() => undefined),
    subject.external.need(),
    subject.ownLease.need().catch(() => undefined),
  ]);
  const backend = netConf && backendOf(netConf);
  if (!backend) return { links: [], told: {} };
  const told = backend.storedMacs(leases?.own[0]?.attributes.backendData ?? {});
  return {
    links: backend.links(
      external,
      macsFor(told, () => 0),
    ),
    told,
  };
}

/** What the leases come to; undefined for clouds and alloc. @throws NotKnown without a lease of this node. */
export async function peerVerdict(
  subject: Subject,
  signal: AbortSignal,
): Promise<{ readonly backend: HostBackend; readonly own: Lease; readonly verdict: PeerVerdict } | undefined> {
  const netConf = await subject.netConf.need();
  const backend = backendOf(netConf);
  if (!backend) return undefined;
  const [external, { own, list }] = await Promise.all([subject.external.need(), subject.ownLease.need()]);
  const [lease] = own;
  if (!lease) throw new NotKnown('the lease');
  const { run } = subject.parts.programs;
  const onLink = backend.needsOnLink ? await onLinkNetworks(run, external.name, signal) : [];
  const context = { own: lease, external, networks: netConf.ranges, onLink };
  return { backend, own: lease, verdict: backend.peers(list.leases, context) };
}

async function overlay(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const { links, told } = await ownLinks(subject);
  const [first] = links;
  if (!first) return [];
  const [kernel, external, known] = await Promise.all([
    subject.kernel.need(),
    subject.external.need(),
    peerVerdict(subject, signal).catch(() => undefined),
  ]);
  signal.throwIfAborted();
  return judgeOverlay({
    ...{ wanted: links, told, links: kernel.links, nicMtu: external.mtu },
    taken: await familiesWithUdpPort(first.port),
    counters: await readVxlanCounters(subject.parts.programs.run, signal),
    peers: known?.verdict.forwarding.length ?? 0,
  });
}

async function peers(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const known = await peerVerdict(subject, signal);
  if (!known) return [];
  const { passedOver, ...entries } = known.verdict;
  const [netConf, external, { links }, kernel] = await Promise.all([
    subject.netConf.need(),
    subject.external.need(),
    ownLinks(subject),
    subject.kernel.need(),
  ]);
  // Of a device that is not there nothing can be read, and its check says so.
  const names = links.map(({ name }) => name);
  const standing = names.filter((name) => kernel.links.some(({ ifname }) => ifname === name));
  const isThere = ({ device }: { readonly device: string }): boolean =>
    !names.includes(device) || standing.includes(device);
  const state = {
    ...{ device: external.name, networks: netConf.ranges, links: standing },
    routes: entries.routes.filter(isThere),
    neighbours: entries.neighbours.filter(isThere),
    forwarding: entries.forwarding.filter(isThere),
  };
  // A node that moves has given up some of them, and only its agent knows which.
  const moves = netConf.backend.movesFrom !== undefined;
  const pending = moves ? [] : await pendingPeerCommands(subject.parts.programs.run, state, signal);
  return judgePeers({ wanted: entries.routes.length, passedOver, pending });
}
