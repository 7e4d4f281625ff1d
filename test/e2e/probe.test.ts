/** Ready means reachable: what agents find by asking one another over the VPC, and what they say when its parts are wrong. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ClusterNode, podNetwork } from '../fabric/cluster.ts';
import { reportsSettled, startThreeNodes, type ThreeNodes } from './three-nodes.ts';

const args = ['--probe-interval=3s'];
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
  // Right after its start an agent does not listen yet.
  const { stdout: answer } = await node.tryExec(['curl', '-si', 'http://127.0.0.1:8081/readyz']);
  const header = (name: string): string => new RegExp(`^${name}: (.*?)\r?$`, 'im').exec(answer)?.[1] ?? '';
  return {
    status: Number(/^HTTP\/1.1 (\d+)/.exec(answer)?.[1]),
    waitsFor: header('X-Flannel-VPC-Waiting-For'),
    note: header('X-Flannel-VPC-Note'),
  };
}

type Which = () => ClusterNode;

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

/** All are proven, and the store says so: what a test does next finds nobody who is not ready already. */
async function allProven(): Promise<void> {
  for (const node of all.nodes) await becomes(node, proven);
  await reportsSettled(all);
}

const [one, two, three] = [0, 1, 2].map((index) => () => all.nodes[index] as ClusterNode) as [Which, Which, Which];

describe('a cluster whose parts are right', () => {
  test('is proven to be reachable, node by node', async () => {
    await allProven();
    for (const node of all.nodes) {
      expect(await metric(node, 'flannel_vpc_probe_reachable')).toBe(1);
      expect(await metric(node, 'flannel_vpc_probe_round_trip_seconds')).toBeGreaterThan(0);
    }
  });

  test('writes nothing and lists nothing while nothing changes', async () => {
    const { etcd, aws: world } = all.cluster;
    world.proxy.resetLog();
    const revision = await etcd.revision();
    await delay(8_000);
    expect(await etcd.revision()).toBe(revision);
    expect(world.proxy.counts()).toEqual({});
  });
});

interface Wrong {
  readonly node: Which;
  readonly make: () => Promise<unknown>;
  readonly mend: () => Promise<unknown>;
  /** What the node that has it says. */
  readonly says: RegExp;
  /** Others that stay ready. */
  readonly others: readonly Which[];
}

const tables = (): readonly string[] => [all.cluster.aws.explicitTableId, all.cluster.aws.mainTableId];

const wrongs: readonly (readonly [string, Wrong])[] = [
  [
    'without a route to it',
    {
      node: three,
      async make() {
        for (const table of tables()) await all.cluster.aws.removeRoute(table, await three().podSubnet());
      },
      async mend() {
        const { nicId } = three().instance;
        for (const table of tables()) await all.cluster.aws.putRoute(table, await three().podSubnet(), nicId);
      },
      says: /^probe: no peer answers: not 10\.244\.\d+\.0 either, although its node is up and says it is reachable$/,
      others: [one, two],
    },
  ],
  [
    'with its source/dest check on',
    {
      node: three,
      make: () => all.cluster.vpc.setForwards(three().instance.nicId, false),
      mend: () => all.cluster.vpc.setForwards(three().instance.nicId, true),
      says: /^probe: no peer answers: not 10\.244\.\d+\.0 either/,
      others: [one, two],
    },
  ],
  [
    'whose firewall lets in answers and nothing that comes unasked',
    {
      node: one,
      make: () =>
        one().node.exec(['nft', '-f', '-'], {
          input: [
            'add table ip wall',
            'add chain ip wall in { type filter hook input priority 0; }',
            `add rule ip wall in ip saddr ${podNetwork} ct state new drop`,
            '',
          ].join('\n'),
        }),
      mend: () => one().node.exec(['nft', 'delete', 'table', 'ip', 'wall']),
      says: /^probe: 10\.244\.\d+\.0 answers, but what it sends us unasked does not come in/,
      others: [two, three],
    },
  ],
  [
    'that masquerades what its pods send to other pods',
    {
      node: one,
      make: () =>
        one().node.exec(['nft', '-f', '-'], {
          input: [
            'add table ip other',
            'add chain ip other post { type nat hook postrouting priority 50; }',
            `add rule ip other post oifname eth0 ip saddr ${podNetwork} masquerade`,
            '',
          ].join('\n'),
        }),
      mend: () => one().node.exec(['nft', 'delete', 'table', 'ip', 'other']),
      says: /^probe: 10\.244\.\d+\.0 saw 10\.0\.1\.11 as the source of our probe: it was masqueraded on the way/,
      others: [two, three],
    },
  ],
];

describe.each(wrongs)('a node %s', (_, { node, make, mend, says, others }) => {
  beforeAll(async () => {
    await allProven();
  }, 120_000);

  test('is not ready and says why, others stay so, and all is well when it is mended', async () => {
    await make();
    try {
      await becomes(node(), { status: 503, waitsFor: expect.stringMatching(says), note: '' });
      expect(await metric(node(), 'flannel_vpc_probe_reachable')).toBe(0);
      for (const other of others) expect(await readyz(other())).toMatchObject({ status: 200 });
    } finally {
      await mend();
    }
    for (const each of all.nodes) await becomes(each, proven);
  });
});

describe('a security group that does not let the pod network in', () => {
  beforeAll(async () => {
    await allProven();
  }, 120_000);

  test('keeps a node that starts from being ready, until it does', async () => {
    const subnet = await two().podSubnet();
    await two().agent.kill('SIGTERM');
    await all.cluster.vpc.setAllowedNetworks([]);
    two().start({ args });
    await two().agent.ready();
    await becomes(two(), { status: 503, waitsFor: expect.stringMatching(/^probe: no peer .*answers: not /), note: '' });
    // What its containers live on is not taken away: the routes stand, and somebody else's rule is at fault.
    expect(await two().podSubnet()).toBe(subnet);
    await all.cluster.vpc.setAllowedNetworks([podNetwork]);
    for (const each of all.nodes) await becomes(each, proven);
  });
});

test('a node whose peers are all gone is ready, and says that nothing is proven', async () => {
  for (const gone of [two(), three()]) {
    await gone.agent.kill('SIGKILL');
    await gone.destroy();
  }
  await all.cluster.sync();
  await one().agent.kill('SIGTERM');
  one().start({ args });
  await becomes(one(), { status: 503, waitsFor: expect.stringMatching(/^probe: no peer/), note: '' });
  await becomes(one(), {
    status: 200,
    waitsFor: '',
    note: expect.stringMatching(/^probe: unproven: none of 1 peer of subnet-\S+ answers$/),
  });
}, 120_000);
