/** The policy in the provider's README is enough for every call, and every part of it is needed. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/aws-vpc/aws-vpc.ts';
import type { CloudProvider, NextHop } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { type Policy, policySchema } from '../../clouds/aws/iam-policy.ts';
import { accountId } from '../../clouds/aws/roles.ts';
import { type AwsInstance, type AwsWorld, createAwsWorld } from '../../clouds/aws/world.ts';
import { cidr, ip } from '../../support/addresses.ts';

let world: AwsWorld;
let node: AwsInstance;
let policy: Policy;

beforeAll(async () => {
  world = await createAwsWorld();
  node = await world.runInstance(world.explicitSubnet, '10.0.1.10');
  policy = await policyOfReadme();
});

afterAll(async () => {
  await world?.stop();
});

describe('the policy in providers/aws-vpc/README.md', () => {
  it('lets every call pass', async () => {
    world.proxy.roles.setRole('node', policy);

    await everyCall();

    expect(Object.keys(world.proxy.counts()).sort()).toEqual([
      'CreateRoute',
      'DeleteRoute',
      'DescribeNetworkInterfaces',
      'DescribeRouteTables',
      'ModifyNetworkInterfaceAttribute',
      'ReplaceRoute',
    ]);
    expect(world.proxy.log.map(({ outcome }) => outcome)).toEqual(world.proxy.log.map(() => 'ok'));
  });

  it.each([
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeRouteTables',
    'ec2:CreateRoute',
    'ec2:ReplaceRoute',
    'ec2:DeleteRoute',
    'ec2:ModifyNetworkInterfaceAttribute',
  ])('is needed for %s, and its absence is reported by name', async (action) => {
    world.proxy.roles.setRole('node', without(policy, action));

    await expect(everyCall()).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      details: { action },
      hint: expect.stringContaining(`allow ${action}`),
    });
    world.proxy.roles.setRole('node', policy);
    await removeRoute();
  });

  it('gives no hold on another table', async () => {
    world.proxy.roles.setRole('node', policy);
    const provider = makeProvider();
    const nextHop = await resolve(provider);
    const destination = cidr('10.244.9.0/24');

    await expect(
      provider.apply({ action: 'create', tableId: world.mainTableId, destination, nextHop }, signal()),
    ).rejects.toMatchObject({ code: 'PERMISSION_DENIED', details: { tableId: world.mainTableId } });
    await provider.close();
  });

  it('gives no hold on a NIC of another VPC', async () => {
    const elsewhere = JSON.parse(JSON.stringify(policy).replaceAll(world.vpcId, 'vpc-0fffffffffffffff0')) as Policy;
    world.proxy.roles.setRole('node', elsewhere);
    const provider = makeProvider();

    await expect(provider.prepare(await resolve(provider), signal())).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    await provider.close();
  });
});

async function everyCall(): Promise<void> {
  const provider = makeProvider();
  const tableId = world.explicitTableId;
  const destination = cidr('10.244.1.0/24');
  try {
    const nextHop = await resolve(provider);
    await provider.tables({ tableIds: [], networkId: world.vpcId, subnetIds: [node.subnet.id] }, signal());
    await provider.prepare(nextHop, signal());
    const expected = { kind: 'nic', id: nextHop.nicId } as const;
    await provider.apply({ action: 'create', tableId, destination, nextHop }, signal());
    await provider.apply({ action: 'replace', tableId, destination, nextHop, expected }, signal());
    await provider.apply({ action: 'delete', tableId, destination, expected }, signal());
  } finally {
    await provider.close();
  }
}

async function removeRoute(): Promise<void> {
  const provider = makeProvider();
  const destination = cidr('10.244.1.0/24');
  const expected = { kind: 'nic', id: node.nicId } as const;
  await provider.apply({ action: 'delete', tableId: world.explicitTableId, destination, expected }, signal());
  await provider.close();
}

async function resolve(provider: CloudProvider): Promise<NextHop> {
  const [resolution] = await provider.resolve([{ address: ip(node.address), networkId: world.vpcId }], signal());
  if (resolution?.kind !== 'resolved') throw new Error(`not resolved: ${resolution?.reason}`);
  return resolution.nextHop;
}

function makeProvider(): CloudProvider {
  return createProvider({
    config: { routeTableIds: [] },
    logger: silentLogger,
    clock: systemClock,
    random: Math.random,
    environment: world.environment(world.proxy.roles.issue('node', node.id)),
  });
}

async function policyOfReadme(): Promise<Policy> {
  const readme = await readFile(new URL('../../../providers/aws-vpc/README.md', import.meta.url), 'utf8');
  const [, text = ''] = /```json\n(\{\n {2}"Version"[^`]*)```/.exec(readme) ?? [];
  const filled = text
    .replaceAll('REGION', world.region)
    .replaceAll('ACCOUNT', accountId)
    .replaceAll('ROUTE_TABLE_ID', world.explicitTableId)
    .replaceAll('VPC_ID', world.vpcId);
  return policySchema.parse(JSON.parse(filled));
}

function without(policy: Policy, action: string): Policy {
  const Statement = policy.Statement.map((statement) => ({
    ...statement,
    Action: statement.Action.filter((allowed) => allowed !== action),
  }));
  return { ...policy, Statement };
}

function signal(): AbortSignal {
  return AbortSignal.timeout(20_000);
}
