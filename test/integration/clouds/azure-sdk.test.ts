/** The Azure simulator and the official SDK, unchanged but for options of its client. */
import { NetworkManagementClient } from '@azure/arm-network';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AzureWorld, createAzureWorld } from '../../clouds/azure/world.ts';

let world: AzureWorld;

beforeAll(async () => {
  world = await createAzureWorld();
});

afterAll(async () => {
  await world?.stop();
});

/** Group and name of a short id. */
function parts(id: string): readonly [group: string, name: string] {
  const [, group = '', name = ''] = id.split('/');
  return [group, name];
}

/** The SDK refuses to send a bearer token in clear: a policy of ours does. */
function client(caller = 'test'): NetworkManagementClient {
  const { text } = world.tokens.issue(caller);
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

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('the Azure simulator under @azure/arm-network', () => {
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
    const put = async (address: string) =>
      await client().routes.createOrUpdate(group, table, 'ours', {
        ...{ addressPrefix: '10.244.1.0/24', nextHopType: 'VirtualAppliance', nextHopIpAddress: address },
      });

    expect(await put('10.0.1.10')).toMatchObject({ name: 'ours', provisioningState: 'Succeeded' });
    expect(await world.forwarding(world.subnets[0].tableId)).toContainEqual({
      destination: '10.244.1.0/24',
      target: { kind: 'nic', nicId: node.nicId },
    });
    await put('10.0.1.99');
    expect(await world.forwarding(world.subnets[0].tableId)).toContainEqual({
      destination: '10.244.1.0/24',
      target: { kind: 'blackhole' },
    });
    await client().routes.delete(group, table, 'ours');
    await client().routes.delete(group, table, 'ours');
    expect((await all(client().routes.list(group, table))).map(({ name }) => name)).not.toContain('ours');
  });
});
