/** What the route tables hold, held against what this node and the other leases need. Pure. */
import type { Lease } from '../../lease/lease.ts';
import { subnetsOf } from '../../lease/lease-key.ts';
import type { StoredOwnershipRecord } from '../../lease/ownership-store.ts';
import type { NextHop, RouteEntry, RouteTable } from '../../providers/provider.ts';
import { type Cidr, cidrContains, type Family, families, formatCidr, sameCidr } from '../core/ip.ts';
import { isMachine, leadsTo } from '../routing/plan-writes.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

export interface OwnRouteFacts {
  readonly subnets: readonly Cidr[];
  readonly nextHop: NextHop;
  readonly tables: readonly RouteTable[];
  readonly writer: 'node' | 'controller';
}

/** One finding for each subnet of ours in each table. */
export function judgeOwnRoutes({ subnets, nextHop, tables, writer }: OwnRouteFacts): readonly Finding[] {
  const who = writer === 'node' ? "this node's agent" : 'the controller';
  return subnets.flatMap((subnet) =>
    tables.map((table): Finding => {
      const check = `route ${formatCidr(subnet)} in ${table.id}`;
      const standing = table.routes.filter(({ destination }) => destination && sameCidr(destination, subnet));
      const right = standing.find(({ target }) => leadsTo(target, nextHop));
      if (right?.state === 'active') return ok(check, `leads to ${right.target.id}, this node`);
      if (right) {
        const remedy = `See in the cloud why it does not forward to ${right.target.id}: detached, stopped or still changing.`;
        return failed(check, `leads to ${right.target.id}, this node, and its state is ${right.state}`, remedy);
      }
      const [other] = standing;
      if (!other)
        return failed(
          check,
          'there is none: no pod of this node is reached',
          `See that ${who} runs, and what its log says.`,
        );
      if (isMachine(other.target)) {
        return failed(
          check,
          `leads to ${other.target.id}, another machine`,
          `See that ${who} runs: it puts this right by itself.`,
        );
      }
      const remedy = `Delete the route, or give the pods another network: ${who} never touches a route to a ${other.target.kind}.`;
      return failed(check, `leads to ${other.target.id}, which is no machine`, remedy);
    }),
  );
}

/** From this share on a table is nearly full. */
const nearlyFull = 0.8;

/** How full each table is. `defaultLimit` is the cloud's own where its API tells none. */
export function judgeQuota(
  tables: readonly RouteTable[],
  defaultLimit: number,
  inUse: readonly Family[],
): readonly Finding[] {
  const remedy =
    'Ask the cloud for a higher limit of routes per table, or use larger subnets: each node takes one route.';
  return tables.flatMap(({ id, routes, routeLimit }) =>
    families
      .filter((family) => inUse.includes(family))
      .map((family) => {
        const used = routes.filter(
          ({ origin, destination }) => origin !== 'propagated' && (destination?.family ?? 4) === family,
        ).length;
        const limit = routeLimit ?? defaultLimit;
        const source = routeLimit === undefined ? ", the cloud's default" : '';
        const check = `quota of ${id}${family === 6 ? ' (IPv6)' : ''}`;
        const found = `${used} of ${limit} routes${source}`;
        if (used >= limit) {
          // An account may have more than the default.
          return routeLimit === undefined ? warning(check, found, remedy) : failed(check, found, remedy);
        }
        return used >= limit * nearlyFull ? warning(check, found, remedy) : ok(check, found);
      }),
  );
}

export interface ForeignFacts {
  readonly tables: readonly RouteTable[];
  readonly networks: readonly Cidr[];
  readonly leases: readonly Lease[];
  readonly records: readonly StoredOwnershipRecord[];
}

interface Foreign {
  readonly tableId: string;
  readonly entry: RouteEntry;
  readonly destination: Cidr;
}

/** Routes inside the pod networks that nobody here wrote: in a lease's way, or merely there. */
export function judgeForeignRoutes({ tables, networks, leases, records }: ForeignFacts): readonly Finding[] {
  const leased = leases.flatMap(({ subnets }) => subnetsOf(subnets));
  const recorded = new Set(records.map(({ tableId, destination }) => `${tableId} ${formatCidr(destination)}`));
  const foreign = tables.flatMap(({ id: tableId, routes }) =>
    routes.flatMap((entry): readonly Foreign[] => {
      const { destination } = entry;
      if (!destination || entry.origin === 'local' || entry.marked) return [];
      if (!networks.some((network) => cidrContains(network, destination))) return [];
      const ours = recorded.has(`${tableId} ${formatCidr(destination)}`);
      // Of a live lease and to a machine: flannel may have written it, and whether it is the right machine is seen elsewhere.
      const leases = isMachine(entry.target) && leased.some((subnet) => sameCidr(subnet, destination));
      return ours || leases ? [] : [{ tableId, entry, destination }];
    }),
  );
  const inTheWay = foreign.filter(({ destination }) => leased.some((subnet) => cidrContains(subnet, destination)));
  const others = foreign.filter((route) => !inTheWay.includes(route));
  const machines = others.filter(({ entry }) => isMachine(entry.target) && entry.state === 'active');
  return [
    ...inTheWay.map((route) =>
      failed(
        'foreign route',
        `${describe(route)} is not ours and takes the traffic of a leased subnet`,
        'Delete it, or have whoever made it use another range: flannel-vpc never touches it.',
      ),
    ),
    others.length === 0
      ? ok(
          'foreign routes',
          inTheWay.length === 0 ? 'none inside the pod networks' : 'no others inside the pod networks',
        )
      : warning(
          'foreign routes',
          `${others.length} inside the pod networks: ${list(others)}`,
          'Find out who made them. Their subnets should be no lease’s: reserve them, or delete the routes.',
        ),
    ...(machines.length === 0
      ? []
      : [
          warning(
            'second route controller',
            `${machines.length} routes to machines that nobody here recorded: ${list(machines)}`,
            'See whether a cloud controller manager writes routes too: start it with --configure-cloud-routes=false.',
          ),
        ]),
  ];
}

/** Where a route is shown in full: enough to find them. */
const mostShown = 5;

function list(routes: readonly Foreign[]): string {
  const more = routes.length > mostShown ? `, and ${routes.length - mostShown} more` : '';
  return `${routes.slice(0, mostShown).map(describe).join(', ')}${more}`;
}

function describe({ tableId, entry, destination }: Foreign): string {
  const state = entry.state === 'active' ? '' : ` (${entry.state})`;
  return `${formatCidr(destination)} → ${entry.target.id}${state} in ${tableId}`;
}
