/** ARM's shape of route tables and routes, ours, and the names of ours. Pure. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { type Cidr, formatCidr, formatIp, parseCidr, parseIp } from '../../src/core/ip.ts';
import type { RouteEntry, RouteTarget } from '../provider.ts';

/** The members of a route that are looked at. All others are kept, and never looked at. */
export const routeShape = z.object({
  name: z.string().min(1),
  etag: z.string().optional(),
  properties: z.object({
    addressPrefix: z.string(),
    nextHopType: z.string(),
    nextHopIpAddress: z.string().nullish(),
    provisioningState: z.string().optional(),
  }),
});
export type Route = z.infer<typeof routeShape>;

/** The members of a route table that are looked at. */
export const tableShape = z.object({
  name: z.string().optional(),
  etag: z.string().optional(),
  tags: z.record(z.string(), z.unknown()).nullish(),
  properties: z.object({
    routes: z.array(routeShape).nullish(),
    subnets: z.array(z.object({ id: z.string() })).nullish(),
  }),
});
export type Table = z.infer<typeof tableShape>;

/** The kind of next hop that a route of ours has: a machine's address. */
export const machineHop = 'VirtualAppliance';

/** What marks a route as written for one set of pod networks: the start of its name, the only place that Azure has for a mark. */
export class RouteNames {
  readonly #prefix: string;

  /** Clusters with other pod networks have other marks, so that two can share a table. */
  constructor(networks: readonly Cidr[]) {
    const text = networks.map(formatCidr).sort().join(',');
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
    this.#prefix = `flannel-vpc-${hash}-`;
  }

  /** Letters, digits and hyphens, below Azure's 80 characters, and unlike for unlike destinations. */
  nameFor(destination: Cidr): string {
    return `${this.#prefix}${formatCidr(destination).replaceAll(/[^0-9a-f]/g, '-')}`;
  }

  isOurs(name: string): boolean {
    return name.toLowerCase().startsWith(this.#prefix);
  }
}

/** One route as the seam shows it. */
export function routeEntry(route: Route, names: RouteNames): RouteEntry {
  const { name, properties } = route;
  const destination = parseCidr(properties.addressPrefix);
  return {
    destination,
    // Else the name of a service, such as `Storage.WestEurope`.
    destinationText: destination ? formatCidr(destination) : properties.addressPrefix,
    target: routeTarget(properties),
    // Azure does not tell whether anybody has the address: a route to nobody is as good to it as any.
    state: isSettled(route) ? 'active' : 'other',
    // What the network and its gateways add by themselves is in no table.
    origin: 'static',
    ...(names.isOurs(name) ? { marked: true } : {}),
    handle: name,
  };
}

/** Whether a route is in force as it is shown, as far as Azure tells. */
export function isSettled({ properties: { provisioningState = 'Succeeded' } }: Route): boolean {
  return provisioningState.toLowerCase() === 'succeeded';
}

/** Where a route leads. */
export function routeTarget({ nextHopType, nextHopIpAddress }: Route['properties']): RouteTarget {
  switch (nextHopType.toLowerCase()) {
    case 'virtualappliance': {
      const address = parseIp(nextHopIpAddress ?? '');
      return address ? { kind: 'address', id: formatIp(address) } : { kind: 'other', id: nextHopIpAddress ?? '' };
    }
    case 'virtualnetworkgateway':
    case 'internet':
      return { kind: 'gateway', id: nextHopType };
    case 'vnetlocal':
      return { kind: 'local', id: nextHopType };
    // `None` drops packets, and what comes is not known yet.
    default:
      return { kind: 'other', id: nextHopType };
  }
}

/** Routes that count against the limit; Azure counts both families together. */
export function routesOf(table: Table): readonly Route[] {
  return table.properties.routes ?? [];
}

/**
 * What shows that the route controller of the Azure cloud provider writes a table: it deletes what it does not know under its nodes'
 * names. Undefined where nothing does. Its names are a node's, with four underscores and a prefix in clusters of two families
 * (cloud-provider-azure, `azure_routes.go`); names of a node alone can't be told from others.
 */
export function foreignController(table: Table): string | undefined {
  const route = routesOf(table).find(({ name }) => /^[^_].*____[0-9a-f.:]+/i.test(name));
  if (route) return `its route ${route.name} is named as that controller names them`;
  const tag = Object.keys(table.tags ?? {}).find((key) =>
    ['k8s-azure-cluster-name', 'kubernetes-cluster-name'].includes(key.toLowerCase()),
  );
  if (tag) return `it has the tag ${tag}`;
  if (/^aks-agentpool-\d+-routetable$/i.test(table.name ?? '')) return 'it is named as the tables of AKS are';
  return undefined;
}
