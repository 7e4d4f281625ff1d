/**
 * Faults of the Kubernetes API, while pods of three nodes talk and one of two controllers leads: the API server killed, frozen and
 * restarted, its etcd killed, and watches whose place is gone (410). Sizes: CI is away for 8 s each; FAULTS=long for 60 s.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { LogLine } from '../fabric/agent.ts';
import { type Cluster, type ClusterNode, createCluster, podNetwork } from '../fabric/cluster.ts';
import { countConnections } from '../fabric/connection-count.ts';
import { type Controller, startController } from '../fabric/controller.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import { rigAddress } from '../fabric/management.ts';
import type { Pod } from '../fabric/pod.ts';
import { startPing } from '../fabric/traffic.ts';
import { recordFigure, sizeOfRun } from '../support/figures.ts';
import { until } from '../support/until.ts';
import { nodesOf } from './machines.ts';

const { awayMs } = { ci: { awayMs: 8_000 }, long: { awayMs: 60_000 } }[sizeOfRun()];
const crdFile = fileURLToPath(new URL('../../deploy/kubernetes/vpcroute-crd.yaml', import.meta.url));
const noticeMs = 90_000;
const names = ['one', 'two', 'three'] as const;
const load = '3 nodes, 2 controllers, leases in Kubernetes';

let cluster: Cluster;
let server: KubeApiserver;
let folder: string;
let storeArgs: readonly string[];
const nodes: ClusterNode[] = [];
const pods: Pod[] = [];
const controllers: Controller[] = [];

beforeAll(async () => {
  cluster = await createCluster();
  server = await startKubeApiserver({ etcd: cluster.etcd, host: rigAddress });
  await server.kubectl('create', 'namespace', 'kube-flannel');
  await server.kubectl('apply', '-f', crdFile);
  await server.kubectl('wait', '--for=condition=established', '--timeout=60s', 'crd/vpcroutes.flannel-vpc.dev');
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-kube-faults-'));
  const netConfFile = join(folder, 'net-conf.json');
  const backend = { Type: 'aws-vpc', Writer: 'controller', RouteTableID: cluster.world.tableIds };
  await writeFile(netConfFile, JSON.stringify({ Network: podNetwork, Backend: backend }));
  storeArgs = ['--kube-subnet-mgr', `--kubeconfig-file=${server.kubeconfig}`, `--net-config-path=${netConfFile}`];
  const election = ['--leader-elect-lease-duration=12s', '--leader-elect-retry-period=1s', '--resync=2s'];
  for (const name of ['first', 'second']) {
    const controller = startController({ world: cluster.world }, { name, args: [...storeArgs, ...election] });
    controllers.push(controller);
    await controller.logged(/leading: this controller writes|standing by/, noticeMs);
  }
  const objects = nodesOf(server);
  for (const [index, name] of names.entries()) {
    const subnet = index < 2 ? 'first' : 'second';
    const node = await cluster.addNode({ name, subnet, address: `10.0.${index < 2 ? 1 : 2}.${11 + index}` });
    await objects.add(name, subnetOf(index));
    node.start({ args: storeArgs, env: { NODE_NAME: name } });
    nodes.push(node);
  }
  for (const node of nodes) await node.agent.ready(noticeMs);
  for (const node of nodes) pods.push(await node.addPod('pod'));
  await until('nodes are open to pods', async () => (await Promise.all(names.map(isOpen))).every(Boolean), noticeMs);
}, 300_000);

afterAll(async () => {
  for (const controller of controllers) await controller.kill('SIGKILL');
  await server?.stop();
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

const subnetOf = (index: number): string => `10.244.${index + 1}.0/24`;

async function isOpen(name: string): Promise<boolean> {
  return (await nodesOf(server).read(name)).condition?.['status'] === 'False';
}

/** What every Node has of ours, and every record with its revision. A condition's words may change, for they tell of peers. */
async function stored(): Promise<readonly string[]> {
  const line = '{range .items[*]}{.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}';
  const records = await server.kubectl('get', 'vpcroutes', '-o', `jsonpath=${line}`);
  const views = await Promise.all(names.map((name) => nodesOf(server).read(name)));
  const ofNodes = views.map(({ annotations, condition: { status, reason, lastTransitionTime } = {} }) =>
    JSON.stringify({ annotations, status, reason, lastTransitionTime }),
  );
  return [...ofNodes, ...records.split('\n').filter(Boolean)];
}

async function leaders(): Promise<readonly string[]> {
  const roles = await Promise.all(
    controllers.map(
      async (each) => [each.name, (await each.report().catch(() => undefined))?.controller?.role] as const,
    ),
  );
  return roles.filter(([, role]) => role === 'leader').map(([name]) => name);
}

function said({ log }: { log(): readonly LogLine[] }, since: number, pattern: RegExp): readonly string[] {
  return log()
    .filter(({ time, msg }) => Date.parse(time) >= since && pattern.test(msg))
    .map(({ msg }) => msg);
}

interface Survived {
  readonly since: number;
  readonly sent: number;
  readonly lost: number;
}

