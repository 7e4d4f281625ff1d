/** Writes of route tables and their routes. */
import * as z from 'zod';
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { begun, type Context } from './answers.ts';
import { refusals } from './errors.ts';
import { sameId, shorten } from './ids.ts';
import { isObject, type Json, type JsonObject, sameJson, without } from './json.ts';
import type { Operation } from './operations.ts';
import { checkIdle, checkPreconditions, parseBody } from './preconditions.ts';
import { checkRoutes, issueText, readRoute } from './route-rules.ts';
import { type AzureState, newEtag, type StoredRoute, type Table, type TableContent } from './state.ts';
import { lostByPart, lostByWhole, type TableAsPut } from './table-offences.ts';
import { routeDocument, subnetsOf, tableDocument } from './tables.ts';

/** `RouteTable` of API version 2026-01-01; what is read-only is taken and ignored. */
const tableSchema = z.strictObject({
  id: z.string().optional(),
  name: z.string().optional(),
  type: z.string().optional(),
  etag: z.string().optional(),
  location: z.string(),
  tags: z.record(z.string(), z.string()).optional(),
  properties: z.strictObject({
    provisioningState: z.string().optional(),
    resourceGuid: z.string().optional(),
    disableBgpRoutePropagation: z.boolean().optional(),
    disablePeeringRoute: z.enum(['None', 'All']).optional(),
    routes: z.array(z.unknown()).optional(),
    subnets: z.array(z.unknown()).optional(),
  }),
});

const readOnlyProperties = ['provisioningState', 'resourceGuid', 'routes', 'subnets'];

export async function putTable(context: Context, table: Table): Promise<SimulatorAnswer> {
  const { state } = context;
  const put = readTable(context.body, table, state.location);
  if (table.locked) throw refusals.locked(table.id, 'write');
  const before = table.content.current;
  checkIdle(context, table.id, table.writer, false);
  checkSubnets(state, table);
  checkPreconditions(context, table.id, before.etag);
  checkRoutes(put.routes, table.id, state.routeLimit);
  refuseLoss(state, lostByWhole(table, put));
  const operation = await write(context, table, 'PutRouteTableOperation', {
    settings: put.settings,
    routes: put.routes,
  });
  return begun(context, operation, tableDocument(state, table, operation.interim), 200);
}

export async function putRoute(context: Context, table: Table, name: string): Promise<SimulatorAnswer> {
  const { state } = context;
  const id = `${table.id}/routes/${name}`;
  const { settings, routes, etag } = table.content.current;
  const before = routes.find((route) => sameId(route.name, name));
  const route = readRoute(parseBody(context.body), table.id, name, () => before);
  if (table.locked) throw refusals.locked(id, 'write');
  checkIdle(context, table.id, table.writer, true);
  checkSubnets(state, table);
  checkPreconditions(context, id, before && etag);
  const next = before ? routes.map((other) => (other === before ? route : other)) : [...routes, route];
  checkRoutes(next, table.id, state.routeLimit);
  refuseLoss(state, lostByPart(before, route));
  const operation = await write(context, table, 'PutRouteOperation', { settings, routes: next });
  const document = routeDocument(table, route, operation.interim, 'Updating');
  return begun(context, operation, document, before ? 200 : 201);
}

export async function deleteRoute(context: Context, table: Table, name: string): Promise<SimulatorAnswer> {
  const { state } = context;
  const id = `${table.id}/routes/${name}`;
  const { settings, routes, etag } = table.content.current;
  const before = routes.find((route) => sameId(route.name, name));
  if (!before) return { status: 204 };
  if (table.locked) throw refusals.locked(id, 'delete');
  checkIdle(context, table.id, table.writer, true);
  checkSubnets(state, table);
  checkPreconditions(context, id, etag);
  refuseLoss(state, lostByPart(before, undefined));
  const next = routes.filter((other) => other !== before);
  const operation = await write(context, table, 'DeleteRouteOperation', { settings, routes: next });
  return begun(context, operation, undefined, 202);
}

/**
 * Gives the table its next content. Who reads sees it at once, as `Updating`; packets follow it, and etag and state are final, when
 * the operation has ended.
 */
