/**
 * Programs that end or run out of something: signals, a log nobody reads any more, a full disk, no file descriptors. They say so in plain
 * words, end only where they must, and what carries packets stays.
 *
 * CI: without file descriptors for 12 s. FAULTS=long: for 5 minutes.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { ClusterNode } from '../../fabric/cluster.ts';
import { leaseKeyOf, leasePrefix } from '../../fabric/etcd-places.ts';
import { run } from '../../fabric/process.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { patchedProgram } from '../../support/patched-program.ts';
import { until } from '../../support/until.ts';
import { writesOf } from '../three-nodes.ts';
import { type FaultLab, type Survival, startFaultLab } from './fault-lab.ts';
import { expectNothingLost, readyz, recordFault } from './survival.ts';

// On a busy machine; what is waited for has deadlines of its own.
jest.setTimeout(900_000);

const size = sizeOfRun();
const withoutFilesMs = size === 'ci' ? 12_000 : 300_000;

/** What programs hold is compared where they go on for long: it takes some seconds each time. */
const quick = { leaks: false } as const;

let lab: FaultLab;

beforeAll(async () => {
  lab = await startFaultLab({ writer: 'node' });
}, 240_000);

afterAll(async () => {
  await lab?.stop();
});

const isReady = async (node: ClusterNode): Promise<boolean> => (await readyz(node)).includes(' 200 ');

async function keep(what: string, load: string, survival: Survival, outcome: string): Promise<void> {
  expectNothingLost(survival);
  await recordFault('process', survival, { what, load, outcome });
}

test('all agents ended by signals at once, orderly or not: packets flow without them, and their successors write nothing', async () => {
  const { nodes, cluster } = lab;
  const signals = ['SIGTERM', 'SIGINT', 'SIGABRT'] as const;
  cluster.aws.proxy.resetLog();
  const leases = await cluster.etcd.keys(leasePrefix);
  const survival = await lab.survive(async () => {
    const ends = await Promise.all(nodes.map(({ agent }, index) => agent.kill(signals[index] ?? 'SIGKILL')));
    // Whoever runs out of memory ends by SIGABRT.
    expect(ends).toEqual([0, 0, 'SIGABRT']);
    await delay(3_000);
    for (const node of nodes) lab.startAgent(node);
    for (const { agent } of nodes) await agent.ready(60_000);
  }, quick);
  expect(writesOf(cluster.aws.proxy.counts())).toEqual({});
  expect(await cluster.etcd.keys(leasePrefix)).toEqual(leases);
  await keep(
    'all agents ended by SIGTERM, SIGINT, SIGABRT at once',
    '3 agents',
    survival,
    'no write by their successors',
  );
});

/** What is left of a lease that is ended by hand: the agent makes it again, and logs that. */
async function restoresItsLease(node: ClusterNode): Promise<void> {
  const key = leaseKeyOf(await node.podSubnet());
  await lab.cluster.etcd.delete(key);
  await until('its lease is there again', async () => (await lab.cluster.etcd.keys(key)).length === 1, 20_000);
}

/** The reader of its log ends after the first line. */
const halfRead = 'exec "$@" 2> >(exec head -n 1)';

test('a log that nobody reads any more, and closed outputs: the agent goes on', async () => {
  const [, two, three] = lab.nodes;
  const survival = await lab.survive(async () => {
    for (const { agent } of [two, three]) await agent.kill('SIGTERM');
    lab.startAgent(two, { prelude: halfRead });
    lab.startAgent(three, { prelude: 'exec "$@" >&- 2>&-' });
    for (const node of [two, three]) {
      await until('it is ready', async () => await isReady(node), 60_000);
      await restoresItsLease(node);
    }
  }, quick);
  for (const { agent } of [two, three]) expect(await agent.kill('SIGTERM')).toBe(0);
  for (const node of [two, three]) lab.startAgent(node);
  for (const { agent } of [two, three]) await agent.ready(60_000);
  await keep('log and standard output closed', '2 agents of 3', survival, 'they went on, a lost lease included');
});

