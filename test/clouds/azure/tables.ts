/** Route tables and their routes as GET shows them. */
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { type Context, ok, page } from './answers.ts';
import { refusals } from './errors.ts';
import { respelled, sameId } from './ids.ts';
import type { JsonObject } from './json.ts';
import type { AzureState, ProvisioningState, StoredRoute, Subnet, Table, TableContent } from './state.ts';

export function tableDocument(state: AzureState, table: Table, content = table.content.current): JsonObject {
  const subnets = subnetsOf(state, table);
  return {
    name: table.id.split('/').at(-1) ?? '',
    id: table.id,
    etag: content.etag,
    type: 'Microsoft.Network/routeTables',
    location: table.location,
    ...(table.tags && { tags: table.tags }),
    ...table.extras,
    properties: {
      provisioningState: content.state,
      resourceGuid: table.resourceGuid,
      ...content.settings,
      ...table.propertyExtras,
      routes: content.routes.map((route) => routeDocument(table, route, content)),
      ...(subnets.length > 0 ? { subnets: subnets.map(({ id }) => ({ id: respelled(id) })) } : {}),
    },
  };
}

/** What of it, with these routes, must survive every write: all but etags and states. */
export function storedDocument(state: AzureState, table: Table, routes: readonly StoredRoute[]): JsonObject {
  const content: TableContent = { ...table.content.current, routes, etag: '', state: 'Succeeded' };
  return tableDocument(state, table, content);
}

/** A route's etag is its table's: a child has no version of its own. */
export function routeDocument(
  table: Table,
  route: StoredRoute,
  content: TableContent,
  state: ProvisioningState = table.effective.includes(route) ? 'Succeeded' : content.state,
): JsonObject {
  return {
    name: route.name,
    id: `${table.id}/routes/${route.name}`,
    etag: content.etag,
    ...route.extras,
    properties: {
      provisioningState: state,
      ...route.properties,
      hasBgpOverride: false,
    },
    type: 'Microsoft.Network/routeTables/routes',
  };
}

export function getTable({ state }: Context, table: Table): SimulatorAnswer {
  return ok(tableDocument(state, table, table.content.before(state.readLagMs)));
}

export function listTables(context: Context, tables: readonly Table[]): SimulatorAnswer {
  const { state } = context;
  return page(
    context,
    tables.map((table) => tableDocument(state, table, table.content.before(state.readLagMs))),
  );
}

export function getRoute({ state }: Context, table: Table, name: string): SimulatorAnswer {
  const content = table.content.before(state.readLagMs);
  const route = content.routes.find((candidate) => sameId(candidate.name, name));
  if (!route) throw refusals.noChild(`${table.id}/routes/${name}`);
  return ok(routeDocument(table, route, content));
}

export function listRoutes(context: Context, table: Table): SimulatorAnswer {
  const content = table.content.before(context.state.readLagMs);
  return page(
    context,
    content.routes.map((route) => routeDocument(table, route, content)),
  );
}

/** Those that are on it. */
export function subnetsOf(state: AzureState, { id }: Table): readonly Subnet[] {
  return [...state.networks.values()]
    .flatMap((network) => network.subnets)
    .filter(({ tableId }) => tableId !== undefined && sameId(tableId, id));
}
