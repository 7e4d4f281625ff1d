/** Routes to peers by their own addresses, kept as wanted in the kernel's main table. */
import { isAbortError, isFlannelVpcError } from '../src/core/errors.ts';
import type { GatewayRoute } from '../src/core/gateway-route.ts';
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
import type { Run } from './exec.ts';
import type { GatewayRouteState, HostReport } from './host.ts';
import { type IpRoute, readRoutes, runBatch } from './ip-json.ts';

/** Brings the routes in place: one read for each family and one batch for all changes. Refused ones are in the report. */
export async function ensureGatewayRoutes(
  run: Run,
  state: GatewayRouteState,
  signal: AbortSignal,
): Promise<HostReport & { readonly refused: readonly string[] }> {
  const commands = planGatewayRoutes(state, await readAll(run, state, signal));
  if (commands.length === 0) return { changes: [], refused: [] };
  try {
    await runBatch(run, commands, signal, { keepGoing: true });
    return { changes: commands, refused: [] };
  } catch (error) {
    if (isAbortError(error)) throw error;
    // The kernel refuses a peer that is not on the link; the others must not wait for it.
    const missing = new Set(planGatewayRoutes(state, await readAll(run, state, signal)));
    const changes = commands.filter((command) => !missing.has(command));
    const reasons = refusalReasons(error);
    const reasonOf = (command: string): string => reasons.get(commands.indexOf(command) + 1) ?? 'refused by the kernel';
    return { changes, refused: [...missing].map((command) => `${command}: ${reasonOf(command)}`) };
  }
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
 * The `ip` commands that turn the routes there are into those wanted. A route counts as an earlier one of ours, and goes, when it
 * leads to a whole subnet of the network by a gateway on the same device and carries no mark of another program. Pure.
 */
export function planGatewayRoutes(state: GatewayRouteState, actual: PerFamily<readonly IpRoute[]>): readonly string[] {
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
      replaced.push(`route replace ${text} via ${formatIp(route.gateway)} dev ${route.device}`);
    }
    for (const [text, routes] of standing) {
      for (const route of routes) {
        if (wanted.has(text) || !isEarlierOne(route, state)) continue;
        removed.push(`route del ${text} via ${route.gateway} dev ${state.device}`);
      }
    }
  }
  return [...replaced, ...removed];
}

async function readAll(
  run: Run,
  state: GatewayRouteState,
  signal: AbortSignal,
): Promise<PerFamily<readonly IpRoute[]>> {
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

function isEarlierOne(route: IpRoute, { networks, device }: GatewayRouteState): boolean {
  const destination = destinationOf(route);
  if (!destination || route.type !== undefined || route.gateway === undefined || route.dev !== device) return false;
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
