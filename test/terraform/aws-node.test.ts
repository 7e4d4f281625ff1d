/** The AWS module with nodes that write for themselves, on the VPC's main table and behind NAT: rights are what Terraform gives. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { readInstance, roleOfInstance } from '../clouds/aws/adoption.ts';
import { policiesOfReadme, withoutAction } from '../clouds/aws/readme-policies.ts';
import type { Pod } from '../fabric/pod.ts';
import { countAnswers, openFlows, startEcho } from '../fabric/traffic.ts';
import { startTerraformCluster, type TerraformCluster, type TerraformMachine } from './aws-cluster.ts';
import { whatIsLeft } from './aws-leftovers.ts';
import { type AwsTerraform, type ClusterOutputs, openAwsTerraform } from './aws-terraform.ts';

// Terraform's provider waits ten seconds at a time for what LocalStack makes at once.
jest.setTimeout(600_000);

let terraform: AwsTerraform;
let outputs: ClusterOutputs;
let fabric: TerraformCluster;
let agents: readonly [TerraformMachine, TerraformMachine];
/** Puts the module right again. */
let undo: () => Promise<void>;

beforeAll(async () => {
  terraform = await openAwsTerraform('modules/aws', {
    ...{ name: 'green', zones: ['eu-west-1a', 'eu-west-1b'], vpc_cidr: '10.20.0.0/16', agent_count: 2 },
    ...{ writer: 'node', route_tables: 'main', internet: 'nat' },
    pod_ports: [{ protocol: 'tcp', from: 8080, to: 8080 }],
  });
  // The first wrong thing: a policy that lacks one right.
  undo = await terraform.edit('modules/aws/policies/node.json.tftpl', (text) =>
    text.replace('"ec2:CreateRoute", ', ''),
  );
  await terraform.apply();
  outputs = await terraform.outputs();
  fabric = await startTerraformCluster(terraform, outputs);
  agents = fabric.agents as unknown as readonly [TerraformMachine, TerraformMachine];
});

afterAll(async () => {
  await fabric?.stop();
  await terraform?.[Symbol.asyncDispose]();
});

test('the nodes alone have the role, and the machine of etcd none', async () => {
  for (const [kind, machines] of Object.entries({ agent: outputs.agents, etcd: outputs.controllers })) {
    expect(Object.keys(machines)).toHaveLength(kind === 'agent' ? 2 : 1);
    for (const { instance_id: id } of Object.values(machines)) {
      const role = await roleOfInstance(terraform.account, await readInstance(terraform.account.admin, id));
      expect(role?.name).toBe(kind === 'agent' ? outputs.role_name : undefined);
    }
  }
  const [etcd] = fabric.controllers;
  expect(etcd?.machine.controller ?? etcd?.machine.agent).toBeUndefined();
  expect(etcd?.machine.packages).toContain('etcd-server');
});

test('by a policy without ec2:CreateRoute, which is not the README’s, agents say what is denied', async () => {
  const { node } = await readmePolicies();
  const given = await terraform.account.iam.policyOfRole(outputs.role_name);
  expect(given).not.toEqual(node);
  expect(given).toEqual(withoutAction(node, 'ec2:CreateRoute'));
  for (const each of agents) each.startAgent();
  for (const { on } of agents) await on.agent.logged(/PERMISSION_DENIED.*ec2:CreateRoute/, 120_000);
  for (const { on } of agents) expect(await on.node.subnetEnv()).toBeUndefined();
});

test('by the module’s own policy, which is the README’s, they go on, and pods of both zones reach each other', async () => {
  await undo();
  await terraform.apply();
  await fabric.readAgain();
  expect(await terraform.account.iam.policyOfRole(outputs.role_name)).toEqual((await readmePolicies()).node);
  for (const { on } of agents) await on.agent.ready(180_000);
  const [from, to] = (await Promise.all(agents.map(({ on }) => on.addPod('pod')))) as [Pod, Pod];
  expect(await countAnswers({ from, to }, 100)).toBe(100);
  expect(outputs.table_ids).toHaveLength(1);
  expect(Object.keys(await fabric.world.staticRoutes(outputs.table_ids[0] ?? '')).sort()).toEqual(
    ['0.0.0.0/0', ...(await Promise.all(agents.map(({ on }) => on.podSubnet())))].sort(),
  );
  expect(await terraform.pending()).toBeUndefined();
});

test('pods are reached at the ports that are let in, and at no other', async () => {
  const [one, two] = agents;
  const [from, to] = [await one.on.addPod('client'), await two.on.addPod('server')];
  for (const port of [8080, 8081]) {
    const server = await startEcho(to, port);
    const flows = await openFlows({ from, to, port }, 2);
    await server.stop();
    const seen = flows.map(({ protocol, seen: address }) => `${protocol} ${address}`);
    expect(seen).toEqual(port === 8080 ? [`tcp ${from.address}`, 'udp undefined'] : ['tcp undefined', 'udp undefined']);
  }
});

test('after a purge from a node and a destroy nothing is left', async () => {
  for (const { on } of agents) expect(await on.agent.kill('SIGTERM')).toBe(0);
  await agents[0].command(['routes', 'purge', '--network=10.244.0.0/16', '--yes']);
  expect(Object.keys(await fabric.world.staticRoutes(outputs.table_ids[0] ?? ''))).toEqual(['0.0.0.0/0']);
  await fabric.stop();
  await terraform.destroy();
  expect(await whatIsLeft(terraform.account, outputs.vpc_id)).toEqual([]);
});

async function readmePolicies() {
  return await policiesOfReadme({ region: 'eu-west-1', vpcId: outputs.vpc_id }, outputs.table_ids);
}
