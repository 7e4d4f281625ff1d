/**
 * A vxlan cluster moves to routes of the VPC node by node, back, and there for good, as docs/migration.md has it: pods of all pairs of nodes
 * ping each other the whole time, and no packet is lost. Our vxlan agents stand for flannel's.
 */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { program } from '../fabric/agent.ts';
import { type Cluster, type ClusterNode, createCluster, podNetwork } from '../fabric/cluster.ts';
import { type Controller, startController } from '../fabric/controller.ts';
import { leasePrefix as leases } from '../fabric/etcd-places.ts';
import type { Pod } from '../fabric/pod.ts';
import { runToEnd } from '../fabric/process.ts';
import { countAnswers, type Ping, startPing } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';

const moving = ['--backend-type=aws-vpc'];
/** Fresh proofs start after 2 s and wait up to a minute between tries on a busy machine. */
const patience = 90_000;
const vxlanConf = { Network: podNetwork, Backend: { Type: 'vxlan', Writer: 'controller' } };

let cluster: Cluster;
let controller: Controller;
const nodes: ClusterNode[] = [];
const pods: Pod[] = [];
const pings: Ping[] = [];
/** Each node's lease as flannel writes it, by its address. */
const flannelLeases = new Map<string, string>();

beforeAll(async () => {
  cluster = await createCluster();
  await cluster.putNetConf(vxlanConf);
  await join({ name: 'one', subnet: 'first', address: '10.0.1.11', rpFilter: 1 });
  await join({ name: 'two', subnet: 'first', address: '10.0.1.12', rpFilter: 2 });
  await join({ name: 'three', subnet: 'second', address: '10.0.2.13', rpFilter: 1 });
});

afterAll(async () => {
  await controller?.kill();
  await cluster?.stop();
});

/** A node with a vxlan agent and a pod, which pings the pods of all nodes before it; answers show the way back as well. */
async function join(request: Parameters<Cluster['addNode']>[0]): Promise<ClusterNode> {
  const node = await cluster.addNode(request);
  node.start();
  await node.agent.ready();
  const pod = await node.addPod('pod');
  for (const other of pods)
    await until('the overlay reaches it', async () => (await countAnswers({ from: pod, to: other }, 2)) === 2, 30_000);
  for (const other of pods) pings.push(startPing({ from: pod, to: other }));
  nodes.push(node);
  pods.push(pod);
  for (const ping of pings) await ping.flowing();
  flannelLeases.set(node.node.address, await leaseOf(node));
  return node;
}

async function leaseOf({ node }: ClusterNode): Promise<string> {
  const stored = await cluster.etcd.keys(leases);
  return stored.find(({ value }) => value.includes(`"PublicIP":"${node.address}"`))?.value ?? '';
}

/** As an operator does it: the agent's unit is started again with, or without, the flag. */
async function restart(node: ClusterNode, args: readonly string[], signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  await node.agent.kill(signal);
  node.start({ args });
  await node.agent.ready();
}

/** Subnets of peers that this node's kernel sends to by the overlay. */
async function byOverlay({ node }: ClusterNode): Promise<readonly string[]> {
  const routes: { dst: string; gateway?: string }[] = JSON.parse(
    await node.exec(['ip', '-j', 'route', 'show', 'dev', 'flannel.1']),
  );
  return routes.filter(({ gateway }) => gateway !== undefined).map(({ dst }) => dst);
}

async function across(node: ClusterNode): Promise<void> {
  const nobody = async (): Promise<boolean> => (await byOverlay(node)).length === 0;
  await until(`${node.node.name} sends by the VPC`, nobody, patience);
}

async function mac({ node }: ClusterNode): Promise<string> {
  return JSON.parse(await node.exec(['ip', '-j', 'link', 'show', 'dev', 'flannel.1']))[0].address;
}

async function rpFilter({ node }: ClusterNode, device: string): Promise<string> {
  return (await node.exec(['cat', `/proc/sys/net/ipv4/conf/${device}/rp_filter`])).trim();
}

async function command(...args: readonly string[]): Promise<{ readonly code: number | string; readonly text: string }> {
  const env = cluster.world.operatorEnvironment('controller', 'operator');
  const { code, stdout, stderr } = await runToEnd([program, ...args, `--etcd-endpoints=${cluster.etcd.endpoint}`], {
    env,
  });
  return { code, text: `${stdout}${stderr}` };
}

