/**
 * A whole cluster: etcd, a cloud, a VPC that forwards by the cloud's tables, and nodes with agents on them. The demo, the
 * end-to-end tests and the benches share it.
 *
 * The cloud says that a change is done only after the VPC forwards by it, so that every gap an agent makes can be seen.
 */
import type { AwsCloudWorld } from '../clouds/aws/cloud-world.ts';
import type { Policy } from '../clouds/aws/iam-policy.ts';
import type { AwsWorld } from '../clouds/aws/world.ts';
import type { CloudInstance, CloudName, CloudWorld } from '../clouds/cloud-world.ts';
import { clouds } from '../clouds/clouds.ts';
import { type Agent, startAgent } from './agent.ts';
import { type EtcdServer, type EtcdUser, startEtcd } from './etcd.ts';
import { rigAddress } from './management.ts';
import { type NodeMetadata, startNodeMetadata } from './metadata.ts';
import { createNode, type Node } from './node.ts';
import type { Pod } from './pod.ts';
import { run } from './process.ts';
import { createVpc, type Vpc } from './vpc.ts';

export interface ClusterOptions {
  /** Default `aws-vpc`. */
  readonly cloud?: CloudName;
  /** A cloud that is there already, and outlives the cluster. */
  readonly world?: CloudWorld;
  /** Default: as the cloud's networks have it. */
  readonly mtu?: number;
  /** Members of net-conf's `Backend` besides its type; by default all tables are named. */
  readonly backend?: Readonly<Record<string, unknown>>;
  /** The whole of net-conf, in place of ours. */
  readonly netConf?: object;
  /** What the nodes' role may do in EC2; default everything. */
  readonly nodePolicy?: Policy;
  /** Nodes and pods have addresses of both families. Default no. */
  readonly dualStack?: boolean;
  /** Networks that the security group lets in; default the pods'. */
  readonly allowedNetworks?: readonly string[];
  /** Least time that each change of the VPC stands before the cloud answers, milliseconds. Default 0. */
  readonly settleMs?: number;
  /** etcd asks for a user, and has these. Default: it asks for none. */
  readonly etcdUsers?: readonly EtcdUser[];
  /** More of etcd's own arguments. */
  readonly etcdArgs?: readonly string[];
  /** Told what is being done, for people. */
  readonly progress?: (text: string) => void;
}

/** A machine to make. */
export interface NodeRequest {
  readonly name: string;
  readonly subnet: 'first' | 'second';
  /** Private address in the subnet (in EC2 10.0.1.0/24 and 10.0.2.0/24). */
  readonly address: string;
  readonly rpFilter?: 1 | 2;
  /** Let forward by the cloud from the start. Default no, or as the cloud has it. */
  readonly forwards?: boolean;
}

/** A machine that is there already. */
export interface PresentNode extends Pick<NodeRequest, 'name' | 'rpFilter'> {
  readonly instance: CloudInstance;
}

export interface AgentRequest {
  /** After the usual ones. */
  readonly args?: readonly string[];
  /** All of its arguments, in place of the usual ones. */
  readonly commandLine?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly prelude?: string;
}

/** A node, the instance it is, and the agent that runs on it. */
export interface ClusterNode {
  readonly node: Node;
  readonly instance: CloudInstance;
  readonly metadata: NodeMetadata;
  /** The agent started last. */
  readonly agent: Agent;
  /** Starts the agent; its arguments come after the usual ones, and so win. */
  start(request?: AgentRequest): Agent;
  /** A pod on the bridge. */
  addPod(name: string): Promise<Pod>;
  /** The pod subnet of subnet.env, such as `10.244.7.0/24`. */
  podSubnet(): Promise<string>;
  /** The instance is terminated and the machine is gone. */
  destroy(): Promise<void>;
}

export interface Cluster {
  readonly world: CloudWorld;
  /** What is EC2's alone. @throws Error on another cloud. */
  readonly aws: AwsWorld;
  readonly vpc: Vpc;
  readonly etcd: EtcdServer;
  addNode(request: NodeRequest | PresentNode): Promise<ClusterNode>;
  /** The same instance starts again with another address: its kernel and its /run are new, and its metadata server says what is given. */
  comeBack(
    former: ClusterNode,
    changed: { readonly name: string; readonly address: string; readonly metadata: object },
  ): Promise<ClusterNode>;
  putNetConf(netConf: object): Promise<void>;
  /** Reads the cloud's tables and makes the VPC forward by them, whatever was told. */
  sync(): Promise<void>;
  stop(): Promise<void>;
}

export const podNetwork = '10.244.0.0/16';
export const podNetwork6 = 'fd42:244::/48';
export const bridge = 'cni0';
const prefix = '/coreos.com/network';

