/** The simulated Azure behind the seam of all clouds under test, and what of that seam is its own. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type AzureWorld, createAzureWorld } from '../../clouds/azure/world.ts';
import { describeCloudWorld, hostOf } from '../../clouds/world-contract.ts';
import { ask, pathOf } from './azure-client.ts';

describeCloudWorld('The simulated Azure', createAzureWorld);

describe('Azure’s own', () => {
  let world: AzureWorld;
  beforeEach(async () => {
    world = await createAzureWorld();
  });
  afterEach(async () => await world.stop());

  const target = async (tableId: string, destination: string) =>
    (await world.forwarding(tableId)).find((route) => route.destination === destination)?.target;

  it('tables are in different resource groups and tagged differently', () => {
    const [first = '', second = ''] = world.tableIds;
    expect(first.split('/')[1]).not.toBe(second.split('/')[1]);
    expect(world.table(first)['tags']).not.toEqual(world.table(second)['tags']);
  });

  it('operator on this machine finds it by the loopback address, also where it listens on all', async () => {
    const wide = await createAzureWorld({ address: '0.0.0.0' });
    const { FLANNEL_VPC_AZURE_ENDPOINT: here } = wide.operatorEnvironment('controller', 'one');
    const { FLANNEL_VPC_AZURE_ENDPOINT: there } = wide.operatorEnvironment('controller', 'one', '10.9.8.7');
    await wide.stop();
    expect(here).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(there).toMatch(/^http:\/\/10\.9\.8\.7:\d+$/);
  });

  it('table can be in another subscription', async () => {
    const subscription = '11111111-2222-3333-4444-555566667777';
    const tableId = world.addTable({ group: 'Other-RG', name: 'Other', tags: undefined, subscription });
    expect(tableId).toBe(`${subscription}/other-rg/other`);
    const [subnet] = world.subnets;
    world.associate(subnet.id, tableId);
    const { body } = await ask(world, { path: pathOf('subnet', subnet.id) });
    const found = await ask(world, { path: body.properties.routeTable.id });
    expect(found.body.properties.subnets).toHaveLength(1);
    world.associate(subnet.id, undefined);
    const without = await ask(world, { path: pathOf('subnet', subnet.id) });
    expect(without.body.properties.routeTable).toBeUndefined();
  });

  it('route leads to whoever has the address: nobody, a machine that is off, another one', async () => {
    const [subnet] = world.subnets;
    const destination = '10.244.1.0/24';
    const first = await world.runInstance(subnet, hostOf(subnet.cidr, 31));
    await world.putRoute(subnet.tableId, destination, first);

    await world.stopInstance(first.id);
    expect(await target(subnet.tableId, destination)).toEqual({ kind: 'blackhole' });
    await world.startInstance(first.id);
    expect(await target(subnet.tableId, destination)).toEqual({ kind: 'nic', nicId: first.nicId });
    await world.terminateInstance(first.id);
    expect(await target(subnet.tableId, destination)).toEqual({ kind: 'blackhole' });
    const heir = await world.runInstance(subnet, hostOf(subnet.cidr, 31));
    expect(heir.nicId).not.toBe(first.nicId);
    expect(await target(subnet.tableId, destination)).toEqual({ kind: 'nic', nicId: heir.nicId });
  });

  it('route of another hand takes the place of what stands, under a name of its own', async () => {
    const [subnet] = world.subnets;
    const first = await world.runInstance(subnet, hostOf(subnet.cidr, 32));
    const second = await world.runInstance(subnet, hostOf(subnet.cidr, 33));
    for (const instance of [first, second]) await world.putRoute(subnet.tableId, 'fd00:244:0:1::/64', instance);

    expect((await world.staticRoutes(subnet.tableId))['fd00:244:0:1::/64']).toBe(second.address6);
  });

  it('address is given to one machine only', async () => {
    const [subnet, other] = world.subnets;
    await world.runInstance(subnet, hostOf(subnet.cidr, 34));
    await expect(world.runInstance(subnet, hostOf(subnet.cidr, 34))).rejects.toThrow(/taken/);
    await expect(world.runInstance(other, hostOf(subnet.cidr, 35))).rejects.toThrow(/not an address/);
  });

  it('rights are those of the provider’s README, one of them less, or all', () => {
    for (const role of ['node', 'controller', 'reader'] as const) {
      expect(world.readmeRights?.(role)).toContain('Microsoft.Network/routeTables/read');
      world.setRights(role, { readmeWithout: 'Microsoft.Network/routeTables/read' });
      world.setRights(role, 'readme');
      world.setRights(role, 'all');
    }
    const foreign = { readmeWithout: 'Microsoft.Network/routeTables/write' };
    expect(() => world.setRights('reader', foreign)).toThrow(/no right of a reader/);
  });

  it('document of a table tells of every change to it, but for what is left out', async () => {
    const [subnet] = world.subnets;
    const instance = await world.runInstance(subnet, hostOf(subnet.cidr, 36));
    const before = await world.document?.(subnet.tableId, ['10.244.3.0/24']);
    expect(before).toContain('9007199254740993');

    await world.putRoute(subnet.tableId, '10.244.3.0/24', instance);
    expect(await world.document?.(subnet.tableId, ['10.244.3.0/24'])).toBe(before);
    expect(await world.document?.(subnet.tableId, [])).not.toBe(before);
    await world.putRoute(subnet.tableId, '10.244.4.0/24', instance);
    expect(await world.document?.(subnet.tableId, ['10.244.3.0/24'])).not.toBe(before);
  });
});
