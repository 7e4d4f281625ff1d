/** A restart, however it comes about, loses no packet and writes nothing. Wrong agents are seen through. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { AgentRequest } from '../fabric/cluster.ts';
import { startEcho, startFlows, startPing } from '../fabric/traffic.ts';
import { kernelRules, reportsSettled, startThreeNodes, type ThreeNodes, writesOf } from './three-nodes.ts';

let all: ThreeNodes;

beforeAll(async () => {
  // Each change of the VPC stands for a while before EC2 answers: no state in between is too short to lose a packet in.
  all = await startThreeNodes({ settleMs: 200 });
  await startEcho(all.cluster.vpc.outside);
  // The first reports of all three are puts that no restart makes.
  await reportsSettled(all);
}, 240_000);

afterAll(async () => {
  await all.cluster.stop();
});

afterEach(() => {
  all.cluster.aws.proxy.clearFaults();
});

interface Losses {
  readonly pingsLost: number;
  /** Flows to the outside that failed, or came from another address than the node's. */
  readonly wrongFlows: readonly string[];
}

/** Traffic from and to node one's pod in both directions, and new flows to the outside, while something is done. */
async function lossesWhile(work: () => Promise<void>): Promise<Losses> {
  const [mine, , far] = all.pods;
  const pings = [startPing({ from: mine, to: far }), startPing({ from: far, to: mine })];
  const flows = startFlows({ from: mine, to: all.cluster.vpc.outside });
  for (const ping of pings) await ping.flowing();
  await work();
  const reports = await Promise.all(pings.map((ping) => ping.stop()));
  const seen = await flows.stop();
  return {
    pingsLost: reports.reduce((sum, { lost }) => sum + lost, 0),
    wrongFlows: seen
      .map((flow) => flow.seen ?? flow.problem ?? '')
      .filter((source) => source !== all.nodes[0].node.address),
  };
}

const whole: Losses = { pingsLost: 0, wrongFlows: [] };

/** Kills node one's agent and starts another in its place. */
async function restart(request: AgentRequest = {}): Promise<void> {
  await all.nodes[0].agent.kill('SIGKILL');
  all.nodes[0].start(request);
  await all.nodes[0].agent.ready();
}

test('SIGKILL and restart: no packet lost, no write to EC2, etcd or the kernel', async () => {
  const { cluster, nodes } = all;
  cluster.aws.proxy.resetLog();
  const before = { revision: await cluster.etcd.revision(), rules: await kernelRules(nodes[0]) };
  const losses = await lossesWhile(() => restart());
  expect(losses).toEqual(whole);
  expect(cluster.aws.proxy.counts()).toEqual({ DescribeNetworkInterfaces: 1, DescribeRouteTables: 1 });
  expect({ revision: await cluster.etcd.revision(), rules: await kernelRules(nodes[0]) }).toEqual(before);
});

test('SIGKILL at many points of a start: no packet lost, and the last start converges', async () => {
  const { cluster, nodes } = all;
  cluster.aws.proxy.resetLog();
  const rules = await kernelRules(nodes[0]);
  const losses = await lossesWhile(async () => {
    await nodes[0].agent.kill('SIGKILL');
    // From before its first step to after its last one: a start takes about half a second here.
    for (const ms of [20, 80, 140, 200, 260, 320, 400, 500, 650]) {
      const agent = nodes[0].start();
      await delay(ms);
      await agent.kill('SIGKILL');
    }
    nodes[0].start();
    await nodes[0].agent.ready();
  });
  expect(losses).toEqual(whole);
  expect(writesOf(cluster.aws.proxy.counts())).toEqual({});
  expect(await kernelRules(nodes[0])).toBe(rules);
});

test('a restart while EC2 is throttled for a while: no packet lost, nothing given up', async () => {
  const { proxy } = all.cluster.aws;
  const losses = await lossesWhile(async () => {
    proxy.setThrottle(() => ({ burst: 0, perSecond: 0.01 }));
    await all.nodes[0].agent.kill('SIGKILL');
    all.nodes[0].start();
    await delay(3_000);
    proxy.setThrottle(undefined);
    await all.nodes[0].agent.ready();
  });
  expect(losses).toEqual(whole);
});

test('a restart while etcd is away: no packet lost, and ready once it is back', async () => {
  const losses = await lossesWhile(async () => {
    await all.cluster.etcd.kill();
    await all.nodes[0].agent.kill('SIGKILL');
    all.nodes[0].start();
    await all.nodes[0].agent.logged(/no answer from the lease store yet/);
    await all.cluster.etcd.restart();
    await all.nodes[0].agent.ready();
  });
  expect(losses).toEqual(whole);
});

test('control: an agent that deletes its route and creates it again is seen to lose packets', async () => {
  const { aws: world } = all.cluster;
  const subnet = await all.nodes[0].podSubnet();
  const losses = await lossesWhile(async () => {
    for (const { tableId } of [world.explicitSubnet, world.mainSubnet]) await world.removeRoute(tableId, subnet);
    for (const { tableId } of [world.explicitSubnet, world.mainSubnet]) {
      await world.putRoute(tableId, subnet, all.nodes[0].instance.nicId);
    }
    await restart();
  });
  expect(losses.pingsLost).toBeGreaterThan(0);
});

test('control: an agent that flushes its rules at a restart is seen to send unmasqueraded packets', async () => {
  const losses = await lossesWhile(() =>
    restart({ prelude: 'iptables -w -t nat -F FLANNEL-POSTRTG; sleep 0.5; exec "$@"' }),
  );
  expect(losses.wrongFlows.length).toBeGreaterThan(0);
});