test('control: an agent that such a log ends is seen to end', async () => {
  const [, two] = lab.nodes;
  const wrong = await patchedProgram('process.stderr.on("error",()=>{});', '');
  await two.agent.kill('SIGTERM');
  lab.startAgent(two, { prelude: `shift; set -- ${wrong.path} "$@"; ${halfRead}` });
  expect(await two.agent.process.ended).toBe(1);
  lab.startAgent(two);
  await two.agent.ready(60_000);
  await wrong.remove();
});

/** A disk of two pages for /run/flannel, with what is there already, full. Seen by the agent alone. */
const fullDisk = [
  'mkdir -p /run/flannel /run/before && cp -a /run/flannel/. /run/before',
  'mount -t tmpfs -o size=8k tmpfs /run/flannel && cp -a /run/before/. /run/flannel',
  'dd if=/dev/zero of=/run/flannel/filler bs=4096 2>/dev/null',
  'exec "$@"',
].join('; ');

test('a full disk under /run/flannel: a joining node says so and waits, one that is back needs no space', async () => {
  const [, two] = lab.nodes;
  const node = await lab.cluster.addNode({ name: 'four', subnet: 'first', address: '10.0.1.14' });
  lab.added.push(node);
  const survival = await lab.survive(async () => {
    lab.startAgent(node, { prelude: fullDisk });
    await two.agent.kill('SIGKILL');
    lab.startAgent(two, { prelude: fullDisk });
    await two.agent.ready(60_000);
    await node.agent.logged(/no space left on device/, 60_000);
    const answer = await readyz(node);
    expect(answer).toContain(' 503 ');
    expect(answer).toMatch(/x-flannel-vpc-waiting-for: .*no space left on device/i);
    await delay(5_000);
    expect(node.agent.log().filter(({ error }) => String(error).includes('no space left'))).toHaveLength(1);
    await run(['nsenter', '-t', String(node.agent.process.pid), '--mount', 'rm', '/run/flannel/filler']);
    await node.agent.ready(60_000);
  }, quick);
  expect(await isReady(node)).toBe(true);
  await two.agent.kill('SIGKILL');
  lab.startAgent(two);
  await two.agent.ready(60_000);
  await keep(
    'full disk for subnet.env',
    'one node joins, one returns',
    survival,
    'the joining one waited, named it once, and went on',
  );
});

test('no file descriptors left: an agent says so, keeps what stands, and goes on when there are some again', async () => {
  const [, , three] = lab.nodes;
  const { agent } = three;
  const pid = String(agent.process.pid);
  const lines = agent.log().length;
  const survival = await lab.survive(async () => {
    // Not even what it has: a connection that ends can't be made again.
    await run(['prlimit', `--pid=${pid}`, '--nofile=16:4096']);
    await delay(withoutFilesMs);
    const said = agent
      .log()
      .slice(lines)
      .filter(({ level }) => level === 'error' || level === 'warn');
    expect(said.some((line) => JSON.stringify(line).includes('EMFILE'))).toBe(true);
    // Each kind of trouble once: host, routes, probe, lease store.
    expect(said.length).toBeLessThanOrEqual(8);
    await run(['prlimit', `--pid=${pid}`, '--nofile=4096:4096']);
    await agent.logged(/this host can be checked again/, 30_000);
    await until('it is ready', async () => await isReady(three), 60_000);
  });
  await restoresItsLease(three);
  await keep(
    'no file descriptors left',
    `1 agent of 3, ${withoutFilesMs / 1_000} s`,
    survival,
    'said once, nothing taken down, went on',
  );
});

test('control: an agent that ends where the kernel can’t be asked is seen to end', async () => {
  const [, , three] = lab.nodes;
  const after = 'has its addresses`,error);';
  const wrong = await patchedProgram(`${after}continue`, `${after}throw error`);
  await three.agent.kill('SIGTERM');
  lab.startAgent(three, { prelude: `shift; set -- ${wrong.path} "$@"; exec "$@"` });
  await three.agent.ready(60_000);
  await run(['prlimit', `--pid=${three.agent.process.pid}`, '--nofile=16:4096']);
  expect(await three.agent.process.ended).toBe(1);
  lab.startAgent(three);
  await three.agent.ready(60_000);
  await wrong.remove();
});
