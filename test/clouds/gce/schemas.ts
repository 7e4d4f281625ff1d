/** Bodies and query parameters of requests: what is known, and nothing else. */
import * as z from 'zod';
import type { SimulatorRequest } from '../simulator/http-server.ts';
import { refusals } from './errors.ts';

/** The parts of a Route that an insert may set and that are modelled. */
export const routeBodySchema = z.strictObject({
  kind: z.literal('compute#route').optional(),
  name: z.string().optional(),
  description: z.string().optional(),
  network: z.string().optional(),
  destRange: z.string().optional(),
  priority: z.number().optional(),
  tags: z.array(z.string()).optional(),
  nextHopInstance: z.string().optional(),
  nextHopIp: z.string().optional(),
  nextHopGateway: z.string().optional(),
  nextHopIlb: z.string().optional(),
  nextHopVpnTunnel: z.string().optional(),
});
export type RouteBody = z.infer<typeof routeBodySchema>;

/** What Google's Route has besides: of the server's own making, or not modelled. */
export const otherRouteFields: ReadonlySet<string> = new Set([
  ...['asPaths', 'creationTimestamp', 'id', 'nextHopHub', 'nextHopInterRegionCost', 'nextHopInterconnectAttachment'],
  ...[
    'nextHopMed',
    'nextHopNetwork',
    'nextHopOrigin',
    'nextHopPeering',
    'params',
    'routeStatus',
    'routeType',
    'selfLink',
  ],
  'warnings',
]);

export const permissionsBodySchema = z.strictObject({ permissions: z.array(z.string()) });

/** @throws Refusal in Google's words for what does not fit. `others`: fields that Google has and the simulator has not. */
export function bodyOf<T>(
  { body, headers }: SimulatorRequest,
  schema: z.ZodType<T>,
  others: ReadonlySet<string> = new Set(),
): T {
  if (!/^application\/json\b/.test(headers['content-type'] ?? '')) {
    throw refusals.badJson(`Content-Type ${headers['content-type']} is not application/json.`);
  }
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw refusals.badJson('Expected a value.');
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const at = issue?.path.join('.') ?? '';
  if (issue?.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    if (others.has(key)) throw refusals.notModelled(`field ${key} in an insert`);
    throw refusals.unknownField(key, at);
  }
  throw refusals.badJson(`Invalid value at '${at}': ${issue?.message}`);
}

/** Parameters that every method of the API takes. */
const systemParameters: Readonly<Record<string, RegExp>> = {
  alt: /^json$/,
  $alt: /^json(?:;enum-encoding=(?:int|string))?$/,
  prettyPrint: /^(?:true|false)$/,
  $prettyPrint: /^(?:0|1|true|false)$/,
};

/**
 * The query's parameters, each once, of these names and the system's.
 *
 * @throws Refusal for others.
 */
export function parametersOf({ url }: SimulatorRequest, names: readonly string[]): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    if (systemParameters[name]) {
      if (!systemParameters[name].test(value)) throw refusals.notModelled(`${name}=${value}`);
      continue;
    }
    if (!names.includes(name)) throw refusals.unknownParameter(name);
    if (found[name] !== undefined) throw refusals.badJson(`Parameter '${name}' is given twice.`);
    found[name] = value;
  }
  return found;
}

/** A non-zero UUID, or undefined. @throws Refusal for anything else. */
export function requestIdOf(parameters: Readonly<Record<string, string>>): string | undefined {
  const id = parameters['requestId'];
  if (id === undefined) return undefined;
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id) || /^[0-]+$/.test(id)) {
    throw refusals.invalid('requestId', id, 'Must be a UUID other than the zero UUID.');
  }
  return id.toLowerCase();
}