/** Does the fault while pods talk both ways; afterwards one leads, routes and objects are as they were, and nothing was written. */
async function survive(fault: () => Promise<void>): Promise<Survived> {
  const [hub, ...others] = pods;
  if (!hub) throw new Error('no pods');
  const before = await stored();
  const routes = await Promise.all(cluster.world.tableIds.map((id) => cluster.world.document(id, [])));
  cluster.world.resetRequests();
  const count = await countConnections(server.port);
  const pings = others.flatMap((pod) => [startPing({ from: hub, to: pod }), startPing({ from: pod, to: hub })]);
  for (const ping of pings) await ping.flowing();
  const since = Date.now();
  await fault();
  const { nodes: tries } = await count.read();
  const seconds = (Date.now() - since) / 1_000;
  await until('one leads', async () => (await leaders()).length === 1, noticeMs);
  await delay(3_000);
  const reports = await Promise.all(pings.map((ping) => ping.stop()));
  await count.remove();
  expect(await stored()).toEqual(before);
  expect(await Promise.all(cluster.world.tableIds.map((id) => cluster.world.document(id, [])))).toEqual(routes);
  expect(cluster.world.requests().filter(({ changes, caller }) => changes && caller !== 'test')).toEqual([]);
  // No retry storm: an agent has two things to follow, and their pauses grow.
  expect(tries).toBeLessThanOrEqual(names.length * (20 + 3 * seconds));
  for (const name of names) expect(await isOpen(name)).toBe(true);
  const sum = (of: 'sent' | 'lost'): number => reports.reduce((total, report) => total + report[of], 0);
  expect(sum('sent')).toBeGreaterThan(300);
  expect(sum('lost')).toBe(0);
  return { since, sent: sum('sent'), lost: sum('lost') };
}

async function record(what: string, { sent, lost }: Survived, outcome: string): Promise<void> {
  await recordFigure({ section: 'store', what, load, size: sizeOfRun(), packets: { sent, lost }, outcome });
}

it('the API server killed and started again: no packet lost, no object written, each agent says so once', async () => {
  const survived = await survive(async () => {
    await server.kill();
    await delay(awayMs);
    await server.restart();
  });
  for (const { agent } of nodes) {
    await until('its watch goes on', async () => said(agent, survived.since, /goes on$/).length > 0, noticeMs);
    // Once for each thing there is to do about it.
    expect(said(agent, survived.since, /interrupted; trying on/).length).toBeLessThanOrEqual(2);
  }
  await record(
    `kube-apiserver killed and started again`,
    survived,
    'no write to the cloud, nodes and records as they were, one leader',
  );
});

it('the API server frozen and thawed', async () => {
  const survived = await survive(async () => {
    server.pause();
    await delay(awayMs);
    server.resume();
  });
  await record('kube-apiserver frozen and thawed', survived, 'no write to the cloud, nodes and records as they were');
});

it('the etcd behind the API server killed and started again', async () => {
  const survived = await survive(async () => {
    await cluster.etcd.kill();
    await delay(awayMs);
    await cluster.etcd.restart();
    await until(
      'the API server answers',
      async () => (await server.request({ path: '/readyz' })).status === 200,
      noticeMs,
    );
  });
  await record(
    'etcd of kube-apiserver killed and started again',
    survived,
    'no write to the cloud, objects as they were',
  );
});

it('a place that is gone (410): it is listed again, and a node that joined meanwhile gets its routes', async () => {
  const survived = await survive(async () => {
    await server.kill();
    // What watches have heard last is compacted before they can ask for what came after it.
    for (let n = 0; n < 3; n++) await cluster.etcd.put('/other', String(n));
    await cluster.etcd.compact();
    await server.restart();
  });
  const heard = [...controllers, ...nodes.map(({ agent }) => agent)].map((each) =>
    said(each, survived.since, /no longer has our place; listing everything again/),
  );
  for (const lines of heard) expect(new Set(lines).size).toBe(lines.length);
  expect(heard.flat().length).toBeGreaterThan(0);
  const instance = await cluster.world.runInstance(cluster.world.subnets[0], '10.0.1.50');
  const { zone } = cluster.world.subnets[0];
  await server.apply({
    ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'four' } },
    spec: { podCIDR: subnetOf(3), podCIDRs: [subnetOf(3)], providerID: `aws:///${zone}/${instance.id}` },
  });
  await server.request({
    ...{ method: 'PATCH', path: '/api/v1/nodes/four/status', contentType: 'application/strategic-merge-patch+json' },
    body: { status: { addresses: [{ type: 'InternalIP', address: '10.0.1.50' }] } },
  });
  await until(
    'its routes stand',
    async () => {
      const tables = await Promise.all(cluster.world.tableIds.map((id) => cluster.world.staticRoutes(id)));
      return tables.every((routes) => routes[subnetOf(3)] === instance.nicId);
    },
    noticeMs,
  );
  await record('watches of kube-apiserver whose place is gone (410)', survived, 'listed again, nothing written');
});

it('a leader that dies with the API server is followed by the other one, and the check sees who writes', async () => {
  await until('one leads', async () => (await leaders()).length === 1, noticeMs);
  const [name] = await leaders();
  const leader = controllers.find((each) => each.name === name);
  // The control: what survive() takes for untouched is not what a write leaves.
  const before = await stored();
  await nodesOf(server).annotate('one', { touched: 'yes' });
  expect(await stored()).not.toEqual(before);
  const survived = await survive(async () => {
    await server.kill();
    await leader?.kill('SIGKILL');
    controllers.splice(controllers.indexOf(leader as Controller), 1);
    await server.restart();
  });
  expect(await leaders()).not.toContain(name);
  await record('kube-apiserver and the leading controller killed', survived, 'the other one leads, nothing written');
});
