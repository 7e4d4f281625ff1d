/** The policy of providers/aws-vpc/README.md suffices for all that a controller does, and each action that is missing is told by name. */
import { ReplaceRouteCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Policy } from '../../clouds/aws/iam-policy.ts';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import { policiesOfReadme, withoutAction } from '../../clouds/aws/readme-policies.ts';
import type { AwsInstance } from '../../clouds/aws/world.ts';
import type { Controller } from '../../fabric/controller.ts';
import { until } from '../../support/until.ts';
import { createLab, type Lab, problem, reported } from './lab.ts';

let localstack: LocalStack;
let lab: Lab;
let node: AwsInstance;
let stranger: AwsInstance;
let policy: Policy;
let controller: Controller;
const subnets = Array.from({ length: 8 }, (_, index) => `10.244.${index + 1}.0/24`);
/** Unspent leases, to be taken away by tests one after the other. */
const spare = subnets.slice(4);

beforeAll(async () => {
  localstack = await startLocalStack();
  lab = await createLab({ localstack });
  const { world } = lab;
  policy = (await policiesOfReadme(world, [world.explicitTableId, world.mainTableId])).controller;
  node = await lab.node('10.0.1.10', ...subnets);
  stranger = await lab.node('10.0.1.90');
  // What it wrote itself a moment ago a controller takes out of no table.
  const writer = lab.start({ name: 'writer', policy });
  for (const subnet of subnets) await lab.leads(subnet, node.nicId);
  await writer.kill();
  controller = lab.start({ name: 'two', policy });
  await controller.logged(/"msg":"resync"/);
});
afterAll(async () => {
  await lab?.stop();
  await localstack?.stop();
});

async function misdirect(subnet: string): Promise<void> {
  const target = { RouteTableId: lab.world.mainTableId, DestinationCidrBlock: subnet };
  await lab.world.admin.send(new ReplaceRouteCommand({ ...target, NetworkInterfaceId: stranger.nicId }));
}

async function remove(subnet: string): Promise<void> {
  await lab.world.removeRoute(lab.world.mainTableId, subnet);
}

async function healthy(): Promise<void> {
  await reported(controller, 'all is well', ({ healthy: is, problems }) => is && problems.length === 0, 30_000);
}

it('the README’s policy is enough for every kind of change', async () => {
  await remove('10.244.1.0/24');
  await misdirect('10.244.2.0/24');
  await lab.dropLease(spare[0] ?? '');
  const joined = await lab.node('10.0.2.20', '10.244.20.0/24');
  for (const subnet of ['10.244.1.0/24', '10.244.2.0/24']) await lab.leads(subnet, node.nicId);
  await lab.leads(spare[0] ?? '', undefined);
  await lab.leads('10.244.20.0/24', joined.nicId);
  await until('the newcomer forwards', async () => !(await lab.world.sourceDestCheck(joined.nicId)));
  await healthy();

  const used = new Set(lab.world.proxy.log.map(({ action }) => `ec2:${action}`));
  expect([...used].sort()).toEqual(policy.Statement.flatMap(({ Action }) => Action).sort());
  expect(lab.world.proxy.log.filter(({ outcome }) => outcome === 'UnauthorizedOperation')).toEqual([]);
});

describe.each([
  {
    action: 'ec2:CreateRoute',
    provoke: () => remove('10.244.1.0/24'),
    goesOn: () => misdirect('10.244.2.0/24'),
  },
  {
    action: 'ec2:ReplaceRoute',
    provoke: () => misdirect('10.244.1.0/24'),
    goesOn: () => remove('10.244.2.0/24'),
  },
  {
    action: 'ec2:DeleteRoute',
    // Of each table by itself: a policy names them one by one.
    tables: 2,
    provoke: () => lab.dropLease(spare[1] ?? ''),
    goesOn: () => remove('10.244.2.0/24'),
  },
  {
    action: 'ec2:DescribeInstances',
    provoke: () => lab.dropLease(spare[2] ?? ''),
    goesOn: () => remove('10.244.2.0/24'),
  },
  {
    action: 'ec2:ModifyNetworkInterfaceAttribute',
    provoke: async () => void (await lab.node('10.0.2.21', '10.244.21.0/24')),
    goesOn: () => remove('10.244.2.0/24'),
  },
  {
    action: 'ec2:DescribeNetworkInterfaces',
    provoke: async () => void (await lab.node('10.0.2.22', '10.244.22.0/24')),
    goesOn: () => remove('10.244.2.0/24'),
  },
  // Without it nothing is known of what stands, and nothing can go on.
  { action: 'ec2:DescribeRouteTables', provoke: async () => {}, goesOn: async () => {} },
])('without $action', ({ action, provoke, goesOn, tables = 1 }) => {
  it('it says so once, by name; the rest goes on, and that when it is allowed', async () => {
    lab.world.proxy.roles.setRole('controller', withoutAction(policy, action));
    const before = controller.log().length;
    await provoke();
    const words = await problem(controller, 'PERMISSION_DENIED');
    expect(words).toContain(`is not authorized to perform: ${action}`);
    expect(words).toContain(`allow ${action}`);
    await goesOn();
    await lab.leads('10.244.2.0/24', node.nicId);
    const { problems } = await controller.report();
    expect(problems.filter(({ code }) => code === 'PERMISSION_DENIED')).toHaveLength(tables);
    const told = controller.log().slice(before);
    expect(told.filter(({ level, code }) => level !== 'debug' && code === 'PERMISSION_DENIED')).toHaveLength(tables);

    lab.world.proxy.roles.setRole('controller', policy);
    await healthy();
    await lab.leads('10.244.1.0/24', node.nicId);
  }, 60_000);
});
