/** Network interfaces: documents, lists, and the one write that is modelled, the switch of IP forwarding. */
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { begun, type Context, ok, page } from './answers.ts';
import { refusals } from './errors.ts';
import { shorten } from './ids.ts';
import { isObject, type Json, type JsonObject, sameJson, without } from './json.ts';
import { checkIdle, checkPreconditions, parseBody } from './preconditions.ts';
import { type AzureState, type Nic, newEtag, type ProvisioningState } from './state.ts';

function nicDocument({ content }: Nic, lagMs = 0): JsonObject {
  const { document, etag, state } = content.before(lagMs);
  const properties = propertiesOf(document);
  const configurations = properties['ipConfigurations'] as readonly JsonObject[];
  return {
    ...document,
    etag,
    properties: {
      provisioningState: state,
      ...properties,
      ipConfigurations: configurations.map((configuration) => ({ ...configuration, etag })),
    },
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
  const { enableIPForwarding: wanted } = propertiesOf(value);
  if (wanted !== undefined && typeof wanted !== 'boolean') {
    throw refusals.badJson("Error converting value to type 'System.Boolean'. Path 'properties.enableIPForwarding'.");
  }
  checkIdle(context, nic.id, nic.writer, false);
  const before = nic.content.current.document;
  checkPreconditions(context, nic.id, nic.content.current.etag);
  const loss = lost(before, value);
  if (loss !== undefined) {
    state.offences.push(loss);
    throw refusals.offence(loss);
  }
  // Absent means the API's default.
  const after = forwarding(before, wanted ?? false);
  const operation = state.operations.begin('PutNetworkInterfaceOperation');
  nic.writer = operation;
  nic.content.set({ document: after, etag: newEtag(), state: 'Updating' });
  const interim = nicDocument(nic);
  await state.operations.run(operation, async () => {
    const failure = context.half ? { code: 'InternalServerError', message: 'An error occurred.' } : state.takeFailure();
    await settleNic(state, nic, failure ? before : after, failure ? 'Failed' : 'Succeeded');
    return failure;
  });
  return begun(context, operation, interim, 200);
}

/** Makes it what the data path goes by, and frees the NIC for the next writer. */
export async function settleNic(
  { listeners }: Pick<AzureState, 'listeners'>,
  nic: Nic,
  document: JsonObject,
  state: ProvisioningState = 'Succeeded',
): Promise<void> {
  const forwards = propertiesOf(document)['enableIPForwarding'] === true;
  try {
    nic.forwards = forwards;
    await listeners.tell({ kind: 'forwards', nicId: shorten(nic.id), forwards });
  } finally {
    nic.content.set({ document, etag: newEtag(), state });
    nic.writer = undefined;
  }
}

/** The same but for the switch. */
export function forwarding(document: JsonObject, on: boolean): JsonObject {
  return { ...document, properties: { ...propertiesOf(document), enableIPForwarding: on } };
}

function propertiesOf(document: JsonObject): JsonObject {
  const { properties } = document;
  return isObject(properties) ? properties : {};
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
  const { ipConfigurations, ...rest } = without(propertiesOf(document), [
    ...propertiesSetByCloud,
    'enableIPForwarding',
  ]);
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
