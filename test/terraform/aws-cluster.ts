/**
 * A cluster of what Terraform made: its VPC, tables, machines, roles and security group on the fabric, and on each machine the programs that
 * its own user data starts, as it starts them. Only etcd is elsewhere, and the EC2 endpoint.
 */
import { readIngress, readUserDataText } from '../clouds/aws/adoption.ts';
import { type AwsCloudWorld, createAwsCloudWorld } from '../clouds/aws/cloud-world.ts';
import { program } from '../fabric/agent.ts';
import { type Cluster, type ClusterNode, createCluster } from '../fabric/cluster.ts';
import { rigAddress } from '../fabric/management.ts';
import type { Process } from '../fabric/process.ts';
import type { AwsTerraform, ClusterOutputs } from './aws-terraform.ts';
import { type Machine, readUserData } from './user-data.ts';

export interface TerraformMachine {
  readonly on: ClusterNode;
  /** What the user data that EC2 has for it makes of it. */
  readonly machine: Machine;
  /** Starts the agent as the machine's unit does. @throws Error when it runs none. */
  startAgent(): void;
  /** Starts the controller the same way. */
  startController(): Process;
  /** Runs the program on it with the role that the machine has. @throws Error with what it said, unless it exits 0. */
  command(args: readonly string[]): Promise<string>;
}

export interface TerraformCluster {
  readonly cluster: Cluster;
  readonly world: AwsCloudWorld;
  readonly agents: readonly TerraformMachine[];
  readonly controllers: readonly TerraformMachine[];
  /** Takes over what Terraform changed since: the security group's rules and the rights of the role. */
  readAgain(): Promise<void>;
  /** Ends the fabric, once however often it is called; what Terraform made stays. */
  stop(): Promise<void>;
}

export async function startTerraformCluster(
  { account }: Pick<AwsTerraform, 'account'>,
  outputs: ClusterOutputs,
): Promise<TerraformCluster> {
  const { admin, iam, proxy } = account;
  const [first, second] = Object.values(outputs.subnets);
  if (!first || !second) throw new Error('Terraform made less than two subnets');
  const network = { vpcId: outputs.vpc_id, subnetIds: [first.id, second.id] as const };
  const world = await createAwsCloudWorld({ account, network });
  const cluster = await createCluster({ world, netConf: JSON.parse(outputs.net_conf) });

  async function plugIn([name, { instance_id: id }]: readonly [string, { readonly instance_id: string }]) {
    const node = await cluster.addNode({ name, instance: await world.adoptInstance(id), rpFilter: 2 });
    const machine = readUserData(await readUserDataText(admin, id));
    const cloud = world.nodeEnvironment(node.instance, rigAddress);
    const store = { FLANNELD_ETCD_ENDPOINTS: cluster.etcd.endpoint };

    function started(what: 'agent' | 'controller') {
      const found = machine[what];
      if (!found) throw new Error(`${name} runs no ${what}`);
      if (found.env['FLANNELD_ETCD_ENDPOINTS'] !== outputs.etcd_endpoints.join()) {
        throw new Error(`${name} looks for etcd at ${found.env['FLANNELD_ETCD_ENDPOINTS']}`);
      }
      return { args: found.argv.slice(2), env: { ...found.env, ...store } };
    }

    return {
      ...{ on: node, machine },
      startAgent() {
        const { args, env } = started('agent');
        node.start({ commandLine: args, env });
      },
      startController() {
        const { args, env } = started('controller');
        return node.node.spawn([program, 'controller', ...args], { ...cloud, ...env });
      },
      command: async (args: readonly string[]) =>
        await node.node.exec([program, ...args], { env: { ...cloud, ...store }, timeoutMs: 120_000 }),
    };
  }

  async function readAgain(): Promise<void> {
    await cluster.vpc.setIngress(await readIngress(admin, outputs.security_group_id));
    proxy.roles.setRole(outputs.role_name, await iam.policyOfRole(outputs.role_name));
  }

  let stopped: Promise<void> | undefined;
  const agents: TerraformMachine[] = [];
  const controllers: TerraformMachine[] = [];
  for (const each of Object.entries(outputs.agents)) agents.push(await plugIn(each));
  for (const each of Object.entries(outputs.controllers)) controllers.push(await plugIn(each));
  await readAgain();
  return { cluster, world, agents, controllers, readAgain, stop: () => (stopped ??= cluster.stop()) };
}
