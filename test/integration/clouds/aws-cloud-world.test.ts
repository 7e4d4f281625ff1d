/** EC2 on LocalStack behind the seam that all clouds under test share, and what of that seam is EC2's own. */
import { CreateVpcCommand, DescribeRouteTablesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AwsCloudWorld, createAwsCloudWorld } from '../../clouds/aws/cloud-world.ts';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import { describeCloudWorld } from '../../clouds/world-contract.ts';
import { hostOf } from '../../fabric/addresses.ts';

let localstack: LocalStack;
let world: AwsCloudWorld;

beforeAll(async () => {
  localstack = await startLocalStack();
  world = await createAwsCloudWorld({ localstack });
});

afterAll(async () => {
  await world?.stop();
  await localstack?.stop();
});

describeCloudWorld('EC2 on LocalStack', async () => await createAwsCloudWorld({ localstack }));

describe('EC2’s own', () => {
  it('route to a stopped instance is a blackhole until it runs again', async () => {
    const [subnet] = world.subnets;
    const instance = await world.runInstance(subnet, hostOf(subnet.cidr, 31));
    const destination = '10.244.1.0/24';
    await world.putRoute(subnet.tableId, destination, instance);
    const target = async () =>
      (await world.forwarding(subnet.tableId)).find((route) => route.destination === destination)?.target;

    expect(await target()).toEqual({ kind: 'nic', nicId: instance.nicId });
    await world.stopInstance(instance.id);
    expect(await target()).toEqual({ kind: 'blackhole' });
    await world.startInstance(instance.id);
    expect(await target()).toEqual({ kind: 'nic', nicId: instance.nicId });
    await world.terminateInstance(instance.id);
    expect(await target()).toEqual({ kind: 'blackhole' });
  });

  it('route of another hand replaces what stands', async () => {
    const [subnet] = world.subnets;
    const first = await world.runInstance(subnet, hostOf(subnet.cidr, 32));
    const second = await world.runInstance(subnet, hostOf(subnet.cidr, 33));
    for (const instance of [first, second]) await world.putRoute(subnet.tableId, '10.244.2.0/24', instance);

    expect((await world.staticRoutes(subnet.tableId))['10.244.2.0/24']).toBe(second.nicId);
  });

  it('operators are told apart, struck by faults and held to their rights', async () => {
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', ...keys } = world.operatorEnvironment('reader', 'one');
    const client = new EC2Client({
      ...{ region: world.aws.region, endpoint: keys['AWS_ENDPOINT_URL_EC2'] ?? '', maxAttempts: 1 },
      credentials: {
        ...{ accessKeyId, secretAccessKey: keys['AWS_SECRET_ACCESS_KEY'] ?? '' },
        sessionToken: keys['AWS_SESSION_TOKEN'] ?? '',
      },
    });
    const read = async () => await client.send(new DescribeRouteTablesCommand({}));
    world.setRights('reader', 'readme');
    world.inject({ operation: /Tables$/, effect: { kind: 'refuse', as: 'throttled' } });
    await expect(read()).rejects.toMatchObject({ name: 'RequestLimitExceeded' });
    await read();
    const vpc = new CreateVpcCommand({ CidrBlock: '10.99.0.0/16' });
    await expect(client.send(vpc)).rejects.toMatchObject({ name: 'UnauthorizedOperation' });

    const ours = { caller: 'reader/one', at: expect.any(Number) };
    expect(world.requests()).toEqual([
      { ...ours, operation: 'DescribeRouteTables', changes: false, outcome: 'RequestLimitExceeded' },
      { ...ours, operation: 'DescribeRouteTables', changes: false, outcome: 'ok' },
      { ...ours, operation: 'CreateVpc', changes: true, outcome: 'UnauthorizedOperation' },
    ]);
    expect(() => world.inject({ effect: { kind: 'half' } })).toThrow(/nothing of it can be half done/);
    client.destroy();
  });
});
