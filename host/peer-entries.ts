/** What the routes of an overlay rest on: link-layer addresses of neighbours, and where frames for them are sent. */
import { formatIp, parseIp } from '../src/core/ip.ts';
import type { Run } from './exec.ts';
import type { PeerNetworkState } from './host.ts';
import { type BridgeForwarding, type IpNeighbour, readForwarding, readNeighbours } from './ip-json.ts';

/** What stands on links of our own. */
export interface OverlayEntries {
  readonly neighbours: ReadonlyMap<string, readonly IpNeighbour[]>;
  readonly forwarding: ReadonlyMap<string, readonly BridgeForwarding[]>;
}

/** Reads both kinds of each link. @throws HOST_COMMAND_FAILED, also for a link that is gone. */
export async function readOverlay(run: Run, links: readonly string[], signal: AbortSignal): Promise<OverlayEntries> {
  const byLink = async <T>(
    read: (run: Run, device: string, signal: AbortSignal) => Promise<readonly T[]>,
  ): Promise<ReadonlyMap<string, readonly T[]>> =>
    new Map(await Promise.all(links.map(async (link) => [link, await read(run, link, signal)] as const)));
  const [neighbours, forwarding] = await Promise.all([byLink(readNeighbours), byLink(readForwarding)]);
  return { neighbours, forwarding };
}

/** The `ip` commands for the neighbours of our links. Pure. */
export function planNeighbours(
  { links = [], neighbours = [] }: PeerNetworkState,
  actual: Pick<OverlayEntries, 'neighbours'>,
): readonly string[] {
  return links.flatMap((link) => {
    const standing = new Map(
      (actual.neighbours.get(link) ?? []).map(({ dst, lladdr }) => [canonical(dst), lladdr?.toLowerCase()]),
    );
    const wanted = new Map(
      neighbours.filter(({ device }) => device === link).map(({ address, mac }) => [formatIp(address), mac]),
    );
    return [
      ...[...wanted]
        .filter(([address, mac]) => standing.get(address) !== mac)
        .map(([address, mac]) => `neigh replace ${address} lladdr ${mac} dev ${link} nud permanent`),
      ...[...standing.keys()]
        .filter((address) => !wanted.has(address) && !isMulticast(address))
        .map((address) => `neigh del ${address} dev ${link}`),
    ];
  });
}

/** The `bridge` commands for the forwarding entries of our links. What a link has learnt by itself is left to it. Pure. */
export function planForwarding(
  { links = [], forwarding = [] }: PeerNetworkState,
  actual: Pick<OverlayEntries, 'forwarding'>,
): readonly string[] {
  return links.flatMap((link) => {
    const standing = new Map<string, string>();
    const doubled: string[] = [];
    for (const { mac, dst, state } of actual.forwarding.get(link) ?? []) {
      if (dst === undefined || state !== 'permanent') continue;
      const key = mac.toLowerCase();
      // A device can have several destinations for one address, and sends to each.
      if (standing.has(key)) doubled.push(key);
      standing.set(key, canonical(dst));
    }
    for (const mac of doubled) standing.set(mac, '');
    const wanted = new Map(
      forwarding.filter(({ device }) => device === link).map(({ mac, remote }) => [mac, formatIp(remote)]),
    );
    return [
      ...[...new Set([...doubled, ...[...standing.keys()].filter((mac) => !wanted.has(mac))])].map(
        (mac) => `fdb del ${mac} dev ${link}`,
      ),
      ...[...wanted]
        .filter(([mac, remote]) => standing.get(mac) !== remote)
        .map(([mac, remote]) => `fdb replace ${mac} dev ${link} dst ${remote} self permanent`),
    ];
  });
}

function canonical(text: string): string {
  const ip = parseIp(text);
  return ip ? formatIp(ip) : text;
}

/** The kernel shows the link's own multicast neighbours among the permanent ones of some versions. */
function isMulticast(text: string): boolean {
  return text.startsWith('ff') || /^2(2[4-9]|3\d)\./.test(text);
}