/** Starts everything but nodes. */
export async function createCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { progress = () => {} } = options;
  const cloud = clouds[options.world?.type ?? options.cloud ?? 'aws-vpc'];
  await run(['ip', 'addr', 'replace', `${rigAddress}/32`, 'dev', 'lo']);
  progress(`starting etcd and ${cloud.title}`);
  const [etcd, world] = await Promise.all([
    startEtcd({ host: rigAddress, users: options.etcdUsers ?? [], args: options.etcdArgs ?? [] }),
    options.world ?? cloud.create({ address: '0.0.0.0' }),
  ]);
  const { subnets, tableIds } = world;
  progress(`making a VPC ${world.networkCidr} with ${subnets.length} subnets and ${countOf(tableIds.length)}`);
  const vpc = await createVpc({
    cidr: world.networkCidr,
    subnets: subnets.map(({ id, cidr }) => ({ id, cidr })),
    mtu: options.mtu ?? world.mtu,
    allowedNetworks: options.allowedNetworks ?? [podNetwork, ...(options.dualStack ? [podNetwork6] : [])],
    settleMs: options.settleMs ?? 0,
  });
  for (const subnet of subnets) await vpc.associate(subnet.id, subnet.tableId);
  const nodes = new Set<ClusterNode>();

  let turn: Promise<void> = Promise.resolve();
  /** Makes the VPC forward by the table. In turns: what was read earlier must not be shown later. */
  async function show(tableId: string): Promise<void> {
    const mine = turn.then(async () => await vpc.setRoutes(tableId, await world.forwarding(tableId)));
    turn = mine.catch(() => {});
    await mine;
  }
  async function sync(): Promise<void> {
    for (const tableId of tableIds) await show(tableId);
  }

  await sync();
  let stopped = false;
  world.onChange(async (change) => {
    // The cloud may outlive the cluster.
    if (stopped) return;
    if (change.kind === 'forwards') await vpc.setForwards(change.nicId, change.forwards).catch(unplugged);
    else if (tableIds.includes(change.tableId)) await show(change.tableId);
  });

  async function putNetConf(netConf: object): Promise<void> {
    await etcd.put(`${prefix}/config`, JSON.stringify(netConf));
  }
  await putNetConf(
    options.netConf ?? {
      Network: podNetwork,
      ...(options.dualStack ? { EnableIPv6: true, IPv6Network: podNetwork6 } : {}),
      Backend: { Type: world.type, ...world.backend, ...options.backend },
    },
  );

  async function runInstance({ subnet, address, forwards }: NodeRequest): Promise<CloudInstance> {
    const wanted = forwards === undefined ? {} : { forwards };
    return await world.runInstance(subnets[subnet === 'first' ? 0 : 1], address, wanted);
  }

  const cluster: Cluster = {
    ...{ world, vpc, etcd, putNetConf, sync },
    get aws() {
      if (world.type !== 'aws-vpc') throw new Error(`this cluster is on ${world.type}`);
      return (world as AwsCloudWorld).aws;
    },
    async addNode(request) {
      const added = await plugIn({
        ...request,
        instance: 'instance' in request ? request.instance : await runInstance(request),
        vpc,
        world,
        etcd,
        nodes,
        dualStack: options.dualStack ?? false,
      });
      nodes.add(added);
      return added;
    },
    async comeBack(former, { name, address, metadata }) {
      nodes.delete(former);
      await removeNode(former);
      const { subnet } = former.instance;
      const instance = { ...former.instance, address, metadata: { ...former.instance.metadata, state: metadata } };
      const added = await plugIn({
        ...{ name, address, instance, subnet, vpc, world, etcd, nodes },
        dualStack: options.dualStack ?? false,
      });
      nodes.add(added);
      return added;
    },
    async stop() {
      for (const each of nodes) await removeNode(each);
      stopped = true;
      await vpc.close();
      if (!options.world) await world.stop();
      await etcd.stop();
    },
  };
  if (options.nodePolicy) cluster.aws.proxy.roles.setRole('node', options.nodePolicy);
  return cluster;
}

interface Place extends PresentNode {
  readonly vpc: Vpc;
  readonly world: CloudWorld;
  readonly etcd: EtcdServer;
  readonly nodes: Set<ClusterNode>;
  readonly dualStack: boolean;
}

async function plugIn({ instance, vpc, world, etcd, nodes, dualStack, ...request }: Place): Promise<ClusterNode> {
  const node = await createNode({
    ...{ vpc, name: request.name, instanceId: instance.id, nicId: instance.nicId, subnetId: instance.subnet.id },
    ...{ address: instance.address, rpFilter: request.rpFilter ?? 2 },
    address6: dualStack ? instance.address6 : undefined,
  });
  if (await world.forwards(instance.nicId)) await vpc.setForwards(instance.nicId, true);
  const metadata = await startNodeMetadata(node, instance.metadata);
  let agent: Agent | undefined;
  const clusterNode: ClusterNode = {
    ...{ node, instance, metadata },
    get agent() {
      if (!agent) throw new Error(`no agent was started on ${node.name}`);
      return agent;
    },
    start({ args = [], commandLine, env = {}, prelude }: AgentRequest = {}) {
      const usual = [`--etcd-endpoints=${etcd.endpoint}`, '--ip-masq', `--bridge=${bridge}`, '--healthz-port=8081'];
      agent = startAgent(node, {
        args: [...(commandLine ?? usual), ...args],
        env: { ...world.nodeEnvironment(instance, rigAddress), ...env },
        prelude,
      });
      return agent;
    },
    addPod: (name) => node.addPod(name, bridge),
    async podSubnet() {
      const text = (await node.subnetEnv())?.['FLANNEL_SUBNET'];
      if (text === undefined) throw new Error(`${node.name} has no subnet.env`);
      return text.replace(/\.1\/24$/, '.0/24');
    },
    async destroy() {
      nodes.delete(clusterNode);
      await removeNode(clusterNode);
      await world.terminateInstance(instance.id);
    },
  };
  return clusterNode;
}

async function removeNode({ node, metadata }: ClusterNode): Promise<void> {
  await metadata.stop();
  await node.remove();
}

function countOf(tables: number): string {
  return tables === 1 ? 'one route table' : `${tables} route tables`;
}

/** Clouds know NICs that this rig has no node for. */
function unplugged(error: unknown): void {
  if (!(error instanceof Error && error.message.startsWith('no NIC '))) throw error;
}