async function write(
  { state, half }: Pick<Context, 'state' | 'half'>,
  table: Table,
  name: string,
  next: Pick<TableContent, 'settings' | 'routes'>,
): Promise<Operation & { readonly interim: TableContent }> {
  const before = table.content.current;
  const operation = state.operations.begin(name);
  const interim: TableContent = { ...next, etag: newEtag(), state: 'Updating' };
  table.writer = operation;
  table.content.set(interim);
  await state.operations.run(operation, async () => {
    const failure = half
      ? { code: 'RetryableError', message: 'A retryable error occurred.', details: [] }
      : state.takeFailure();
    const made = half ? halfway(before.routes, next.routes) : failure ? before.routes : next.routes;
    await settle(state, table, { ...next, routes: made, etag: newEtag(), state: failure ? 'Failed' : 'Succeeded' });
    return failure;
  });
  return Object.assign(operation, { interim });
}

/** Makes it what packets follow, and frees the table for the next writer. */
export async function settle(state: AzureState, table: Table, content: TableContent): Promise<void> {
  try {
    table.effective = content.routes;
    await state.listeners.tell({ kind: 'routes', tableId: shorten(table.id) });
  } finally {
    table.content.set(content);
    table.writer = undefined;
  }
}

/** `before` with the first half of the changes that make it `after`. */
function halfway(before: readonly StoredRoute[], after: readonly StoredRoute[]): readonly StoredRoute[] {
  const gone = before.filter((route) => !after.some(({ name }) => sameId(name, route.name)));
  const put = after.filter((route) => !before.includes(route));
  const changes = [
    ...gone.map(({ name }) => ({ name, route: undefined })),
    ...put.map((route) => ({ name: route.name, route })),
  ];
  const made = new Map(before.map((route) => [route.name.toLowerCase(), route]));
  for (const { name, route } of changes.slice(0, Math.floor(changes.length / 2))) {
    if (route) made.set(name.toLowerCase(), route);
    else made.delete(name.toLowerCase());
  }
  return [...made.values()];
}

/** A subnet that is being written holds its table as well. @throws Refusal */
function checkSubnets(state: AzureState, table: Table): void {
  const busy = subnetsOf(state, table).find(({ writer }) => writer !== undefined);
  if (busy?.writer) throw refusals.notProvisioned(busy.id, table.id, busy.writer.name);
}

function refuseLoss(state: AzureState, loss: string | undefined): void {
  if (loss === undefined) return;
  state.offences.push(loss);
  throw refusals.offence(loss);
}

function readTable(body: string, table: Table, location: string): TableAsPut {
  const value = parseBody(body);
  if (!isObject(value)) throw refusals.badJson('A route table is no object.');
  const properties = isObject(value['properties']) ? value['properties'] : {};
  const published = {
    ...without(value, Object.keys(table.extras)),
    ...('properties' in value ? { properties: without(properties, Object.keys(table.propertyExtras)) } : {}),
  };
  const parsed = tableSchema.safeParse(published);
  if (!parsed.success) throw refusals.badJson(issueText(parsed.error));
  const { name, location: wanted } = parsed.data;
  if (name !== undefined && !sameId(name, table.id.split('/').at(-1) ?? '')) {
    throw refusals.badJson(`The name '${name}' in the body is not that of the URL.`);
  }
  if (wanted !== location) throw refusals.locationFixed(table.id, location);
  const { routes: before } = table.content.current;
  const standing = (route: string) => before.find((candidate) => sameId(candidate.name, route));
  const routes = Array.isArray(properties['routes']) ? (properties['routes'] as readonly Json[]) : [];
  return {
    tags: isObject(value['tags']) ? value['tags'] : undefined,
    extras: pick(value, Object.keys(table.extras)),
    propertyExtras: pick(properties, Object.keys(table.propertyExtras)),
    settings: without(properties, [...readOnlyProperties, ...Object.keys(table.propertyExtras)]),
    routes: routes.map((route) => {
      const read = readRoute(route, table.id, undefined, standing);
      const same = standing(read.name);
      // An unchanged one stays itself, so that what changed can be told.
      return same && sameJson(same.properties, read.properties) && sameJson(same.extras, read.extras) ? same : read;
    }),
  };
}

function pick(object: JsonObject, members: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([member]) => members.includes(member)));
}
