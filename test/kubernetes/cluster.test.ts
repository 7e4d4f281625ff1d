/** Nodes in a VPC whose leases are Node objects, and a controller that writes their routes: all of it the built program. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Cluster, type ClusterNode, createCluster, podNetwork } from '../fabric/cluster.ts';
import { type CniRuntime, createCniRuntime } from '../fabric/cni.ts';
import { type Controller, startController } from '../fabric/controller.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import { rigAddress } from '../fabric/management.ts';
import { countAnswers, type Place, startPing } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';
import { type NodeView, nodesOf } from './machines.ts';

const crdFile = fileURLToPath(new URL('../../deploy/kubernetes/vpcroute-crd.yaml', import.meta.url));
const identity = 'flannel.alpha.coreos.com/vpc-node';
const conflist = 'cni/net.d/10-flannel-vpc.conflist';
const packets = 10;
const minutesMs = 120_000;

let cluster: Cluster;
let server: KubeApiserver;
let nodes: ReturnType<typeof nodesOf>;
let folder: string;
let storeArgs: readonly string[];
let controller: Controller;
let one: ClusterNode;
let two: ClusterNode;
let runtimes: readonly CniRuntime[] = [];
let from: Place;
let to: Place;

beforeAll(async () => {
  cluster = await createCluster();
  server = await startKubeApiserver({ etcd: cluster.etcd, host: rigAddress });
  nodes = nodesOf(server);
  await server.kubectl('apply', '-f', crdFile);
  await server.kubectl('wait', '--for=condition=established', '--timeout=60s', 'crd/vpcroutes.flannel-vpc.dev');
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-kube-cluster-'));
  const netConfFile = join(folder, 'net-conf.json');
  const { explicitTableId, mainTableId } = cluster.aws;
  const backend = { Type: 'aws-vpc', Writer: 'controller', RouteTableID: [explicitTableId, mainTableId] };
  await writeFile(netConfFile, JSON.stringify({ Network: podNetwork, Backend: backend }));
  storeArgs = ['--kube-subnet-mgr', `--kubeconfig-file=${server.kubeconfig}`, `--net-config-path=${netConfFile}`];
  one = await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11' });
  two = await cluster.addNode({ name: 'two', subnet: 'second', address: '10.0.2.12' });
});

afterAll(async () => {
  await controller?.kill('SIGKILL');
  for (const runtime of runtimes) await runtime.close();
  await server?.stop();
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

function startRoutes(): void {
  const args = [...storeArgs, '--resync=1s', '--leader-elect=false'];
  controller = startController({ world: cluster.aws }, { name: 'controller', args });
}

async function register(node: ClusterNode, podCIDR: string): Promise<void> {
  const { name } = node.node;
  await nodes.add(name, podCIDR);
  node.start({ args: [...storeArgs, `--cni-conf=/run/${conflist}`, '--probe-interval=3s'], env: { NODE_NAME: name } });
}

async function becomes(node: ClusterNode, what: string, is: (view: NodeView) => boolean): Promise<void> {
  await until(`${node.node.name} ${what}`, async () => is(await nodes.read(node.node.name)), minutesMs);
}

const isOpen = ({ condition }: NodeView): boolean => {
  return condition?.['status'] === 'False' && condition['reason'] === 'FlannelIsUp';
};

it('nodes say who they are, the controller makes their routes, and pods reach each other', async () => {
  startRoutes();
  await register(one, '10.244.1.0/24');
  await register(two, '10.244.2.0/24');
  for (const node of [one, two]) {
    await node.agent.ready(minutesMs);
    await becomes(node, 'is open to pods', isOpen);
    const { annotations } = await nodes.read(node.node.name);
    expect(JSON.parse(annotations[identity] ?? '{}')).toMatchObject({
      ...{ instanceId: node.instance.id, nicId: node.instance.nicId, nodeName: node.node.name },
    });
  }
  runtimes = await Promise.all([one, two].map(({ node }) => createCniRuntime(node, join(node.runFolder, conflist))));
  const pods = await Promise.all(runtimes.map((runtime, at) => runtime.add(`pod${at + 1}`)));
  expect(pods.map(({ address }) => address)).toEqual(['10.244.1.2', '10.244.2.2']);
  [from = one.node, to = two.node] = pods;
  expect(await countAnswers({ from, to }, packets)).toBe(packets);
});

it('a node that no peer reaches closes itself to pods with the reason, and opens again once it is reached', async () => {
  await controller.kill();
  for (const table of [cluster.aws.explicitTableId, cluster.aws.mainTableId]) {
    await cluster.aws.removeRoute(table, '10.244.2.0/24');
  }
  const isClosed = ({ condition }: NodeView): boolean => {
    return condition?.['status'] === 'True' && condition['reason'] === 'PodsNotReachable';
  };
  // Neither reaches the other. Who is first to say so is the one: of so few nodes not every one may close.
  const closed = async (): Promise<NodeView | undefined> =>
    (await Promise.all(['one', 'two'].map((name) => nodes.read(name)))).find(isClosed);
  await until('one of them is closed to pods', async () => (await closed()) !== undefined, 90_000);
  expect((await closed())?.condition?.['message']).toMatch(/^probe: no peer answers/);

  startRoutes();
  for (const node of [one, two]) await becomes(node, 'is open to pods again', isOpen);
});

it('an API server that dies costs no packet, and nothing is written when it is back', async () => {
  const before = await Promise.all(['one', 'two'].map((name) => nodes.read(name)));
  const ping = startPing({ from, to });
  await ping.flowing();
  await server.kill();
  await one.agent.logged(/watch of node one/, minutesMs);
  await server.restart();
  const { lost } = await ping.stop();
  expect(lost).toBe(0);
  for (const node of [one, two]) await becomes(node, 'is open to pods', isOpen);
  expect(await Promise.all(['one', 'two'].map((name) => nodes.read(name)))).toEqual(before);
});

async function leadsTo(subnet: string, nicId: string | undefined): Promise<boolean> {
  const { aws: world } = cluster;
  const tables = await Promise.all([world.explicitTableId, world.mainTableId].map((id) => world.staticRoutes(id)));
  return tables.every((routes) => routes[subnet] === nicId);
}

it('a leader that dies costs no packet, and a node that joins meanwhile gets its routes from the next one', async () => {
  await controller.kill();
  await server.kubectl('create', 'namespace', 'kube-flannel');
  const election = ['--leader-elect-lease-duration=12s', '--leader-elect-retry-period=1s', '--resync=1s'];
  const elected = ['first', 'second'].map((name) =>
    startController({ world: cluster.aws }, { name, args: [...storeArgs, ...election] }),
  );
  const [first, second] = elected as [Controller, Controller];
  const leading = /leading: this controller writes/;
  const leader = await Promise.race(elected.map(async (each) => each.logged(leading, minutesMs).then(() => each)));
  controller = leader === first ? second : first;
  const ping = startPing({ from, to });
  await ping.flowing();

  await leader.kill('SIGKILL');
  const three = await cluster.addNode({ name: 'three', subnet: 'second', address: '10.0.2.13' });
  await register(three, '10.244.3.0/24');
  await three.agent.ready(minutesMs);

  expect(controller.log().some(({ msg }) => leading.test(msg))).toBe(true);
  expect(await leadsTo('10.244.3.0/24', three.instance.nicId)).toBe(true);
  expect((await ping.stop()).lost).toBe(0);
});

it('a node that is deleted loses its routes, and the one that takes its place is reached by its own', async () => {
  await two.agent.kill('SIGKILL');
  await two.destroy();
  await cluster.sync();
  await server.kubectl('delete', 'node', 'two');
  await until('its routes are gone', async () => await leadsTo('10.244.2.0/24', undefined), minutesMs);

  const next = await cluster.addNode({ name: 'next', subnet: 'second', address: '10.0.2.14' });
  await register(next, '10.244.2.0/24');
  await next.agent.ready(minutesMs);
  expect(await leadsTo('10.244.2.0/24', next.instance.nicId)).toBe(true);
  const runtime = await createCniRuntime(next.node, join(next.node.runFolder, conflist));
  runtimes = [...runtimes, runtime];
  const pod = await runtime.add('pod');
  expect(await countAnswers({ from, to: pod }, packets)).toBe(packets);
});
