/** Network interfaces, subnets, machines and metadata of the simulated Azure, by raw HTTP. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type AzureInstance, type AzureWorld, createAzureWorld } from '../../clouds/azure/world.ts';
import { type Answered, ask, ended, pathOf } from './azure-client.ts';

let world: AzureWorld;
let node: AzureInstance;
let nic: string;

beforeEach(async () => {
  world = await createAzureWorld();
  node = await world.runInstance(world.subnets[0], '10.0.1.10');
  nic = pathOf('nic', node.nicId);
});
afterEach(async () => await world.stop());

const get = async (path: string, version = '2026-01-01') => (await ask(world, { path, version })).body;
const forwarding = (read: Answered['body'], on: boolean | undefined) => ({
  ...read,
  properties: { ...read.properties, enableIPForwarding: on },
});

describe('a network interface', () => {
  it('forwards once that is switched on, which is an operation and nothing else of it', async () => {
    const told: unknown[] = [];
    world.onChange(async (change) => void told.push(change));
    const read = await get(nic);
    expect(read.properties).toMatchObject({
      enableIPForwarding: false,
      ipConfigurations: [
        { properties: { privateIPAddress: '10.0.1.10' } },
        { properties: { privateIPAddress: node.address6, privateIPAddressVersion: 'IPv6' } },
      ],
    });

    const headers = { 'if-match': read.etag };
    const answer = await ask(world, { method: 'PUT', path: nic, body: forwarding(read, true), headers });
    expect(answer.status).toBe(200);
    expect((await ended(world, answer)).body.status).toBe('Succeeded');
    expect(await world.forwards(node.nicId)).toBe(true);
    expect(told).toEqual([{ kind: 'forwards', nicId: node.nicId, forwards: true }]);
    const after = await get(nic);
    expect(after.etag).not.toBe(read.etag);
    expect({ ...after.properties, enableIPForwarding: false }).toMatchObject({
      ...read.properties,
      ipConfigurations: expect.anything(),
    });
    const stale = await ask(world, { method: 'PUT', path: nic, body: forwarding(read, true), headers });
    expect(stale.body.error).toMatchObject({ details: [{ code: 'PreconditionFailedEtagMismatch' }] });

    await ask(world, { method: 'PUT', path: nic, body: forwarding(await get(nic), undefined) });
    expect(await world.forwards(node.nicId)).toBe(false);
  });

  it.each<readonly [string, (read: Answered['body']) => unknown]>([
    ['what the SDK does not know', (read) => without(read, 'queuePlacement')],
    ['its security group', (read) => without(read, 'networkSecurityGroup')],
    ['accelerated networking', (read) => without(read, 'enableAcceleratedNetworking')],
    ['tags', ({ tags: _, ...read }) => read],
    ['an address', (read) => having(read, { ipConfigurations: read.properties.ipConfigurations.slice(1) })],
    ['digits', (read) => JSON.parse(JSON.stringify(read).replace('4.0', '4'))],
  ])('that loses %s by a PUT is refused, and kept as an offence', async (_, lose) => {
    const answer = await ask(world, { method: 'PUT', path: nic, body: lose(forwarding(await get(nic), true)) });
    expect(answer.body.error.code).toBe('SimulatorOffence');
    expect(world.offences()).toHaveLength(1);
    expect(await world.forwards(node.nicId)).toBe(false);
  });

  it.each([
    'Microsoft.Network/virtualNetworks/subnets/join/action',
    'Microsoft.Network/networkSecurityGroups/join/action',
  ])('is not written without the right %s', async (right) => {
    world.setRights('node', { readmeWithout: right });
    const body = forwarding(await get(nic), true);
    const answer = await ask(world, { method: 'PUT', path: nic, body, caller: `node/${node.id}` });
    expect([answer.status, answer.body.error.code]).toEqual([403, 'LinkedAuthorizationFailed']);
    expect(answer.body.error.message).toContain(right);
  });

  it('is one writer’s at a time, and stays as it was when the operation fails', async () => {
    world.setOperationDelay(50);
    world.failNextOperation({ code: 'InternalServerError', message: 'An error occurred.' });
    const body = forwarding(await get(nic), true);
    const answer = await ask(world, { method: 'PUT', path: nic, body });
    expect((await ask(world, { method: 'PUT', path: nic, body })).status).toBe(409);
    expect((await ended(world, answer)).body.status).toBe('Failed');
    expect((await get(nic)).properties).toMatchObject({ provisioningState: 'Failed', enableIPForwarding: false });
  });

  it('forwards when the operation has ended, and is shown as a while ago where reads lag', async () => {
    world.setOperationDelay(30);
    const read = await get(nic);
    const answer = await ask(world, { method: 'PUT', path: nic, body: forwarding(read, true) });
    expect((await get(nic)).properties).toMatchObject({ provisioningState: 'Updating', enableIPForwarding: true });
    expect(await world.forwards(node.nicId)).toBe(false);
    await ended(world, answer);
    expect(await world.forwards(node.nicId)).toBe(true);
    world.setReadLag(5000);
    expect(await get(nic)).toEqual(read);
  });

  it('takes a switch that is true or false', async () => {
    const read = await get(nic);
    const answer = await ask(world, { method: 'PUT', path: nic, body: having(read, { enableIPForwarding: 'on' }) });
    expect(answer.body.error.code).toBe('InvalidRequestFormat');
  });

  it('tells what its packets follow', async () => {
    await world.putRoute(world.subnets[0].tableId, '10.244.1.0/24', node);
    const answer = await ask(world, { method: 'POST', path: `${nic}/effectiveRouteTable` });
    expect(answer.status).toBe(202);
    const { value } = await get(answer.headers.get('location') ?? '');
    expect(value).toContainEqual(
      expect.objectContaining({ source: 'User', addressPrefix: ['10.244.1.0/24'], nextHopIpAddress: ['10.0.1.10'] }),
    );
    expect(value).toContainEqual(expect.objectContaining({ source: 'Default', addressPrefix: ['10.0.0.0/16'] }));
  });
});

describe('a member of a scale set', () => {
  const nics = { version: '2018-10-01' };
  let member: AzureInstance;
  let set: string;
  beforeEach(async () => {
    member = await world.runInstance(world.subnets[0], '10.0.1.20', { scaleSet: 'Workers' });
    const [subscription, group, name] = member.id.split('/');
    set = `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachineScaleSets/${name}`;
  });

  it('has a NIC that only the lists of scale sets show, and that nobody writes', async () => {
    const number = member.id.split('/')[3];
    expect(member.nicId).toBe(`${member.id}/workers-nic`);
    const plain = await get(`/subscriptions/${world.subscription}/providers/Microsoft.Network/networkInterfaces`);
    expect(plain.value).toHaveLength(1);
    for (const path of [`${set}/networkInterfaces`, `${set}/virtualMachines/${number}/networkInterfaces`]) {
      const { body } = await ask(world, { path, ...nics });
      expect(body.value).toMatchObject([
        { properties: { ipConfigurations: [{ properties: { privateIPAddress: '10.0.1.20' } }, {}] } },
      ]);
    }
    const path = `${set}/virtualMachines/${number}/networkInterfaces/Workers-Nic`;
    const { body } = await ask(world, { path, ...nics });
    expect((await ask(world, { method: 'PUT', path, ...nics, body: forwarding(body, true) })).status).toBe(405);
    expect((await ask(world, { path: `${set}-not/networkInterfaces`, ...nics })).status).toBe(404);
  });

  it('is told of by its set, with its power state where that is asked for', async () => {
    const list = await get(`${set}/virtualMachines?$expand=instanceView`, '2024-07-01');
    expect(list.value).toMatchObject([{ name: expect.stringMatching(/^Workers_/), instanceId: expect.anything() }]);
    expect(list.value[0].properties.instanceView.statuses).toContainEqual(
      expect.objectContaining({ code: 'PowerState/running' }),
    );
    await world.stopInstance(member.id);
    const view = await get(`${set}/virtualMachines/${member.id.split('/')[3]}/instanceView`, '2024-07-01');
    expect(view.statuses[1].code).toBe('PowerState/deallocated');
  });

  it('knows of its set from its metadata', () => {
    expect(member.metadata.state.compute).toMatchObject({ vmScaleSetName: 'Workers' });
    expect(member.metadata.state.compute.resourceId).toContain('/virtualMachineScaleSets/Workers/virtualMachines/');
  });
});

describe('a machine', () => {
  const version = '2024-07-01';

  it('names its NIC in another letter case, and its power state where that is asked for', async () => {
    const machine = pathOf('machine', node.id);
    const read = await get(machine, version);
    const [{ id }] = read.properties.networkProfile.networkInterfaces;
    expect(id.toLowerCase()).toBe((await get(nic)).id.toLowerCase());
    expect(id).not.toBe((await get(nic)).id);
    expect(read.properties.instanceView).toBeUndefined();
    await world.stopInstance(node.id);
    const { properties } = await get(`${machine}?$expand=instanceView`, version);
    expect(properties.instanceView.statuses[1].code).toBe('PowerState/deallocated');
    expect((await get(`${machine}/instanceView`, version)).statuses[1].code).toBe('PowerState/deallocated');
  });

  it('is listed without its state but for statusOnly, and gone with its NIC when deleted', async () => {
    const path = `/subscriptions/${world.subscription}/providers/Microsoft.Compute/virtualMachines`;
    expect((await get(path, version)).value[0].properties.instanceView).toBeUndefined();
    expect((await get(`${path}?statusOnly=true`, version)).value[0].properties.instanceView).toBeDefined();
    expect((await get(`${path}?$expand=instanceView`, version)).error.code).toBe('BadRequest');
    await world.terminateInstance(node.id);
    expect((await get(path, version)).value).toEqual([]);
    expect((await get(pathOf('machine', node.id), version)).error.code).toBe('ResourceNotFound');
    expect((await get(nic)).error.code).toBe('ResourceNotFound');
  });
});

describe('a subnet', () => {
  it('names its table, its NICs and its security group', async () => {
    const path = pathOf('subnet', world.subnets[0].id);
    const read = await get(path);
    expect(read.properties).toMatchObject({
      addressPrefixes: ['10.0.1.0/24', 'fd00:10:0:1::/64'],
      routeTable: { id: expect.stringMatching(/^\/subscriptions\/.*\/routeTables\/Nodes-Routes$/) },
    });
    expect(read.properties.ipConfigurations[0].properties).toBeUndefined();
    const expanded = await get(`${path}?$expand=ipConfigurations`);
    expect(expanded.properties.ipConfigurations[0].properties.privateIPAddress).toBe('10.0.1.10');
    const network = await get(path.replace(/\/subnets\/.*/, ''));
    expect(network.properties.subnets).toHaveLength(2);
    expect((await get(path.replace(/\/[^/]*$/, ''))).value).toHaveLength(2);
    const group = await get(read.properties.networkSecurityGroup.id);
    expect(group.properties.defaultSecurityRules).toHaveLength(6);
  });

  it('can be put on another table, or on none, and is not otherwise changed', async () => {
    const path = pathOf('subnet', world.subnets[0].id);
    const read = await get(path);
    const other = { id: (await get(pathOf('table', world.subnets[1].tableId))).id };
    world.setActions('controller', ['Microsoft.Network/virtualNetworks/subnets/write']);
    const put = (body: unknown, caller = 'test') => ask(world, { method: 'PUT', path, body, caller });
    expect((await put(having(read, { routeTable: other }), 'controller/a')).body.error.code).toBe(
      'LinkedAuthorizationFailed',
    );
    expect((await ended(world, await put(having(read, { routeTable: other })))).body.status).toBe('Succeeded');
    expect((await get(path)).properties.routeTable.id.toLowerCase()).toBe(other.id.toLowerCase());
    expect((await put(without(read, 'routeTable'))).status).toBe(200);
    expect((await get(path)).properties.routeTable).toBeUndefined();
    expect((await put(without(read, 'networkSecurityGroup'))).body.error.code).toBe('SimulatorOffence');
  });
});

