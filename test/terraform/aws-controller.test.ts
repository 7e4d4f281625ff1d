/** The AWS example as it stands, a controller that writes the routes: applied, run by, looked at, and destroyed. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { readInstance, roleOfInstance } from '../clouds/aws/adoption.ts';
import { policySchema } from '../clouds/aws/iam-policy.ts';
import { policiesOfReadme } from '../clouds/aws/readme-policies.ts';
import { podNetwork } from '../fabric/cluster.ts';
import type { Pod } from '../fabric/pod.ts';
import type { Process } from '../fabric/process.ts';
import { countAnswers, startPing } from '../fabric/traffic.ts';
import { startTerraformCluster, type TerraformCluster } from './aws-cluster.ts';
import { whatIsLeft } from './aws-leftovers.ts';
import { type AwsTerraform, type ClusterOutputs, openAwsTerraform } from './aws-terraform.ts';

// Terraform's provider waits ten seconds at a time for what LocalStack makes at once.
jest.setTimeout(600_000);

let terraform: AwsTerraform;
let outputs: ClusterOutputs;
let fabric: TerraformCluster;
let controllers: readonly Process[];
let pods: readonly Pod[];

beforeAll(async () => {
  terraform = await openAwsTerraform('examples/aws', { ssh_cidrs: ['198.51.100.7/32'] });
  await terraform.apply();
  outputs = await terraform.outputs();
});

afterAll(async () => {
  // Else what is left of it would stand in the way of the next file's.
  await fabric?.stop();
  await terraform?.[Symbol.asyncDispose]();
});

test('the role has the policy “controller” of the provider’s README, and the outputs have all three', async () => {
  const readme = await policiesOfReadme({ region: 'eu-west-1', vpcId: outputs.vpc_id }, outputs.table_ids);
  expect(await terraform.account.iam.policyOfRole(outputs.role_name)).toEqual(readme.controller);
  for (const reader of ['node', 'controller', 'read'] as const) {
    expect(policySchema.parse(JSON.parse(outputs.policies[reader]))).toEqual(readme[reader]);
  }
  // What differs by one id is seen.
  expect(readme.controller).not.toEqual(
    (await policiesOfReadme({ region: 'eu-west-1', vpcId: outputs.vpc_id }, outputs.table_ids.slice(1))).controller,
  );
});

test('machines answer IMDSv2 alone, to themselves and no pod, and the nodes have no role', async () => {
  for (const [kind, machines] of Object.entries({ agent: outputs.agents, controller: outputs.controllers })) {
    for (const { instance_id: id } of Object.values(machines)) {
      const instance = await readInstance(terraform.account.admin, id);
      expect(instance.MetadataOptions).toMatchObject({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
      const role = await roleOfInstance(terraform.account, instance);
      expect(role?.name).toBe(kind === 'agent' ? undefined : outputs.role_name);
    }
  }
});

test('what user data starts on the machines makes pods of both zones reach each other', async () => {
  fabric = await startTerraformCluster(terraform, outputs);
  controllers = fabric.controllers.map((each) => each.startController());
  for (const each of fabric.agents) each.startAgent();
  for (const { on } of fabric.agents) await on.agent.ready(180_000);
  pods = await Promise.all(fabric.agents.map(({ on }) => on.addPod('pod')));
  const zones = fabric.agents.map(({ on }) => on.instance.subnet.zone);
  expect(zones).toEqual(['eu-west-1a', 'eu-west-1b', 'eu-west-1a']);

  const [one, other, third] = pods as [Pod, Pod, Pod];
  const pings = [startPing({ from: one, to: other }), startPing({ from: other, to: third })];
  for (const ping of pings) await ping.flowing(30_000);
  await delay(2_000);
  for (const ping of pings) {
    const { sent, lost } = await ping.stop();
    expect(sent).toBeGreaterThan(100);
    expect(lost).toBe(0);
  }
  for (const tableId of outputs.table_ids) expect(await podRoutes(tableId)).toEqual(await wantedRoutes());
});

describe('once routes of pods stand', () => {
  test('a plan changes nothing', async () => {
    expect(await terraform.pending()).toBeUndefined();
  });

  test('a module with routes inside of its tables would take them out, and switch checks on', async () => {
    const undo = [
      await terraform.edit('modules/aws/network.tf', (text) =>
        text.replace(
          /(resource "aws_route_table" "nodes" \{\n.*\n\n)/,
          '$1  route {\n    cidr_block = "0.0.0.0/0"\n    gateway_id = aws_internet_gateway.this[0].id\n  }\n',
        ),
      ),
      await terraform.edit('modules/aws/machines.tf', (text) => text.replace(', source_dest_check]', ']')),
    ];
    const plan = (await terraform.pending()) ?? '';
    for (const each of undo) await each();
    for (const { on } of fabric.agents) {
      const subnet = (await on.podSubnet()).replaceAll('.', '\\.');
      expect(plan).toMatch(new RegExp(`- cidr_block += "${subnet}"`));
    }
    expect(plan.match(/~ source_dest_check +.*false -> true/g)).toHaveLength(fabric.agents.length);
  });

  test('without the rule for the pod network pods are not reached, and with it again they are', async () => {
    const before = await Promise.all(outputs.table_ids.map(podRoutes));
    const [from, to] = pods as [Pod, Pod];
    const undo = await terraform.edit('modules/aws/security.tf', (text) => text.replace('= local.pod_rules', '= {}'));
    await terraform.apply({ refresh: false });
    await fabric.readAgain();
    expect(await countAnswers({ from, to }, 5)).toBe(0);

    await undo();
    await terraform.apply();
    await fabric.readAgain();
    expect(await countAnswers({ from, to }, 5)).toBe(5);
    // Nor has any of this touched a route.
    expect(await Promise.all(outputs.table_ids.map(podRoutes))).toEqual(before);
  });
});

test('after a purge and a destroy nothing is left', async () => {
  for (const { on } of fabric.agents) expect(await on.agent.kill('SIGTERM')).toBe(0);
  for (const each of controllers) expect(await each.kill('SIGTERM')).toBe(0);
  const [last] = fabric.controllers;
  const purge = outputs.purge_commands.at(-1) ?? '';
  expect(purge).toMatch(/^flannel-vpc routes purge --yes --etcd-endpoints=\S+ --network=\S+$/);
  // The fabric's etcd is elsewhere.
  const words = purge.split(' ').filter((word) => !word.startsWith('--etcd-endpoints='));
  await last?.command(words.slice(1));
  for (const tableId of outputs.table_ids) {
    expect(Object.keys(await fabric.world.staticRoutes(tableId))).toEqual(['0.0.0.0/0']);
  }

  await fabric.stop();
  expect(await whatIsLeft(terraform.account, outputs.vpc_id)).not.toEqual([]);
  await terraform.destroy();
  expect(await whatIsLeft(terraform.account, outputs.vpc_id)).toEqual([]);
});

/** Routes of pods in the table, by what they lead to. */
async function podRoutes(tableId: string): Promise<Readonly<Record<string, string>>> {
  const routes = Object.entries(await fabric.world.staticRoutes(tableId));
  const inside = podNetwork.replace(/0\.0\/16$/, '');
  return Object.fromEntries(routes.filter(([destination]) => destination.startsWith(inside)));
}

async function wantedRoutes(): Promise<Readonly<Record<string, string>>> {
  const wanted = await Promise.all(
    fabric.agents.map(async ({ on }) => [await on.podSubnet(), on.instance.nicId] as const),
  );
  return Object.fromEntries(wanted.sort());
}
