/** Ready means reachable: what agents find by asking one another over the VPC, and what they say when its parts are wrong. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type ClusterNode, podNetwork } from '../fabric/cluster.ts';
import { startThreeNodes, type ThreeNodes } from './three-nodes.ts';

const args = ['--probe-interval=3s'];
const reports = '/coreos.com/network/flannel-vpc/nodes/';
let all: ThreeNodes;

beforeAll(async () => {
  all = await startThreeNodes({ args });
});

afterAll(async () => {
  await all.cluster.stop();
});

interface Readyz {
  readonly status: number;
  readonly waitsFor: string;
  readonly note: string;
}

async function readyz({ node }: ClusterNode): Promise<Readyz> {
  const answer = await node.exec(['curl', '-si', 'http://127.0.0.1:8081/readyz']);
  const header = (name: string): string => new RegExp(`^${name}: (.*?)\r?$`, 'im').exec(answer)?.[1] ?? '';
  return {
    status: Number(/^HTTP\/1.1 (\d+)/.exec(answer)?.[1]),
    waitsFor: header('X-Flannel-VPC-Waiting-For'),
    note: header('X-Flannel-VPC-Note'),
  };
}

const proven: Readyz = { status: 200, waitsFor: '', note: '' };

/** Asks until the answer is as expected, and then expects it, so that a failure shows what it was. */
async function becomes(node: ClusterNode, expected: object, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await readyz(node);
    try {
      expect(found).toEqual(expected);
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(200);
    }
  }
}

async function metric({ node }: ClusterNode, name: string): Promise<number> {
  const text = await node.exec(['curl', '-s', 'http://127.0.0.1:8081/metrics']);
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
}

describe('a cluster whose parts are right', () => {
  test('is proven to be reachable, node by node', async () => {
    for (const node of all.nodes) {
      await becomes(node, proven);
      expect(await metric(node, 'flannel_vpc_probe_reachable')).toBe(1);
      expect(await metric(node, 'flannel_vpc_probe_round_trip_seconds')).toBeGreaterThan(0);
    }
  });

  test('says so in the store, and writes nothing more while nothing changes', async () => {
    const { etcd } = all.cluster;
    const stored = async (): Promise<readonly string[]> => [...(await etcd.values(reports))].map(([, value]) => value);
    for (let tries = 0; tries < 100; tries++) {
      const found = await stored();
      if (found.length === 3 && found.every((text) => text.includes('"ready":true,"reason":""'))) break;
      await delay(300 * Number(tries < 99));
    }
    expect(await stored()).toEqual(Array.from({ length: 3 }, () => expect.stringContaining('"ready":true,"reason":""')));
    const revision = await etcd.revision();
    await delay(8_000);
    expect(await etcd.revision()).toBe(revision);
  });
});
