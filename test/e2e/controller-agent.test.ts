/**
 * An agent of a cluster with a controller, alone: what it asks and loads, and what it waits for. The routes are written by this
 * test's own hand, so that it is known when they stand.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Cluster, type ClusterNode, createCluster } from '../fabric/cluster.ts';
import { leasePrefix as leases } from '../fabric/etcd-places.ts';
import {
  anySdk,
  type PoisonedProgram,
  poisonedExit,
  poisonedProgram,
  poisonedText,
} from '../fabric/poisoned-program.ts';
import { countAnswers } from '../fabric/traffic.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
let withoutSdk: PoisonedProgram;
let one: ClusterNode;
let two: ClusterNode;

beforeAll(async () => {
  cluster = await createCluster({ backend: { Writer: 'controller' } });
  withoutSdk = await poisonedProgram(anySdk);
  expect(withoutSdk.chunks).toHaveLength(4);
  one = await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11' });
  two = await cluster.addNode({ name: 'two', subnet: 'second', address: '10.0.2.12' });
});

afterAll(async () => {
  await cluster?.stop();
  await withoutSdk?.remove();
});

/** The program as given, but from the copy, and with no variable of AWS. */
function startFromCopy(node: ClusterNode, args: readonly string[] = []): void {
  const unset = 'for name in $(env | sed -n "s/^\\(AWS_[A-Z0-9_]*\\)=.*/\\1/p"); do unset "$name"; done';
  node.start({ args, prelude: `${unset}; shift; exec ${withoutSdk.program} "$@"` });
}

async function subnetOf(node: ClusterNode): Promise<string | undefined> {
  const keys = await cluster.etcd.keys(leases);
  return keys
    .find(({ value }) => value.includes(node.instance.id))
    ?.key.slice(leases.length)
    .replace('-', '/');
}

/** What the controller would do for the node. */
async function writeRoutes(node: ClusterNode): Promise<void> {
  const { aws: world } = cluster;
  const subnet = await subnetOf(node);
  if (subnet === undefined) throw new Error(`no lease of ${node.node.name}`);
  await world.setSourceDestCheck(node.instance.nicId, false);
  for (const tableId of [world.explicitTableId, world.mainTableId]) {
    await world.putRoute(tableId, subnet, node.instance.nicId);
  }
}

async function waitsFor({ node }: ClusterNode): Promise<string> {
  const { stdout } = await node.tryExec(['curl', '-si', 'http://127.0.0.1:8081/readyz']);
  return /^X-Flannel-VPC-Waiting-For: (.*?)\r?$/im.exec(stdout)?.[1] ?? '';
}

test('the first of a cluster has no peer to wait for; it loads no SDK and asks EC2 nothing', async () => {
  startFromCopy(one);
  await one.agent.ready();
  const [key] = await cluster.etcd.keys(leases);
  expect(JSON.parse(key?.value ?? '')).toMatchObject({
    PublicIP: '10.0.1.11',
    FlannelVPC: {
      ...{ instanceId: one.instance.id, nicId: one.instance.nicId, subnetId: one.instance.subnet.id },
      ...{
        zone: one.instance.subnet.zone,
        nodeName: expect.any(String),
        addresses: expect.arrayContaining(['10.0.1.11']),
      },
    },
  });
  expect(cluster.aws.proxy.counts()).toEqual({});
});

test('the second writes no subnet.env while no route leads to it, and says what it waits for', async () => {
  await writeRoutes(one);
  startFromCopy(two);
  await until('a reason', async () => /although its node is up/.test(await waitsFor(two)), 30_000);
  await delay(5_000);
  expect(await two.node.subnetEnv()).toBeUndefined();
  expect(await waitsFor(two)).toMatch(
    /probe: no peer answers: .*; subnet-file: not written before a probe was answered|subnet-file: .*; probe: no peer answers/,
  );
});

test('as soon as its routes stand it writes the file, and pods reach each other the first time', async () => {
  await writeRoutes(two);
  await two.agent.ready(15_000);
  const pods = [await one.addPod('pod'), await two.addPod('pod')] as const;
  const [to, from] = await Promise.all([
    countAnswers({ from: pods[0], to: pods[1] }, 5),
    countAnswers({ from: pods[1], to: pods[0] }, 5),
  ]);
  expect([to, from]).toEqual([5, 5]);
  await until('nothing is missing', async () => (await waitsFor(two)) === '');
  expect(cluster.aws.proxy.counts()).toEqual({});
});

test('after a restart the file is written at once, whether or not a route stands', async () => {
  const { aws: world } = cluster;
  await two.agent.kill('SIGKILL');
  for (const tableId of [world.explicitTableId, world.mainTableId]) {
    await world.removeRoute(tableId, await two.podSubnet());
  }
  startFromCopy(two);
  await two.agent.ready(10_000);
  await until('a reason', async () => /^probe: no peer answers/.test(await waitsFor(two)), 30_000);
});

test('an agent that writes its own route would have loaded the SDK', async () => {
  await two.agent.kill('SIGKILL');
  await cluster.putNetConf({ Network: '10.244.0.0/16', Backend: { Type: 'aws-vpc' } });
  startFromCopy(two);
  expect(await two.agent.process.ended).toBe(poisonedExit);
  expect(two.agent.process.log()).toContain(poisonedText);
});
