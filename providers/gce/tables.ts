/** Finds "route tables": a VPC network is one. One read of a project's routes, all pages, whatever their number of networks. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { PageTrail } from '../page-trail.ts';
import type { RouteTable, TableSelector } from '../provider.ts';
import { type Compute, parsed } from './compute.ts';
import { withoutEnd } from './errors.ts';
import { networkId, networkOfLink, type Owner, parseNetworkId } from './names.ts';
import { maxPageSize } from './read-instances.ts';
import { routeEntry } from './routes.ts';
import { type Route, routeSchema } from './schemas.ts';

export interface TableReadOptions {
  /** Routes in one page; tests make it small. */
  readonly pageSize?: number | undefined;
  /** Pod networks that our marks name. */
  readonly networks: Owner['networks'];
  /** The operator's word on the quota. */
  readonly routeLimit: number | undefined;
}

/** @throws NOT_FOUND naming a configured network that is not there, or a tag: networks have none. INVALID where none is known. */
export async function readTables(
  compute: Compute,
  { tableIds, tag, networkId: own, subnetIds, alsoIds = [] }: TableSelector,
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly RouteTable[]> {
  if (tableIds.length === 0 && tag !== undefined) {
    throw new FlannelVpcError('NOT_FOUND', `no network has the tag ${tag.key}=${tag.value}: VPC networks carry none`, {
      hint: 'name the network by VPCNetwork in net-conf, or leave it out',
    });
  }
  const serving = subnetIds.length > 0 ? [own ?? unknownNetwork()] : [];
  const wanted = tableIds.length > 0 ? tableIds : serving;
  const also = tableIds.length > 0 ? [] : alsoIds.filter((id) => !wanted.includes(id));
  const ids = [...new Set([...wanted, ...also])];
  const byNetwork = await routesByNetwork(compute, ids, signal, options.pageSize);
  return ids.flatMap((id): readonly RouteTable[] => {
    const routes = byNetwork.get(id);
    // A network with a subnet has that subnet's route at the least: one without any route serves nobody, or is not there.
    if (!routes) {
      if (also.includes(id)) return [];
      throw missing(id);
    }
    const owner = { tableId: id, networks: options.networks };
    return [
      {
        id,
        networkId: id,
        routes: routes.map((route) => routeEntry(route, owner)),
        routeLimit: options.routeLimit,
        association: 'main',
      },
    ];
  });
}

/** All routes of a project. @throws TRANSIENT where their pages have no end. */
export async function readRoutes(
  compute: Compute,
  project: string,
  signal: AbortSignal,
  pageSize = maxPageSize,
): Promise<readonly Route[]> {
  const context = { action: 'compute.routes.list', doing: `list the routes of ${project}` };
  const pages: (readonly Route[])[] = [];
  const trail = new PageTrail();
  let pageToken: string | undefined;
  do {
    const request = { project, maxResults: pageSize, ...(pageToken === undefined ? {} : { pageToken }) };
    const [items, next] = await compute.call(context, signal, (client, options) =>
      client('RoutesClient').list(request, { ...options, autoPaginate: false }),
    );
    pages.push(parsed(routeSchema.array(), items, context));
    pageToken = (next as { pageToken?: string } | null)?.pageToken || undefined;
    if (pageToken !== undefined && !trail.goesOnTo(pageToken)) throw withoutEnd(context);
  } while (pageToken !== undefined);
  return pages.flat();
}

async function routesByNetwork(
  compute: Compute,
  ids: readonly string[],
  signal: AbortSignal,
  pageSize: number | undefined,
): Promise<ReadonlyMap<string, readonly Route[]>> {
  const found = new Map<string, Route[]>();
  const projects = new Set(ids.flatMap((id) => parseNetworkId(id)?.project ?? []));
  for (const project of projects) {
    for (const route of await readRoutes(compute, project, signal, pageSize)) {
      const network = networkOfLink(route.network ?? '');
      if (!network) continue;
      const id = networkId(network);
      const routes = found.get(id);
      if (routes) routes.push(route);
      else found.set(id, [route]);
    }
  }
  return found;
}

function missing(id: string): FlannelVpcError {
  const [project = id] = id.split('/');
  return new FlannelVpcError('NOT_FOUND', `Compute Engine has no routes of a VPC network ${id}`, {
    hint: `correct VPCNetwork in net-conf, or leave it out to have the node's own network: gcloud compute networks list --project ${project}`,
    details: { action: 'compute.routes.list', tableIds: [id] },
  });
}

function unknownNetwork(): never {
  throw new FlannelVpcError('INVALID', 'the VPC network is not known, so its routes cannot be found', {
    hint: 'give VPCNetwork in net-conf, as "PROJECT/NETWORK"',
  });
}
