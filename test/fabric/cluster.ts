/**
 * A whole cluster: etcd, EC2, a VPC that forwards by EC2's tables, and nodes with agents on them. The demo, the end-to-end
 * tests and the benches share it.
 *
 * EC2's answer to a change goes out only after the VPC forwards by it, so that every gap an agent makes can be seen.
 */
import type { Policy } from '../clouds/aws/iam-policy.ts';
import { type AwsInstance, type AwsSubnet, type AwsWorld, createAwsWorld } from '../clouds/aws/world.ts';
import { type Agent, startAgent } from './agent.ts';
import { type EtcdServer, startEtcd } from './etcd.ts';
import { rigAddress } from './management.ts';
import { type NodeMetadata, startNodeMetadata } from './metadata.ts';
import { createNode, type Node } from './node.ts';
import type { Pod } from './pod.ts';
import { run } from './process.ts';
import { createVpc, type Vpc, type VpcRoute } from './vpc.ts';

export interface ClusterOptions {
  /** Default 9001, as on EC2. */
  readonly mtu?: number;
  /** Members of net-conf's `Backend` besides its type; by default both tables are named. */
  readonly backend?: Readonly<Record<string, unknown>>;
  /** What the nodes' role may do; default everything. */
  readonly nodePolicy?: Policy;
  /** Networks that the security group lets in; default the pods'. */
  readonly allowedNetworks?: readonly string[];
  /** Least time that each change of the VPC stands before EC2 answers, milliseconds. Default 0. */
  readonly settleMs?: number;
  /** Told what is being done, for people. */
  readonly progress?: (text: string) => void;
}

export interface NodeRequest {
  readonly name: string;
  readonly subnet: 'explicit' | 'main';
  /** Private address in the subnet (10.0.1.0/24 explicit, 10.0.2.0/24 main). */
  readonly address: string;
  readonly rpFilter?: 1 | 2;
}

export interface AgentRequest {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly prelude?: string;
}

/** A node, the instance it is, and the agent that runs on it. */
export interface ClusterNode {
  readonly node: Node;
  readonly instance: AwsInstance;
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
  readonly world: AwsWorld;
  readonly vpc: Vpc;
  readonly etcd: EtcdServer;
  addNode(request: NodeRequest): Promise<ClusterNode>;
  putNetConf(netConf: object): Promise<void>;
  /** Reads EC2's tables and makes the VPC forward by them: for changes that are no route changes, such as a stopped instance. */
  sync(): Promise<void>;
  stop(): Promise<void>;
}

export const podNetwork = '10.244.0.0/16';
export const bridge = 'cni0';
const prefix = '/coreos.com/network';

/** Starts everything but nodes. */
export async function createCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { progress = () => {} } = options;
  await run(['ip', 'addr', 'replace', `${rigAddress}/32`, 'dev', 'lo']);
  progress('starting etcd and LocalStack (EC2)');
  const [etcd, world] = await Promise.all([
    startEtcd({ host: rigAddress }),
    createAwsWorld({ proxyAddress: '0.0.0.0', nodePolicy: options.nodePolicy }),
  ]);
  progress(`making a VPC ${world.vpcCidr} with two subnets and two route tables`);
  const subnets = [world.explicitSubnet, world.mainSubnet];
  const vpc = await createVpc({
    cidr: world.vpcCidr,
    subnets: subnets.map(({ id, cidr }) => ({ id, cidr })),
    mtu: options.mtu ?? 9001,
    allowedNetworks: options.allowedNetworks ?? [podNetwork],
    settleMs: options.settleMs ?? 0,
  });
  for (const subnet of subnets) await vpc.associate(subnet.id, subnet.tableId);
  const nodes = new Set<ClusterNode>();
  const tables = new Map<string, Map<string, VpcRoute['target']>>();

  async function sync(): Promise<void> {
    for (const { tableId } of subnets) {
      const routes = await world.routes(tableId);
      const known = new Map<string, VpcRoute['target']>();
      for (const route of routes) {
        const destination = route.DestinationCidrBlock;
        if (destination === undefined || route.GatewayId === 'local') continue;
        known.set(destination, targetOf(route.NetworkInterfaceId, route.State === 'blackhole'));
      }
      tables.set(tableId, known);
      await show(tableId, known);
    }
  }

  async function show(tableId: string, routes: ReadonlyMap<string, VpcRoute['target']>): Promise<void> {
    await vpc.setRoutes(
      tableId,
      [...routes].map(([destination, target]) => ({ destination, target })),
    );
  }

  await sync();
  world.proxy.onChange(async (change) => {
    if (change.kind === 'source-dest-check')
      return await vpc.setSourceDestCheck(change.nicId, change.enabled).catch(unplugged);
    if (change.kind !== 'route' || change.destination.includes(':')) return;
    const routes = tables.get(change.tableId);
    if (!routes) return;
    if (change.action === 'delete') routes.delete(change.destination);
    else routes.set(change.destination, targetOf(change.nicId, false));
    await show(change.tableId, routes);
  });

  async function putNetConf(netConf: object): Promise<void> {
    await etcd.put(`${prefix}/config`, JSON.stringify(netConf));
  }
  const RouteTableID = [world.explicitTableId, world.mainTableId];
  await putNetConf({ Network: podNetwork, Backend: { Type: 'aws-vpc', RouteTableID, ...options.backend } });

  return {
    ...{ world, vpc, etcd, putNetConf, sync },
    async addNode(request) {
      const subnet = request.subnet === 'explicit' ? world.explicitSubnet : world.mainSubnet;
      const instance = await world.runInstance(subnet, request.address);
      const added = await plugIn({ ...request, instance, subnet, vpc, world, etcd, nodes });
      nodes.add(added);
      return added;
    },
    async stop() {
      for (const each of nodes) await removeNode(each);
      await vpc.close();
      await world.stop();
      await etcd.stop();
    },
  };
}

interface Place extends Omit<NodeRequest, 'subnet'> {
  readonly instance: AwsInstance;
  readonly subnet: AwsSubnet;
  readonly vpc: Vpc;
  readonly world: AwsWorld;
  readonly etcd: EtcdServer;
  readonly nodes: Set<ClusterNode>;
}

async function plugIn({ instance, subnet, vpc, world, etcd, nodes, ...request }: Place): Promise<ClusterNode> {
  const node = await createNode({
    ...{ vpc, name: request.name, instanceId: instance.id, nicId: instance.nicId, subnetId: subnet.id },
    ...{ address: request.address, rpFilter: request.rpFilter ?? 2 },
  });
  const metadata = await startNodeMetadata(node, instance.metadata);
  let agent: Agent | undefined;
  const clusterNode: ClusterNode = {
    ...{ node, instance, metadata },
    get agent() {
      if (!agent) throw new Error(`no agent was started on ${node.name}`);
      return agent;
    },
    start({ args = [], env = {}, prelude }: AgentRequest = {}) {
      agent = startAgent(node, {
        args: [`--etcd-endpoints=${etcd.endpoint}`, '--ip-masq', `--bridge=${bridge}`, '--healthz-port=8081', ...args],
        env: { AWS_ENDPOINT_URL_EC2: `http://${rigAddress}:${world.proxy.port}`, ...env },
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

function targetOf(nicId: string | undefined, blackhole: boolean): VpcRoute['target'] {
  if (blackhole) return { kind: 'blackhole' };
  return nicId === undefined ? { kind: 'gateway' } : { kind: 'nic', nicId };
}

/** EC2 knows NICs that this rig has no node for. */
function unplugged(error: unknown): void {
  if (!(error instanceof Error && error.message.startsWith('no NIC '))) throw error;
}
