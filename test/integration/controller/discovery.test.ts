/** Which tables get the routes, and which network interface they lead to. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startMetadataServer } from '../../clouds/aws/imds.ts';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import { until } from '../../support/until.ts';
import { createLab, type Lab, type LabOptions, problem } from './lab.ts';

let localstack: LocalStack;
let lab: Lab;
const labs: Lab[] = [];

beforeAll(async () => {
  localstack = await startLocalStack();
});
afterEach(async () => {
  for (const each of labs.splice(0)) await each.stop();
});
afterAll(async () => {
  await localstack?.stop();
});

async function makeLab(options: Omit<LabOptions, 'localstack'> = {}): Promise<Lab> {
  const made = await createLab({ localstack, ...options });
  labs.push(made);
  return made;
}

describe('without a table in net-conf', () => {
  it('fills every table that serves a node, and that of a node in a third subnet once it joins', async () => {
    lab = await makeLab({ backend: {} });
    const { world } = lab;
    const ofExplicit = await lab.node('10.0.1.10', '10.244.1.0/24');
    const ofMain = await lab.node('10.0.2.10', '10.244.2.0/24');
    const idle = await world.addTable();
    lab.start();
    await lab.leads('10.244.1.0/24', ofExplicit.nicId);
    await lab.leads('10.244.2.0/24', ofMain.nicId);

    const third = await world.addTable();
    const subnet = await world.addSubnet({ cidr: '10.0.3.0/24', zone: 'eu-west-1c', tableId: third });
    const joined = await world.runInstance(subnet, '10.0.3.10');
    await lab.putLease('10.244.3.0/24', { instance: joined });

    const tables = [world.explicitTableId, world.mainTableId, third];
    for (const [destination, { nicId }] of [
      ['10.244.1.0/24', ofExplicit],
      ['10.244.2.0/24', ofMain],
      ['10.244.3.0/24', joined],
    ] as const) {
      await until(`${destination} stands everywhere`, async () =>
        (await lab.targets(destination, tables)).every((target) => target === nicId),
      );
    }
    expect(await world.staticRoutes(idle)).toEqual({});
  });

  it('leads to the second network interface where that has the lease’s address, and fills the table of its subnet', async () => {
    lab = await makeLab({ backend: {} });
    const { world } = lab;
    const table = await world.addTable();
    const second = await world.addSubnet({ cidr: '10.0.9.0/24', zone: 'eu-west-1a', tableId: table });
    const first = await world.runInstance(world.explicitSubnet, '10.0.1.10');
    const instance = await world.addNic(first, second, '10.0.9.10');
    const nicId = instance.metadata.nics[1]?.nicId ?? '';
    await lab.putLease('10.244.1.0/24', { instance: { id: instance.id, nicId, address: '10.0.9.10' } });
    lab.start();

    await until('the route stands', async () => (await lab.targets('10.244.1.0/24', [table]))[0] === nicId);
    await until('the second one forwards', async () => !(await world.sourceDestCheck(nicId)));
    expect(await world.sourceDestCheck(first.nicId)).toBe(true);
  });

  it('tells VPCs with the same addresses apart by the ids in the leases, and refuses to guess', async () => {
    const other = await makeLab();
    const stranger = await other.node('10.0.1.10');
    lab = await makeLab({ backend: {} });
    const own = await lab.node('10.0.1.10', '10.244.1.0/24');
    await lab.putLease('10.244.2.0/24', { instance: own, plain: true });
    const controller = lab.start();

    await until('the one with ids stands', async () => (await lab.targets('10.244.1.0/24'))[0] === own.nicId);
    const refused = await problem(controller, 'refused');
    expect(refused).toMatch(/10\.244\.2\.0.*several network interfaces/);
    expect(refused).toContain(stranger.nicId);
    expect(await lab.targets('10.244.2.0/24')).toEqual([undefined, undefined]);
  });

  it('looks in the controller’s own VPC where a metadata server says which that is', async () => {
    const other = await makeLab();
    await other.node('10.0.1.10');
    lab = await makeLab({ backend: {} });
    const own = await lab.node('10.0.1.10');
    await lab.putLease('10.244.1.0/24', { instance: own, plain: true });
    const metadata = await startMetadataServer({ metadata: own.metadata });
    try {
      lab.start({ env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url, AWS_EC2_METADATA_DISABLED: 'false' } });
      await until('it stands', async () => (await lab.targets('10.244.1.0/24'))[0] === own.nicId);
      expect(await other.targets('10.244.1.0/24')).toEqual([undefined, undefined]);
    } finally {
      await metadata.stop();
    }
  });
});

it('learns the Region from the metadata server also where the tables are named and the environment says nothing', async () => {
  lab = await makeLab();
  const { nicId, metadata: identity } = await lab.node('10.0.1.10', '10.244.1.0/24');
  const metadata = await startMetadataServer({ metadata: identity });
  const here = { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url, AWS_EC2_METADATA_DISABLED: 'false' };
  try {
    lab.start({ env: { ...here, AWS_REGION: '' } });
    await lab.leads('10.244.1.0/24', nicId);
  } finally {
    await metadata.stop();
  }
  const elsewhere = lab.start({ name: 'elsewhere', env: { AWS_REGION: '' } });
  expect(await problem(elsewhere, 'CONFIG_INVALID')).toMatch(/the AWS Region is not known.*set AWS_REGION/);
});

it('fills the tables with the tag of net-conf, and one that gets the tag later', async () => {
  lab = await makeLab({ backend: { RouteTableTag: 'flannel=yes' } });
  const { world } = lab;
  await world.tag(world.explicitTableId, 'flannel', 'yes');
  const { nicId } = await lab.node('10.0.1.10', '10.244.1.0/24');
  lab.start();
  await until('the tagged one is filled', async () => (await lab.targets('10.244.1.0/24'))[0] === nicId);
  expect((await lab.targets('10.244.1.0/24'))[1]).toBeUndefined();

  await world.tag(world.mainTableId, 'flannel', 'yes');
  await lab.leads('10.244.1.0/24', nicId);
});