describe('the metadata server', () => {
  const asked = async (path: string, headers: Readonly<Record<string, string>> = { Metadata: 'true' }) => {
    const { server, stop } = await world.startMetadata(node);
    const response = await fetch(`${server.urls[0]}${path}`, { headers });
    const answer = { status: response.status, text: await response.text() };
    await stop();
    return answer;
  };

  it('describes the machine by names, MAC and addresses, without NIC, subnet or network', async () => {
    const { status, text } = await asked('/metadata/instance?api-version=2021-02-01');
    expect(status).toBe(200);
    const { compute, network } = JSON.parse(text);
    expect(compute).toMatchObject({ name: 'Node-0', resourceGroupName: 'Nodes-RG', azEnvironment: 'AzurePublicCloud' });
    expect(network.interface).toEqual([
      {
        ipv4: {
          ipAddress: [{ privateIpAddress: '10.0.1.10', publicIpAddress: '' }],
          subnet: [{ address: '10.0.1.0', prefix: '24' }],
        },
        ipv6: {
          ipAddress: [{ privateIpAddress: node.address6 }],
          subnet: [{ address: 'fd00:10:0:1::', prefix: '64' }],
        },
        macAddress: node.mac.replaceAll(':', '').toUpperCase(),
      },
    ]);
    const leaf = await asked('/metadata/instance/compute/name?api-version=2021-02-01&format=text');
    expect(leaf.text).toBe('Node-0');
    expect((await asked('/metadata/versions')).text).toContain('2021-02-01');
  });

  const token = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com';
  it.each<readonly [string, string, Readonly<Record<string, string>> | undefined, number]>([
    ['without the header', '/metadata/instance?api-version=2021-02-01', {}, 400],
    [
      'through a proxy',
      '/metadata/instance?api-version=2021-02-01',
      { Metadata: 'true', 'X-Forwarded-For': '1.2.3.4' },
      400,
    ],
    ['without a version', '/metadata/instance', undefined, 400],
    ['in a version of its own', '/metadata/instance?api-version=2021-02-02', undefined, 400],
    ['for nothing there is', '/metadata/instance/compute/nothing?api-version=2021-02-01', undefined, 404],
    ['for a token without the header', token, {}, 400],
    ['for a token through a proxy', token, { Metadata: 'true', 'X-Forwarded-For': '1.2.3.4' }, 400],
    ['for a token of nobody', `${token}&client_id=00000000-0000-0000-0000-000000000000`, undefined, 400],
    ['for a token for nothing', token.replace(/&resource.*/, ''), undefined, 400],
    ['for a token for another service', token.replace('management', 'vault'), undefined, 400],
    ['for a token in no version', token.replace('2018-02-01', '2018-02-02'), undefined, 400],
  ])('refuses to answer %s', async (_, path, headers, status) => {
    expect((await asked(path, headers)).status).toBe(status);
  });

  it('issues a token that names the machine', async () => {
    const { access_token: text, expires_on: expires } = JSON.parse((await asked(token)).text);
    expect(Number(expires)).toBeGreaterThan(Date.now() / 1000);
    world.resetRequests();
    await ask(world, { path: nic, caller: null, headers: { authorization: `Bearer ${text}` } });
    expect(world.requests()).toMatchObject([{ caller: `node/${node.id}`, outcome: 'ok' }]);
  });

  it('wants to know which, where a machine has several identities', async () => {
    const { state } = node.metadata;
    const [one] = state.identities;
    const user = (clientId: string) => ({
      ...one,
      clientId,
      objectId: `o-${clientId}`,
      resourceId: `/Identities/${clientId}`,
    });
    const { server } = await world.startMetadata(node);
    server.setState({ ...state, identities: [user('a'), user('b')] as typeof state.identities });
    const get = async (more: string) => {
      const response = await fetch(`${server.urls[0]}${token}${more}`, { headers: { Metadata: 'true' } });
      return (await response.json()) as { client_id?: string; error_description?: string };
    };
    expect((await get('')).error_description).toContain('Multiple user assigned identities exist');
    expect((await get('&client_id=b')).client_id).toBe('b');
    expect((await get('&mi_res_id=/identities/A')).client_id).toBe('a');
    expect((await get('&client_id=a&object_id=o-a')).error_description).toContain('Only one');
    server.setState({ ...state, identities: [] });
    expect((await get('')).error_description).toBe('Identity not found');
  });
});

function having(read: Answered['body'], properties: object): unknown {
  return { ...read, properties: { ...read.properties, ...properties } };
}

function without(read: Answered['body'], member: string): unknown {
  const { [member]: _, ...properties } = read.properties;
  return { ...read, properties };
}
