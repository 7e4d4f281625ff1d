/** The simulated Alibaba Cloud behind the seam of all clouds under test, and what of that seam is its own. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type AlibabaWorld, createAlibabaWorld } from '../../clouds/alibaba/world.ts';
import { describeCloudWorld, hostOf } from '../../clouds/world-contract.ts';

describeCloudWorld('The simulated Alibaba Cloud', createAlibabaWorld);

describe('Alibaba Cloud’s own', () => {
  let world: AlibabaWorld;
  beforeEach(async () => {
    world = await createAlibabaWorld();
  });
  afterEach(async () => await world.stop());

  const target = async (tableId: string, destination: string) =>
    (await world.forwarding(tableId)).find((route) => route.destination === destination)?.target;

  it('first vSwitch is on a custom table, the second on the system table', () => {
    const types = world.tableIds.map((id) => world.account.tables.get(id)?.type);
    expect(types).toEqual(['Custom', 'System']);
  });

  it('route to a stopped instance is a blackhole until it runs again, and to a released one for ever', async () => {
    const [subnet] = world.subnets;
    const instance = await world.runInstance(subnet, hostOf(subnet.cidr, 31));
    const destination = '10.244.1.0/24';
    await world.putRoute(subnet.tableId, destination, instance);

    await world.stopInstance(instance.id);
    expect(await target(subnet.tableId, destination)).toEqual({ kind: 'blackhole' });
    await world.startInstance(instance.id);
    expect(await target(subnet.tableId, destination)).toEqual({ kind: 'nic', nicId: instance.nicId });
    await world.terminateInstance(instance.id);
    expect(await target(subnet.tableId, destination)).toEqual({ kind: 'blackhole' });
  });

  it('route of another hand takes the place of what stands', async () => {
    const [subnet] = world.subnets;
    const first = await world.runInstance(subnet, hostOf(subnet.cidr, 32));
    const second = await world.runInstance(subnet, hostOf(subnet.cidr, 33));
    for (const instance of [first, second]) await world.putRoute(subnet.tableId, '10.244.2.0/24', instance);

    expect((await world.staticRoutes(subnet.tableId))['10.244.2.0/24']).toBe(second.id);
  });

  it('rights are those of the provider’s README, one of them less, or all', () => {
    for (const role of ['node', 'controller', 'reader'] as const) {
      expect(world.readmeRights?.(role)).toContain('vpc:DescribeRouteEntryList');
      world.setRights(role, { readmeWithout: 'vpc:DescribeRouteEntryList' });
      world.setRights(role, 'readme');
      world.setRights(role, 'all');
    }
    expect(() => world.setRights('reader', { readmeWithout: 'vpc:CreateRouteEntry' })).toThrow(/no right of a reader/);
  });

  it('document of a table tells of every change to it, but for what is left out', async () => {
    const [subnet] = world.subnets;
    const instance = await world.runInstance(subnet, hostOf(subnet.cidr, 34));
    const before = await world.document?.(subnet.tableId, ['10.244.3.0/24']);
    expect(before).toContain('ManagedBy');
    await world.putRoute(subnet.tableId, '10.244.3.0/24', instance);
    expect(await world.document?.(subnet.tableId, ['10.244.3.0/24'])).toBe(before);
    await world.putRoute(subnet.tableId, '10.244.4.0/24', instance);
    expect(await world.document?.(subnet.tableId, ['10.244.3.0/24'])).not.toBe(before);
  });
});