async function packetsByOverlay(): Promise<number> {
  const counts = await Promise.all(
    nodes.map(async ({ node }) => Number(await node.exec(['cat', '/sys/class/net/flannel.1/statistics/tx_packets']))),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

async function stopController(): Promise<void> {
  await controller.kill();
}

test('the overlay carries all traffic, and leases are flannel’s own', async () => {
  for (const value of flannelLeases.values())
    expect(value).toMatch(
      /^\{"PublicIP":"[\d.]+","PublicIPv6":null,"BackendType":"vxlan","BackendData":\{"VNI":1,"VtepMAC":"[0-9a-f:]{17}"\}\}$/,
    );
  for (const node of nodes) expect(await byOverlay(node)).toHaveLength(2);
});

test('step 1: the controller writes the routes of vxlan leases and switches the source/dest checks off', async () => {
  controller = startController(cluster, { name: 'controller', args: [...moving, '--resync=5s'] });
  await until(
    'routes of all three',
    async () => {
      const report = await controller.report().catch(() => undefined);
      return report?.nodes.filter(({ state, routesPresent }) => state === 'ok' && routesPresent === 2).length === 3;
    },
    patience,
  );
  for (const { instance } of nodes) expect(await cluster.world.forwards(instance.nicId)).toBe(true);
  const { text } = await command('status', ...moving);
  expect(text).toMatch(/moving +from vxlan to aws-vpc: 0 of 3 nodes have moved/);
});

test('step 2: the first node moves: its peers get across one by one, and its lease stays what peers send by', async () => {
  const [one, two, three] = nodes as [ClusterNode, ClusterNode, ClusterNode];
  const before = await mac(one);
  expect(await rpFilter(three, 'eth0')).toBe('1');
  await restart(one, moving);
  await across(one);
  expect(await mac(one)).toBe(before);
  const flannels = `${flannelLeases.get(one.node.address)?.slice(0, -1)},"FlannelVPC":{`;
  const now = await leaseOf(one);
  expect(now.slice(0, flannels.length)).toBe(flannels);
  expect(now).toMatch(/"movedTo":"aws-vpc"\}\}$/);
  expect((await one.node.subnetEnv())?.['FLANNEL_MTU']).toBe('8951');
  // Strict from the start; each node's own agent saw that somebody moves, or moves itself, and says what it did.
  for (const node of [one, three]) {
    expect(await rpFilter(node, 'eth0')).toBe('2');
    expect(await rpFilter(node, 'flannel.1')).toBe('2');
    await node.agent.logged(/eth0\.rp_filter=2.*strict reverse path filters made loose/);
  }
  for (const node of [two, three]) expect(await byOverlay(node)).toHaveLength(2);
  expect((await command('status', ...moving)).text).toMatch(/1 of 3 nodes have moved/);
});

test('a peer that is killed and started again half-way, and a node that joins, lose nothing', async () => {
  const [one, two] = nodes as [ClusterNode, ClusterNode];
  await restart(two, [], 'SIGKILL');
  await join({ name: 'four', subnet: 'second', address: '10.0.2.14', rpFilter: 1 });
  await across(one);
});

test('step 3: the others follow, and nothing is sent by the overlay any more', async () => {
  const [one, two, three, four] = nodes as [ClusterNode, ClusterNode, ClusterNode, ClusterNode];
  for (const node of [two, four, three]) {
    await restart(node, moving);
    await across(node);
  }
  await restart(one, moving, 'SIGKILL');
  for (const node of nodes) await across(node);
  const before = await packetsByOverlay();
  for (const ping of pings) {
    const answered = ping.answered();
    await until('packets flow on', async () => ping.answered() > answered + 20, 10_000);
  }
  expect((await packetsByOverlay()) - before).toBeLessThan(20);
  await until(
    'status says so',
    async () => /4 of 4 nodes have moved, and none needs the overlay/.test((await command('status', ...moving)).text),
    patience,
  );
});

test('and back: each node sends by the overlay again, with flannel’s lease byte for byte', async () => {
  for (const node of nodes) {
    await restart(node, []);
    await until('routes by the overlay', async () => (await byOverlay(node)).length === 3, patience);
    expect(await leaseOf(node)).toBe(flannelLeases.get(node.node.address));
  }
  await stopController();
  const purged = await command('routes', 'purge', `--network=${podNetwork}`, '--yes', ...moving);
  expect(purged).toMatchObject({ code: 0 });
  expect(await cluster.world.forwarding(cluster.world.tableIds[0] ?? '')).not.toContainEqual(
    expect.objectContaining({ destination: expect.stringMatching(/^10\.244\./) }),
  );
});

test('there again, and for good: net-conf names the cloud, leases and MTU are the cloud’s, and the device goes', async () => {
  controller = startController(cluster, { name: 'again', args: [...moving, '--resync=5s'] });
  for (const node of nodes) await restart(node, moving);
  for (const node of nodes) await across(node);
  await cluster.putNetConf({ Network: podNetwork, Backend: { Type: 'aws-vpc', Writer: 'controller' } });
  for (const node of nodes) {
    await restart(node, []);
    expect(await leaseOf(node)).not.toContain('vxlan');
    expect((await node.node.subnetEnv())?.['FLANNEL_MTU']).toBe('9001');
  }
  await stopController();
  controller = startController(cluster, { name: 'done', args: ['--resync=5s'] });
  for (const { node } of nodes) await node.ip('link del flannel.1');
  await until(
    'the controller has nothing to do',
    async () => (await controller.report().catch(() => undefined))?.healthy === true,
    patience,
  );
});

test('no packet was lost on any of these ways', async () => {
  const reports = [];
  for (const ping of pings) reports.push(await ping.stop());
  expect(reports).toHaveLength(6);
  for (const { lost, gaps, sent } of reports) {
    expect({ lost, gaps }).toEqual({ lost: 0, gaps: [] });
    expect(sent).toBeGreaterThan(2_000);
  }
});
