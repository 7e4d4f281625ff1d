/** Routes to peers, kept as wanted in the kernel's main table, and on links of our own their neighbours and forwarding entries too. */
import { isAbortError, isFlannelVpcError } from '../src/core/errors.ts';
import {
  type Cidr,
  cidrContains,
  families,
  formatCidr,
  formatIp,
  type PerFamily,
  parseCidr,
  parseIp,
  sameIp,
} from '../src/core/ip.ts';
import type { GatewayRoute } from '../src/core/peer-network.ts';
import { planDetours, standingDetours } from './detours.ts';
import type { Run } from './exec.ts';
import type { PeerNetworkReport, PeerNetworkState } from './host.ts';
import { type IpRoute, readRoutes, runBatch } from './ip-json.ts';
import { planForwarding, planNeighbours, readOverlay } from './peer-entries.ts';

/** What is to be run, by program. */
interface Commands {
  readonly bridge: readonly string[];
  readonly ip: readonly string[];
}

/**
 * Brings all in place: one read for each kind of entry, and one batch for each program. Refused ones are in the report. Entries that
 * a route rests on come before it.
 */
export async function ensurePeerNetwork(
  run: Run,
  state: PeerNetworkState,
  signal: AbortSignal,
): Promise<PeerNetworkReport> {
  const commands = await plan(run, state, signal);
  const all = [...commands.bridge, ...commands.ip];
  const detoured = async (): Promise<PeerNetworkReport['detoured']> =>
    (state.detours ?? []).length === 0 ? [] : standingDetours(state, await readAll(run, state, signal));
  if (all.length === 0) return { changes: [], refused: [], detoured: await detoured() };
  const reasons = new Map<string, string>();
  for (const program of ['bridge', 'ip'] as const) {
    try {
      await runBatch(run, commands[program], signal, { keepGoing: true, program });
    } catch (error) {
      if (isAbortError(error)) throw error;
      for (const [line, reason] of refusalReasons(error)) {
        const command = commands[program][line - 1];
        if (command !== undefined) reasons.set(command, reason);
      }
      // Without a line there is no saying what was done: a program that is missing, or that was ended.
      if (reasons.size === 0) throw error;
    }
  }
  if (reasons.size === 0) return { changes: all, refused: [], detoured: await detoured() };
  // The kernel refuses a peer that is not on the link; the others must not wait for it.
  const left = await plan(run, state, signal);
  const missing = new Set([...left.bridge, ...left.ip]);
  return {
    changes: all.filter((command) => !missing.has(command)),
    refused: [...missing].map((command) => `${command}: ${reasons.get(command) ?? 'refused by the kernel'}`),
    detoured: await detoured(),
  };
}

/** What {@link ensurePeerNetwork} would run, as `ip` or `bridge` is given it; nothing is changed. @throws HOST_COMMAND_FAILED. */
export async function pendingPeerCommands(
  run: Run,
  state: PeerNetworkState,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { bridge, ip } = await plan(run, state, signal);
  return [...bridge, ...ip];
}

/** Networks that routes by the interface lead to without a gateway, both families. */
export async function onLinkNetworks(run: Run, device: string, signal: AbortSignal): Promise<readonly Cidr[]> {
  const read = await Promise.all(
    families.map((family) => readRoutes(run, family, ['show', 'table', 'main', 'dev', device], signal)),
  );
  return read.flat().flatMap((route) => {
    const direct = route.gateway === undefined && route.type === undefined && route.nexthops === undefined;
    const destination = direct ? destinationOf(route) : undefined;
    // A link-local network is every link's.
    return destination && !isLinkLocal(destination) ? [destination] : [];
  });
}

async function plan(run: Run, state: PeerNetworkState, signal: AbortSignal): Promise<Commands> {
  const [routes, overlay] = await Promise.all([
    readAll(run, state, signal),
    readOverlay(run, state.links ?? [], signal),
  ]);
  return {
    bridge: planForwarding(state, overlay),
    ip: [...planNeighbours(state, overlay), ...planRoutes(state, routes), ...planDetours(state, routes)],
  };
}

/** What `ip -batch` says of each line that failed: the kernel's words, then `Command failed -:LINE`. */
function refusalReasons(error: unknown): ReadonlyMap<number, string> {
  const reasons = new Map<number, string>();
  const said = isFlannelVpcError(error) ? error.details['stderr'] : undefined;
  let words = '';
  for (const line of Array.isArray(said) ? said.map(String) : []) {
    const failed = /^Command failed \S*:(\d+)/.exec(line);
    if (failed) reasons.set(Number(failed[1]), words);
    else words = line;
  }
  return reasons;
}

