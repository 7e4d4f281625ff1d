/** The Azure simulator and the official SDKs, unchanged but for options of their clients. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NetworkManagementClient } from '@azure/arm-network';
import { WorkloadIdentityCredential } from '@azure/identity';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type AzureWorld, createAzureWorld } from '../../clouds/azure/world.ts';
import { pathOf } from './azure-client.ts';

let world: AzureWorld;
let folder: string;

beforeAll(async () => {
  world = await createAzureWorld();
  folder = await mkdtemp(join(tmpdir(), 'azure-sdk-'));
});

afterAll(async () => {
  await world?.stop();
  if (folder) await rm(folder, { recursive: true });
});

afterEach(() => world.clearFaults());

/** Group and name of a short id. */
function parts(id: string): readonly [group: string, name: string] {
  const [, group = '', name = ''] = id.split('/');
  return [group, name];
}

/** The SDK refuses to send a bearer token in clear: a policy of ours does. */
function clientWith(text: string): NetworkManagementClient {
  const made = new NetworkManagementClient(
    { getToken: async () => ({ token: text, expiresOnTimestamp: Date.now() + 3_600_000 }) },
    world.subscription,
    { endpoint: world.url, allowInsecureConnection: true, retryOptions: { maxRetries: 0 } },
  );
  made.pipeline.removePolicy({ name: 'bearerTokenAuthenticationPolicy' });
  made.pipeline.addPolicy({
    name: 'tokenInClear',
    sendRequest(request, next) {
      request.headers.set('authorization', `Bearer ${text}`);
      return next(request);
    },
  });
  return made;
}

function client(caller = 'test'): NetworkManagementClient {
  return clientWith(world.tokens.issue(caller).text);
}

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const ours = {
  addressPrefix: '10.244.1.0/24',
  nextHopType: 'VirtualAppliance',
  nextHopIpAddress: '10.0.1.10',
} as const;

describe('the simulated Azure under @azure/arm-network', () => {
  it('tells a subnet’s table in another letter case, and gives the table', async () => {
    const [, group = '', network = '', subnet = ''] = world.subnets[1].id.split('/');

    const found = await client().subnets.get(group, network, subnet);
    const table = await client().routeTables.get(...parts(world.tableIds[1] ?? ''));

    expect(found.routeTable?.id?.toLowerCase()).toBe(table.id?.toLowerCase());
    expect(found.routeTable?.id).not.toBe(table.id);
    expect(table.routes?.map(({ addressPrefix }) => addressPrefix)).toEqual(['0.0.0.0/0', '172.30.0.0/16']);
  });

  it('makes a route, replaces it and takes it out, each done when the poller says so', async () => {
    const node = await world.runInstance(world.subnets[0], '10.0.1.10');
    const [group, table] = parts(world.subnets[0].tableId);

    expect(await client().routes.createOrUpdate(group, table, 'ours', ours)).toMatchObject({
      ...{ name: 'ours', provisioningState: 'Succeeded' },
    });
    expect(await world.forwarding(world.subnets[0].tableId)).toContainEqual({
      destination: '10.244.1.0/24',
      target: { kind: 'nic', nicId: node.nicId },
    });
    await client().routes.createOrUpdate(group, table, 'ours', { ...ours, nextHopIpAddress: '10.0.1.99' });
    expect(await world.forwarding(world.subnets[0].tableId)).toContainEqual({
      destination: '10.244.1.0/24',
      target: { kind: 'blackhole' },
    });
    await client().routes.delete(group, table, 'ours');
    await client().routes.delete(group, table, 'ours');
    expect((await all(client().routes.list(group, table))).map(({ name }) => name)).not.toContain('ours');
  });

  it('waits for an operation, and tells of one that fails', async () => {
    const [group, table] = parts(world.subnets[0].tableId);
    world.failNextOperation({ code: 'RetryableError', message: 'A retryable error occurred.' });
    await expect(client().routes.createOrUpdate(group, table, 'ours', ours)).rejects.toThrow(/RetryableError/);
    world.setOperationDelay(30);
    const made = await client().routes.createOrUpdate(group, table, 'ours', ours, { updateIntervalInMs: 10 });
    world.setOperationDelay(0);
    expect(made.provisioningState).toBe('Succeeded');
    await client().routes.delete(group, table, 'ours');
  });

  it('gives its errors as the SDK reads them', async () => {
    const [group, table] = parts(world.subnets[0].tableId);
    const stale = { requestOptions: { headers: { 'If-Match': 'W/"00000000-0000-0000-0000-000000000000"' } } };
    await expect(client().routes.createOrUpdate(group, table, 'to-hub', ours, stale)).rejects.toMatchObject({
      code: 'PreconditionFailed',
      statusCode: 412,
      message: expect.anything(),
    });
    await expect(client().routeTables.get(group, 'none')).rejects.toMatchObject({ code: 'ResourceNotFound' });
    world.inject({ effect: { kind: 'refuse', as: 'throttled' } });
    const throttled = client().routeTables.get(group, table);
    await expect(throttled).rejects.toMatchObject({ code: 'SubscriptionRequestsThrottled', statusCode: 429 });
  });

  it('refuses the table that the SDK’s own types write back: they drop what they do not know', async () => {
    const [group, name] = parts(world.subnets[0].tableId);
    const read = await client().routeTables.get(group, name);
    const before = world.offences().length;

    await expect(client().routeTables.createOrUpdate(group, name, read)).rejects.toMatchObject({
      code: 'SimulatorOffence',
    });

    expect(world.offences()).toHaveLength(before + 1);
  });

  it('refuses the NIC that the SDK’s own types write back, and keeps it as it was', async () => {
    const node = await world.runInstance(world.subnets[1], '10.0.2.10');
    const [group, name] = parts(node.nicId);
    const read = await client().networkInterfaces.get(group, name);
    const put = client().networkInterfaces.createOrUpdate(group, name, { ...read, enableIPForwarding: true });
    await expect(put).rejects.toMatchObject({ code: 'SimulatorOffence' });
    expect(await world.forwards(node.nicId)).toBe(false);
  });

  it('lists in pages that the SDK follows, also the NICs of a scale set', async () => {
    for (let last = 50; last < 55; last += 1) {
      await world.runInstance(world.subnets[1], `10.0.2.${last}`, { scaleSet: 'Pool' });
      await world.runInstance(world.subnets[0], `10.0.1.${last}`);
    }
    const [group] = parts(world.networkId);
    world.resetRequests();
    const nics = await all(client().networkInterfaces.listAll());
    const members = await all(client().networkInterfaces.listVirtualMachineScaleSetNetworkInterfaces(group, 'Pool'));
    expect(nics.length).toBeGreaterThanOrEqual(5);
    expect(nics.some(({ name }) => name === 'Pool-Nic')).toBe(false);
    expect(members).toHaveLength(5);
    expect(new Set(members.map(({ id }) => id)).size).toBe(5);
    expect(world.requests().filter(({ operation }) => operation === 'LIST networkInterfaces').length).toBeGreaterThan(
      1,
    );
    expect((await all(client().routeTables.listAll())).map(({ id }) => id?.toLowerCase())).toEqual(
      world.tableIds.map((id) => pathOf('table', id).toLowerCase()),
    );
  });
});

