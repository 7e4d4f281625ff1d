/** What the network resource provider demands of a route. Pure. */
import * as z from 'zod';
import { addressBits, cidrOf, formatCidr, parseInterfaceAddress, parseIp } from '../../../src/core/ip.ts';
import { refusals } from './errors.ts';
import { isResourceName } from './ids.ts';
import { isObject, type Json, type JsonObject, without } from './json.ts';
import type { StoredRoute } from './state.ts';

/** `RouteNextHopType` of API version 2026-01-01. */
const nextHopTypes = [
  'VirtualNetworkGateway',
  'VnetLocal',
  'Internet',
  'VirtualAppliance',
  'VirtualApplianceEcmp',
  'None',
] as const;

/** What the API calls `Route`; members that are read-only are taken and ignored. */
const routeSchema = z.strictObject({
  id: z.string().optional(),
  name: z.string().optional(),
  type: z.string().optional(),
  etag: z.string().optional(),
  properties: z.strictObject({
    addressPrefix: z.string().nullish(),
    nextHopType: z.enum(nextHopTypes),
    nextHopIpAddress: z.string().nullish(),
    nextHop: z.strictObject({ nextHopIpAddresses: z.array(z.string()) }).optional(),
    provisioningState: z.string().optional(),
    hasBgpOverride: z.boolean().optional(),
  }),
});

const readOnlyMembers = ['id', 'name', 'type', 'etag', 'properties'];
const readOnlyProperties = ['provisioningState', 'hasBgpOverride'];
const knownProperties = ['addressPrefix', 'nextHopType', 'nextHopIpAddress', 'nextHop', ...readOnlyProperties];

/** Tags of Azure services that may stand where a prefix does ("Virtual network traffic routing", service tags). */
const serviceTag = /^(?:AzureCloud|AzureMonitor|Storage|Sql|ApiManagement|AzureActiveDirectory)(?:\.[A-Za-z0-9]+)?$/;

/**
 * Reads one route as put. `standing`: what stands under this name, whose unpublished members must come back as they are, and may.
 * `parentId`: the table's id.
 *
 * @throws Refusal
 */
export function readRoute(
  value: Json | undefined,
  parentId: string,
  name: string | undefined,
  standing: (name: string) => StoredRoute | undefined,
): StoredRoute {
  if (!isObject(value)) throw refusals.badJson('A route is no object.');
  const named = name ?? (typeof value['name'] === 'string' ? value['name'] : undefined);
  if (named === undefined) throw refusals.badJson("Required property 'name' of a route is missing.");
  if (!isResourceName(named)) throw refusals.badName(named);
  const before = standing(named);
  const properties = isObject(value['properties']) ? value['properties'] : {};
  const allowed = { members: Object.keys(before?.extras ?? {}), properties: unpublished(before?.properties ?? {}) };
  const published: JsonObject = {
    ...without(value, allowed.members),
    ...('properties' in value ? { properties: without(properties, allowed.properties) } : {}),
  };
  const parsed = routeSchema.safeParse(published);
  if (!parsed.success) throw refusals.badJson(issueText(parsed.error));
  const id = `${parentId}/routes/${named}`;
  if (typeof value['name'] === 'string' && value['name'].toLowerCase() !== named.toLowerCase()) {
    throw refusals.badJson(`The name '${value['name']}' in the body is not that of the URL, '${named}'.`);
  }
  checkPrefix(parsed.data.properties.addressPrefix, id);
  checkNextHop(named, parsed.data.properties);
  return {
    name: before?.name ?? named,
    properties: withoutNulls(without(properties, readOnlyProperties)),
    extras: without(value, readOnlyMembers),
    fixed: before?.fixed ?? false,
  };
}

/** Members that no published API version knows. */
export function unpublished(properties: JsonObject): readonly string[] {
  return Object.keys(properties).filter((member) => !knownProperties.includes(member));
}

/** The first issue in the provider's manner. */
export function issueText(error: z.ZodError): string {
  const [issue] = error.issues;
  const path = issue?.path.join('.') ?? '';
  if (issue?.code === 'unrecognized_keys') {
    return `Could not find member '${issue.keys[0]}' on object. Path '${[...(issue.path ?? []), issue.keys[0]].join('.')}'.`;
  }
  return `${issue?.message ?? 'Invalid value'}. Path '${path}'.`;
}

/** The prefix's canonical text; a service tag's own. */
export function canonicalPrefix(text: string): string {
  const parsed = parseInterfaceAddress(text);
  return parsed ? formatCidr(cidrOf(parsed.ip, parsed.length)) : text.toLowerCase();
}

/** @throws Refusal two routes with one name or one prefix; more than the limit. */
export function checkRoutes(routes: readonly StoredRoute[], parentId: string, limit: number): void {
  const names = new Set<string>();
  const prefixes = new Map<string, string>();
  for (const { name, properties } of routes) {
    if (names.has(name.toLowerCase())) throw refusals.sameName(parentId, name);
    names.add(name.toLowerCase());
    const prefix = canonicalPrefix(String(properties['addressPrefix']));
    const other = prefixes.get(prefix);
    if (other !== undefined) throw refusals.samePrefix(name, other);
    prefixes.set(prefix, name);
  }
  if (routes.length > limit) throw refusals.routeLimit(limit);
}

function checkPrefix(text: string | null | undefined, id: string): void {
  if (text === undefined || text === null || text === '') throw refusals.noPrefix(id);
  if (serviceTag.test(text)) return;
  const parsed = parseInterfaceAddress(text);
  if (!parsed) throw refusals.badPrefix(text, id);
  const right = cidrOf(parsed.ip, parsed.length);
  if (right.address !== parsed.ip.value) throw refusals.hostBits(text, id, formatCidr(right));
}

function checkNextHop(name: string, route: z.infer<typeof routeSchema>['properties']): void {
  const { addressPrefix, nextHopType, nextHopIpAddress, nextHop } = route;
  if (nextHopType === 'VirtualApplianceEcmp') {
    if (!nextHop?.nextHopIpAddresses.length) throw refusals.badNextHop(name, 'VirtualApplianceEcmp needs addresses.');
    return;
  }
  if (nextHop) throw refusals.badNextHop(name, 'nextHop is only allowed with VirtualApplianceEcmp.');
  const given = nextHopIpAddress ?? '';
  if (nextHopType !== 'VirtualAppliance') {
    if (given !== '') throw refusals.badNextHop(name, 'nextHopIpAddress is only allowed with VirtualAppliance.');
    return;
  }
  const ip = parseIp(given);
  if (!ip)
    throw refusals.badNextHop(name, `nextHopIpAddress '${given}' is no address, and VirtualAppliance needs one.`);
  const prefix = parseInterfaceAddress(addressPrefix ?? '');
  if (prefix && prefix.ip.family !== ip.family) {
    const bits = addressBits(prefix.ip.family);
    throw refusals.badNextHop(
      name,
      `nextHopIpAddress '${given}' is not of the ${bits} bit family of ${addressPrefix}.`,
    );
  }
}

function withoutNulls(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== ''));
}
