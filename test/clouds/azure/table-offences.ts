/**
 * What a write would take from others. The cloud does it without a word; here it is refused and kept, so that a test can't miss it.
 * Routes that the client may change (its own, and another hand's that stand in its way) keep at least what no API version knows.
 */
import { sameId } from './ids.ts';
import { type Json, type JsonObject, sameJson } from './json.ts';
import { canonicalPrefix, unpublished } from './route-rules.ts';
import type { StoredRoute, Table } from './state.ts';

/** A whole table as a client wants it. */
export interface TableAsPut {
  readonly tags: JsonObject | undefined;
  readonly extras: JsonObject;
  readonly propertyExtras: JsonObject;
  readonly settings: JsonObject;
  readonly routes: readonly StoredRoute[];
}

/** What the PUT of a whole table would lose or change that is not the client's, in words. */
export function lostByWhole(table: Table, put: TableAsPut): string | undefined {
  const name = table.id.split('/').at(-1);
  const parts: readonly (readonly [what: string, before: Json | undefined, after: Json | undefined])[] = [
    ['tags', table.tags, put.tags],
    ['top-level members', table.extras, put.extras],
    ['members of properties', table.propertyExtras, put.propertyExtras],
    ['settings', table.content.current.settings, put.settings],
  ];
  const part = parts.find(([, before, after]) => !sameJson(before, after));
  if (part)
    return `the PUT of ${name} changes its ${part[0]}: ${JSON.stringify(part[1])} to ${JSON.stringify(part[2])}`;
  for (const before of table.content.current.routes) {
    const after = put.routes.find((route) => sameId(route.name, before.name)) ?? renamed(before, put.routes);
    const lost = lostByPart(before, after);
    if (lost !== undefined) return lost;
  }
  return undefined;
}

/** The same for a route: what it was, and what it is to be; undefined when it is not there. */
export function lostByPart(before: StoredRoute | undefined, after: StoredRoute | undefined): string | undefined {
  if (!before || before === after) return undefined;
  const text = `${before.name} (${before.properties['addressPrefix']})`;
  if (before.fixed && !after) return `another one's route ${text} would be deleted`;
  if (before.fixed && after) return difference(text, before.properties, after.properties, before, after);
  if (!after) return undefined;
  const rest = (route: StoredRoute): JsonObject =>
    Object.fromEntries(unpublished(route.properties).map((member) => [member, route.properties[member] ?? null]));
  return difference(text, rest(before), rest(after), before, after);
}

function difference(
  text: string,
  properties: JsonObject,
  changed: JsonObject,
  before: StoredRoute,
  after: StoredRoute,
): string | undefined {
  if (!sameJson(properties, changed)) {
    return `another one's members of route ${text} would change: ${JSON.stringify(properties)} to ${JSON.stringify(changed)}`;
  }
  if (!sameJson(before.extras, after.extras)) {
    return `members beside the properties of route ${text} would change: ${JSON.stringify(before.extras)} to ${JSON.stringify(after.extras)}`;
  }
  return undefined;
}

/** The route that takes its place under another name, if any. */
function renamed(before: StoredRoute, routes: readonly StoredRoute[]): StoredRoute | undefined {
  const prefix = canonicalPrefix(String(before.properties['addressPrefix']));
  return routes.find(({ properties }) => canonicalPrefix(String(properties['addressPrefix'])) === prefix);
}
