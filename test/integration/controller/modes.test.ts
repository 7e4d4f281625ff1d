/** Dry runs, leases of other backends, and routes of other people. */
import { setTimeout as delay } from 'node:timers/promises';
import { CreateRouteCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import { until } from '../../support/until.ts';
import { createLab, type Lab, type LabOptions, podNetwork, reported } from './lab.ts';

let localstack: LocalStack;
let lab: Lab;
const labs: Lab[] = [];

beforeAll(async () => {
  localstack = await startLocalStack();
});
afterEach(async () => {
  for (const each of labs.splice(0).reverse()) await each.stop();
});
afterAll(async () => {
  await localstack?.stop();
});

async function makeLab(options: Omit<LabOptions, 'localstack'> = {}): Promise<Lab> {
  const made = await createLab({ localstack, ...options });
  labs.push(made);
  return made;
}

it('--dry-run says what it would do, once, and writes neither to EC2 nor to etcd', async () => {
  lab = await makeLab();
  const { world, etcd } = lab;
  const kept = await lab.node('10.0.1.10', '10.244.1.0/24', '10.244.2.0/24');
  const gone = await lab.node('10.0.1.11', '10.244.3.0/24');
  const writer = lab.start({ name: 'writer' });
  for (const [subnet, { nicId }] of [
    ['10.244.1.0/24', kept],
    ['10.244.2.0/24', kept],
    ['10.244.3.0/24', gone],
  ] as const)
    await lab.leads(subnet, nicId);
  await writer.kill();
  await world.removeRoute(world.mainTableId, '10.244.1.0/24');
  await lab.dropLease('10.244.2.0/24');
  await world.terminateInstance(gone.id);
  await world.setSourceDestCheck(kept.nicId, true);
  const revision = await etcd.revision();

  const controller = lab.start({ name: 'dry', args: ['--dry-run', '--leader-elect=true', '--reap-terminated'] });
  const expected = [
    `would create the route 10.244.1.0/24 in ${world.mainTableId}`,
    `would delete the route 10.244.2.0/24 in ${world.mainTableId}`,
    `would delete the route 10.244.2.0/24 in ${world.explicitTableId}`,
    `would delete the route 10.244.3.0/24 in ${world.mainTableId}`,
    `would delete the route 10.244.3.0/24 in ${world.explicitTableId}`,
    `would switch off the source/dest check of ${kept.nicId}`,
    'would end the lease 10.244.3.0/24',
  ];
  for (const line of expected) await controller.logged(new RegExp(line));
  await delay(3_000);
  const told = controller.log().filter(({ msg }) => msg.startsWith('dry run: would'));
  expect(told.map(({ msg }) => msg.replace('dry run: ', '')).sort()).toEqual([...expected].sort());
  expect((await controller.report()).controller).toMatchObject({ dryRun: true });
  expect(lab.writes('dry')).toEqual([]);
  expect(await etcd.revision()).toBe(revision);
});

describe('leases of a running vxlan flannel', () => {
  const vxlan = {
    plain: true,
    members: { BackendType: 'vxlan', BackendData: { VNI: 1, VtepMAC: '0e:5b:84:3c:9f:01' } },
  };
  const netConf = { Network: podNetwork, Backend: { Type: 'vxlan', VNI: 1 } };

  it('get their routes by --backend-type while net-conf says vxlan, and keep them when net-conf names the cloud already', async () => {
    lab = await makeLab({ netConf });
    // Addresses of no other test: without an id in the lease, an address that exists twice is refused.
    const one = await lab.node('10.0.1.71');
    const two = await lab.node('10.0.2.72');
    await lab.putLease('10.244.1.0/24', { instance: one, ...vxlan });
    await lab.putLease('10.244.2.0/24', { instance: two, ...vxlan });
    const value = (await lab.etcd.keys(`${lab.prefix}/subnets/`))[0]?.value;
    expect(value).toBe(
      '{"PublicIP":"10.0.1.71","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"0e:5b:84:3c:9f:01"}}',
    );
    const moving = lab.start({ name: 'moving', args: ['--backend-type=aws-vpc'] });
    await lab.leads('10.244.1.0/24', one.nicId);
    await lab.leads('10.244.2.0/24', two.nicId);
    for (const { nicId } of [one, two])
      await until('its check is off', async () => !(await lab.world.sourceDestCheck(nicId)));
    expect((await lab.etcd.keys(`${lab.prefix}/subnets/`))[0]?.value).toBe(value);
    await moving.kill();

    await lab.etcd.put(`${lab.prefix}/config`, JSON.stringify({ Network: podNetwork, Backend: { Type: 'aws-vpc' } }));
    const own = lab.start({ name: 'own' });
    const { nodes } = await reported(own, 'what it leaves', (report) => report.nodes.length === 2);
    for (const node of nodes) {
      expect(node).toMatchObject({ state: 'refused', reason: expect.stringContaining('its backend is vxlan') });
    }
    await delay(3_000);
    expect(await lab.targets('10.244.1.0/24')).toEqual([one.nicId, one.nicId]);
    expect(lab.writes('own')).toEqual([]);
  });

  it('are no work for a controller that is told of no cloud: it says which flag is missing, and ends', async () => {
    lab = await makeLab({ netConf });
    const controller = lab.start();
    expect(await controller.process.ended).toBe(1);
    expect(controller.process.log()).toContain('--backend-type');
  });
});

describe('routes of other people', () => {
  it('stay byte for byte, inside and outside of the pod network, while ours come and go beside them', async () => {
    lab = await makeLab();
    const { world } = lab;
    const tables = [world.explicitTableId, world.mainTableId];
    const vpn = await lab.node('10.0.1.99');
    for (const RouteTableId of tables) {
      await world.putRoute(RouteTableId, '10.244.201.0/24', vpn.nicId);
      await world.putRoute(RouteTableId, '10.99.0.0/16', vpn.nicId);
      for (const [DestinationCidrBlock, target] of [
        ['10.244.200.0/24', { VpcPeeringConnectionId: world.peeringId }],
        ['10.244.202.0/24', { GatewayId: world.internetGatewayId }],
      ] as const)
        await world.admin.send(new CreateRouteCommand({ RouteTableId, DestinationCidrBlock, ...target }));
      for (const [destinationCidrBlock, target, origin] of [
        ['10.244.203.0/24', { natGatewayId: 'nat-1' }, 'CreateRoute'],
        ['10.244.204.0/24', { gatewayId: 'vgw-1' }, 'EnableVgwRoutePropagation'],
        ['10.98.0.0/16', { natGatewayId: 'nat-1' }, 'CreateRoute'],
      ] as const)
        world.proxy.putSyntheticRoute(RouteTableId, { destinationCidrBlock, ...target, origin, state: 'active' });
    }
    const everything = async (): Promise<string> =>
      JSON.stringify([await world.routes(world.explicitTableId), await world.routes(world.mainTableId)]);
    const before = await everything();

    const node = await lab.node('10.0.1.10', '10.244.1.0/24', '10.244.200.0/24', '10.244.202.0/24');
    const writer = lab.start({ name: 'writer' });
    await lab.leads('10.244.1.0/24', node.nicId);
    const conflicts = 4;
    const { routes } = await reported(
      writer,
      'the conflicts',
      ({ problems }) => problems.filter(({ code }) => code === 'ROUTE_NOT_OWNED').length === conflicts,
    );
    for (const [destination, state] of [
      ['10.244.200.0/24', 'conflict'],
      ['10.244.202.0/24', 'conflict'],
      ['10.244.201.0/24', 'foreign'],
      ['10.244.203.0/24', 'foreign'],
      ['10.244.204.0/24', 'foreign'],
    ]) {
      const rows = routes.filter((row) => row.destination === destination);
      expect(rows.map((row) => `${destination} ${row.state}`)).toEqual(Array(2).fill(`${destination} ${state}`));
    }
    await writer.kill();
    await lab.node('10.0.2.10', '10.244.2.0/24');
    await lab.dropLease('10.244.1.0/24');
    await lab.dropLease('10.244.200.0/24');
    lab.start({ name: 'remover' });
    await lab.leads('10.244.1.0/24', undefined);
    await lab.dropLease('10.244.2.0/24');
    for (const tableId of tables)
      if ((await world.staticRoutes(tableId))['10.244.2.0/24']) await world.removeRoute(tableId, '10.244.2.0/24');
    expect(await everything()).toBe(before);
  });

  it('are those of another cluster in the same tables, even with the same network: neither touches the other’s', async () => {
    lab = await makeLab();
    const other = await makeLab({ beside: lab, prefix: '/other/network' });
    const [mine, theirs] = [
      await lab.node('10.0.1.10', '10.244.1.0/24'),
      await other.node('10.0.1.11', '10.244.2.0/24'),
    ];
    const writers = [lab.start({ name: 'mine' }), other.start({ name: 'theirs' })];
    await lab.leads('10.244.1.0/24', mine.nicId);
    await lab.leads('10.244.2.0/24', theirs.nicId);
    for (const writer of writers) await writer.kill();

    await lab.node('10.0.2.10', '10.244.3.0/24');
    await lab.dropLease('10.244.1.0/24');
    const [controller] = [lab.start({ name: 'mine-2' }), other.start({ name: 'theirs-2' })];
    await lab.leads('10.244.1.0/24', undefined);
    await delay(2_500);
    await lab.leads('10.244.2.0/24', theirs.nicId);
    expect(lab.writes('theirs-2')).toEqual([]);
    const row = (await controller?.report())?.routes.find(({ destination }) => destination === '10.244.2.0/24');
    expect(row).toMatchObject({ state: 'foreign' });
  });
});