/**
 * The `ip` commands that turn the routes there are into those wanted. On the external interface a route counts as an earlier one of
 * ours, and goes, when it leads to a whole subnet of the network by a gateway and carries no mark of another program; on a link of our
 * own every route by a gateway does. Pure.
 */
export function planRoutes(state: PeerNetworkState, actual: PerFamily<readonly IpRoute[]>): readonly string[] {
  const replaced: string[] = [];
  const removed: string[] = [];
  for (const family of families) {
    const standing = new Map<string, IpRoute[]>();
    for (const route of actual[family] ?? []) {
      const destination = destinationOf(route);
      if (!destination) continue;
      const text = formatCidr(destination);
      standing.set(text, [...(standing.get(text) ?? []), route]);
    }
    const wanted = new Map(
      state.routes
        .filter(({ destination }) => destination.family === family)
        .map((route) => [formatCidr(route.destination), route]),
    );
    for (const [text, route] of wanted) {
      if (standing.get(text)?.some((one) => leadsThere(one, route))) continue;
      const inTheWay = (standing.get(text) ?? []).filter((one) => hidesGateway(one, route) && isEarlierOne(one, state));
      replaced.push(...inTheWay.map(({ gateway, dev }) => `route del ${text} via ${gateway} dev ${dev}`));
      const onLink = route.onLink ? ' onlink' : '';
      replaced.push(`route replace ${text} via ${formatIp(route.gateway)} dev ${route.device}${onLink}`);
    }
    for (const [text, routes] of standing) {
      for (const route of routes) {
        if (wanted.has(text) || !isEarlierOne(route, state)) continue;
        removed.push(`route del ${text} via ${route.gateway} dev ${route.dev}`);
      }
    }
  }
  return [...replaced, ...removed];
}

async function readAll(run: Run, state: PeerNetworkState, signal: AbortSignal): Promise<PerFamily<readonly IpRoute[]>> {
  const inUse = families.filter((family) => state.networks[family]);
  const read = await Promise.all(
    inUse.map(async (family) => [family, await readRoutes(run, family, ['show', 'table', 'main'], signal)] as const),
  );
  return Object.fromEntries(read);
}

function leadsThere(route: IpRoute, wanted: GatewayRoute): boolean {
  const gateway = parseIp(route.gateway ?? '');
  return (
    route.type === undefined &&
    (route.metric ?? 0) === usualMetric(wanted.destination) &&
    route.dev === wanted.device &&
    gateway !== undefined &&
    sameIp(gateway, wanted.gateway)
  );
}

/**
 * Linux looks an `onlink` gateway of IPv6 up, and refuses it where that finds another device (`ip6_route_check_nh_onlink`). The gateway
 * lies in the peer's own subnet, so an earlier route there is in the way of the one that is to take its place.
 */
function hidesGateway({ dev }: IpRoute, { destination, device, onLink }: GatewayRoute): boolean {
  return destination.family === 6 && onLink === true && dev !== device;
}

function isEarlierOne(route: IpRoute, { networks, device, links }: PeerNetworkState): boolean {
  const destination = destinationOf(route);
  if (!destination || route.type !== undefined || route.gateway === undefined || route.dev === undefined) return false;
  if (links?.includes(route.dev)) return true;
  if (route.dev !== device) return false;
  const range = networks[destination.family];
  return (
    range !== undefined &&
    destination.length === range.subnetLength &&
    cidrContains(range.network, destination) &&
    (route.protocol ?? 'boot') === 'boot' &&
    (route.metric ?? 0) === usualMetric(destination)
  );
}

/** The metric the kernel gives a route without one: IPv6's default is 1024 (`IP6_RT_PRIO_USER`). */
function usualMetric(destination: Cidr): number {
  return destination.family === 6 ? 1_024 : 0;
}

function destinationOf(route: IpRoute): Cidr | undefined {
  return parseCidr(route.dst);
}

function isLinkLocal(cidr: Cidr): boolean {
  return linkLocal.some((range) => cidrContains(range, cidr));
}

const linkLocal = ['169.254.0.0/16', 'fe80::/10'].map(parseCidr).filter((cidr) => cidr !== undefined);
