/** Network interfaces: documents, lists, and the one write that is modelled, the switch of IP forwarding. */
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { begun, type Context, ok, page } from './answers.ts';
import { refusals } from './errors.ts';
import { shorten } from './ids.ts';
import { isObject, type Json, type JsonObject, sameJson, without } from './json.ts';
import { checkIdle, checkPreconditions } from './preconditions.ts';
import { type AzureState, type Nic, newEtag } from './state.ts';
import { parseBody } from './tables.ts';

export function nicDocument(nic: Nic, lagMs = 0): JsonObject {
  const document = nic.document.before(lagMs);
  const properties = document['properties'] as JsonObject;
  const configurations = (properties['ipConfigurations'] as readonly JsonObject[]).map((configuration) => ({
    ...configuration,
    etag: nic.etag,
  }));
  return {
    ...document,
    etag: nic.etag,
    properties: { provisioningState: nic.state, ...properties, ipConfigurations: configurations },
  };
}

export function getNic({ state }: Context, nic: Nic): SimulatorAnswer {
  return ok(nicDocument(nic, state.readLagMs));
}

export function listNics(context: Context, nics: readonly Nic[]): SimulatorAnswer {
  return page(
    context,
    nics.map((nic) => nicDocument(nic, context.state.readLagMs)),
  );
}

/** Ids of what a NIC is joined to, and the action that joins it: ARM asks for the right to each at every PUT. */
export function linksOf(nic: Nic): readonly { readonly action: string; readonly id: string }[] {
  const group = nic.subnet.securityGroupId;
  return [
    { action: 'Microsoft.Network/virtualNetworks/subnets/join/action', id: nic.subnet.id },
    ...(group === undefined ? [] : [{ action: 'Microsoft.Network/networkSecurityGroups/join/action', id: group }]),
  ];
}

export async function putNic(context: Context, nic: Nic): Promise<SimulatorAnswer> {
  const { state } = context;
  const value = parseBody(context.body);
  if (!isObject(value)) throw refusals.badJson('A network interface is no object.');
  const properties = isObject(value['properties']) ? value['properties'] : {};
  const { enableIPForwarding: wanted } = properties;
  if (wanted !== undefined && typeof wanted !== 'boolean') {
    throw refusals.badJson("Error converting value to type 'System.Boolean'. Path 'properties.enableIPForwarding'.");
  }
  checkIdle(context, nic.id, nic.writer, false);
  checkPreconditions(context, nic.id, nic.etag);
  const before = nic.document.current;
  const loss = lost(before, value);
  if (loss !== undefined) {
    state.offences.push(loss);
    throw refusals.offence(loss);
  }
  // Absent means the API's default.
  const forwards = wanted ?? false;
  const after = { ...before, properties: { ...(before['properties'] as JsonObject), enableIPForwarding: forwards } };
  const operation = state.operations.begin('PutNetworkInterfaceOperation');
  nic.writer = operation;
  nic.etag = newEtag();
  nic.state = 'Updating';
  nic.document.set(after);
  const interim = nicDocument(nic);
  await state.operations.run(operation, async () => {
    const failure = context.half ? { code: 'InternalServerError', message: 'An error occurred.' } : state.takeFailure();
    await settleNic(state, nic, failure ? before : after);
    nic.state = failure ? 'Failed' : 'Succeeded';
    return failure;
  });
  return begun(context, operation, interim, 200);
}

/** Makes it what the data path goes by, and frees the NIC for the next writer. */
export async function settleNic(state: AzureState, nic: Nic, document: JsonObject): Promise<void> {
  try {
    nic.document.set(document);
    await state.listeners.tell({ kind: 'forwards', nicId: shorten(nic.id), forwards: forwardsOf(nic) });
  } finally {
    nic.etag = newEtag();
    nic.writer = undefined;
  }
}

export function forwardsOf(nic: Nic): boolean {
  return (nic.document.current['properties'] as JsonObject)['enableIPForwarding'] === true;
}

/** What a PUT would lose or change besides the switch. Members that only the cloud sets may be left out. */
function lost(before: JsonObject, put: JsonObject): string | undefined {
  const name = String(before['name']);
  const given = asPut(put);
  const wanted = asPut(before);
  for (const member of new Set([...Object.keys(wanted), ...Object.keys(given)])) {
    if (!sameJson(wanted[member], given[member])) {
      const [was, is] = [JSON.stringify(wanted[member]), JSON.stringify(given[member])];
      return `the PUT of NIC ${name} changes ${member}: ${was} to ${is ?? 'nothing'}`;
    }
  }
  return undefined;
}

const setByCloud = ['id', 'name', 'type', 'etag', 'kind'];
const propertiesSetByCloud = [
  'provisioningState',
  'resourceGuid',
  'macAddress',
  'primary',
  'virtualMachine',
  'vnetEncryptionSupported',
  'hostedWorkloads',
  'tapConfigurations',
  'defaultOutboundConnectivityEnabled',
];

/** Flat and comparable: what a client decides, by path. */
function asPut(document: JsonObject): JsonObject {
  const properties = isObject(document['properties']) ? document['properties'] : {};
  const { ipConfigurations, ...rest } = without(properties, [...propertiesSetByCloud, 'enableIPForwarding']);
  const configurations: readonly Json[] = Array.isArray(ipConfigurations) ? ipConfigurations : [];
  return {
    ...without(document, [...setByCloud, 'properties']),
    ...Object.fromEntries(Object.entries(rest).map(([member, value]) => [`properties.${member}`, value])),
    'properties.ipConfigurations': configurations.map((configuration) => {
      if (!isObject(configuration)) return configuration;
      const inner = isObject(configuration['properties']) ? configuration['properties'] : {};
      return {
        ...without(configuration, ['id', 'type', 'etag', 'properties']),
        properties: without(inner, ['provisioningState']),
      };
    }),
  };
}