describe('the simulated Azure under @azure/identity', () => {
  const scope = 'https://management.azure.com/.default';
  const usedBy = async (text: string) => {
    world.resetRequests();
    await clientWith(text).routeTables.get(...parts(world.subnets[0].tableId));
    return world.requests()[0]?.caller;
  };
  /** In a process of its own: the SDK keeps the first server's address and token for as long as the process lives. */
  const managedIdentity = async (environment: Readonly<Record<string, string>>): Promise<string> => {
    const program = `import { ManagedIdentityCredential } from '@azure/identity';
      const credential = new ManagedIdentityCredential({ retryOptions: { maxRetries: 0 } });
      process.stdout.write((await credential.getToken('${scope}')).token);`;
    const argv = ['--input-type=module', '-e', program];
    return (await promisify(execFile)(process.execPath, argv, { env: environment })).stdout;
  };

  it('gives a machine’s managed identity a token that names the machine', async () => {
    const node = await world.runInstance(world.subnets[0], '10.0.1.200');
    const { environment } = await world.startMetadata(node);
    expect(await usedBy(await managedIdentity(environment))).toBe(`node/${node.id}`);
  });

  it('gives an operator a token that names the operator', async () => {
    const environment = world.operatorEnvironment('controller', 'one');
    expect(await usedBy(await managedIdentity(environment))).toBe('controller/one');
  });

  it('gives a federated workload a token over TLS, for its own assertion only', async () => {
    const authority = await world.startAuthority(folder);
    const environment = await authority.federate('controller', 'pod');
    const tokenFilePath = environment['AZURE_FEDERATED_TOKEN_FILE'] ?? '';
    const ca = await readFile(authority.caFile, 'utf8');
    const credential = (): WorkloadIdentityCredential =>
      new WorkloadIdentityCredential({
        tenantId: environment['AZURE_TENANT_ID'] ?? '',
        clientId: environment['AZURE_CLIENT_ID'] ?? '',
        tokenFilePath,
        authorityHost: environment['AZURE_AUTHORITY_HOST'] ?? '',
        // Else the SDK asks the public cloud whether it knows this authority.
        disableInstanceDiscovery: true,
        tlsOptions: { ca },
        retryOptions: { maxRetries: 0 },
      });
    expect(await usedBy((await credential().getToken(scope)).token)).toBe('controller/pod');

    await writeFile(tokenFilePath, 'another.assertion.altogether');
    await expect(credential().getToken(scope)).rejects.toThrow(/AADSTS700213/);
  });
});
