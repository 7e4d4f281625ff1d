/** Blackhole routes for the own subnets: packets for a pod that is not there end here and don't travel in circles. */
import { type Cidr, type Family, families, formatCidr } from '../src/core/ip.ts';
import type { Run } from './exec.ts';
import { type IpRoute, readRoutes, runBatch } from './ip-json.ts';

/** Adds what is missing; one `ip` process for each family in use while nothing is. Returns what changed. */
export async function ensureBlackholes(
  run: Run,
  subnets: readonly Cidr[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const changes = await Promise.all(
    families.map(async (family) => {
      const own = subnets.filter((subnet) => subnet.family === family);
      const commands = await Promise.all(own.map((subnet) => missing(run, family, subnet, signal)));
      await runBatch(run, commands.flat(), signal);
      return commands.flat();
    }),
  );
  return changes.flat();
}

/**
 * The `ip` commands for one subnet, from its own routes in the kernel's order. Pure.
 *
 * IPv4 takes the first of several routes with one metric. A bridge that comes up after the blackhole has its route second,
 * and the pods would be cut off; so the blackhole is then put behind it (flannel leaves it in front).
 */
export function planBlackhole(subnet: Cidr, routes: readonly IpRoute[]): readonly string[] {
  const text = formatCidr(subnet);
  const at = routes.findIndex((route) => route.type === 'blackhole');
  const last = routes.findLastIndex(
    (route) => route.type === undefined && (route.metric ?? 0) === (routes[at]?.metric ?? 0),
  );
  // In a batch the family shows in the address; `-6` is no object there.
  if (at < 0) return [`route append blackhole ${text}`];
  return last > at ? [`route del blackhole ${text}`, `route append blackhole ${text}`] : [];
}

async function missing(run: Run, family: Family, subnet: Cidr, signal: AbortSignal): Promise<readonly string[]> {
  return planBlackhole(subnet, await readRoutes(run, family, ['show', 'exact', formatCidr(subnet)], signal));
}
