/** What a packet from a NIC follows, as `effectiveRouteTable` tells it, and results of operations behind `Location`. */
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { begun, type Context, ok } from './answers.ts';
import { armRefusal, commonHeaders } from './errors.ts';
import { shorten } from './ids.ts';
import type { Json, JsonObject } from './json.ts';
import { remainingSeconds } from './operations.ts';
import type { AzureState, Nic } from './state.ts';

const results = new WeakMap<object, JsonObject>();

export async function effectiveRoutes(context: Context, nic: Nic): Promise<SimulatorAnswer> {
  const operation = context.state.operations.begin('GetEffectiveRoutesOperation');
  results.set(operation, { value: [...routesOf(context.state, nic)] });
  await context.state.operations.run(operation, async () => undefined);
  return begun(context, operation, undefined, 202);
}

/** 202 while it is under way; then its result, or nothing where it has none. */
export function operationResult(context: Context, id: string): SimulatorAnswer {
  const operation = context.state.operations.find(id);
  if (!operation) throw armRefusal(404, { code: 'OperationNotFound', message: `Operation ${id} was not found.` });
  if (operation.status === 'InProgress') {
    const again = { location: context.url.href, 'retry-after': String(remainingSeconds(operation)) };
    return { status: 202, headers: { ...commonHeaders(), ...again } };
  }
  if (operation.error) throw armRefusal(500, operation.error);
  const result = results.get(operation);
  return result ? ok(result) : { status: 204, headers: commonHeaders() };
}

function* routesOf(state: AzureState, nic: Nic): Iterable<JsonObject> {
  const route = (source: string, prefix: Json, type: Json, addresses: readonly Json[] = []): JsonObject => ({
    source,
    state: 'Active',
    addressPrefix: [prefix],
    nextHopType: type,
    nextHopIpAddress: addresses,
  });
  for (const { prefixes, subnets } of state.networks.values()) {
    if (!subnets.includes(nic.subnet)) continue;
    for (const prefix of prefixes) yield route('Default', prefix, 'VnetLocal');
  }
  const table = nic.subnet.tableId === undefined ? undefined : state.tables.get(shorten(nic.subnet.tableId));
  for (const { name, properties } of table?.effective ?? []) {
    const { addressPrefix = null, nextHopType = null, nextHopIpAddress } = properties;
    const addresses = nextHopIpAddress === undefined ? [] : [nextHopIpAddress];
    yield { name, ...route('User', addressPrefix, nextHopType, addresses) };
  }
}
