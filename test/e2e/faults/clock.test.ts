/**
 * Clocks of single programs, set by hours, days and years while pods talk: no lease is dropped, no route written, no packet lost, and
 * the log says what is wrong with the clock. The machine's own clock stays (libfaketime).
 *
 * CI: each error of a clock stands for 2.5 s, and controllers have three of them. FAULTS=long: for 30 s, and the drift takes 5 minutes.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { program } from '../../fabric/agent.ts';
import type { Controller } from '../../fabric/controller.ts';
import { type EtcdKey, startEtcd } from '../../fabric/etcd.ts';
import { leasePrefix } from '../../fabric/etcd-places.ts';
import { createFakeClock, type FakeClock } from '../../fabric/fake-clock.ts';
import { start } from '../../fabric/process.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { until } from '../../support/until.ts';
import { writesOf } from '../three-nodes.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import { expectNothingLost, readyz, recordFault } from './survival.ts';

// On a busy machine; what is waited for has deadlines of its own.
jest.setTimeout(900_000);

const size = sizeOfRun();
const standsMs = size === 'ci' ? 2_500 : 30_000;
const errors = ['+1h', '-1h', '+1d', '-1d', '+10y', '-10y'] as const;
const errorsOfControllers = size === 'ci' ? (['+1h', '-1d', '+10y'] as const) : errors;
/** What programs hold is compared where they go on for long: it takes some seconds each time. */
const quick = { leaks: false } as const;
/** Each check of an agent or a controller is two reads; a wrong clock may spoil both, and both again where it was set between them. */
const mostRefusedReads = 4;

let lab: FaultLab;
let agentClock: FakeClock;
const controllerClocks = new Map<string, FakeClock>();

beforeAll(async () => {
  agentClock = await createFakeClock();
  // Agents that write for themselves: they ask EC2 with credentials of the metadata server, which end by the clock.
  lab = await startFaultLab({
    writer: 'node',
    agentEnv: agentClock.env,
    agentArgs: ['--route-check-interval=1s'],
  });
}, 240_000);

afterEach(async () => {
  for (const clock of [agentClock, ...controllerClocks.values()]) await clock.set('+0');
});

afterAll(async () => {
  await lab?.stop();
  for (const clock of [agentClock, ...controllerClocks.values()]) await clock?.remove();
});

/** Leases as they stand: who wrote them over, or had another etcd lease, shows. */
async function leasesNow(): Promise<readonly Pick<EtcdKey, 'key' | 'value' | 'lease' | 'modRevision'>[]> {
  const keys = await lab.cluster.etcd.keys(leasePrefix);
  return keys.map(({ key, value, lease, modRevision }) => ({ key, value, lease, modRevision }));
}

/** Reads that EC2 refused for their time. */
function refusedReads(): number {
  return lab.cluster.aws.proxy.log.filter(({ outcome }) => outcome === 'RequestExpired').length;
}

interface Line {
  readonly level: string;
  readonly msg: string;
}
const worse = ({ level }: Line): boolean => level === 'error';
const ofClock = ({ msg }: Line): boolean => msg.includes('machine’s clock');

test('agents whose clock is set by an hour, a day and ten years, forward and back', async () => {
  const { nodes, cluster } = lab;
  const leases = await leasesNow();
  cluster.aws.proxy.resetLog();
  const survival = await lab.survive(async () => {
    for (const error of errors) {
      await agentClock.set(error);
      await delay(standsMs);
      for (const node of nodes) expect(await readyz(node)).toContain(' 200 ');
    }
    await agentClock.set('+0');
    await delay(standsMs);
  });
  expectNothingLost(survival);
  expect(await leasesNow()).toEqual(leases);
  expect(writesOf(cluster.aws.proxy.counts())).toEqual({});
  const refused = refusedReads();
  expect(refused).toBeGreaterThanOrEqual(nodes.length * errors.length);
  expect(refused).toBeLessThanOrEqual(nodes.length * (errors.length + 1) * mostRefusedReads);
  for (const { agent } of nodes) {
    expect(agent.log().filter(worse)).toEqual([]);
    // Once for each error, and that it is right again.
    expect(
      agent
        .log()
        .filter(ofClock)
        .map(({ clock, msg }) => clock ?? msg),
    ).toEqual([
      ...['60 minutes ahead', '60 minutes behind', '24 hours ahead', '24 hours behind', '3650 days ahead'],
      ...['3650 days behind', expect.stringContaining('agrees with EC2’s again')],
    ]);
  }
  await recordFault('process', survival, {
    what: 'clock of all agents set by an hour, a day, ten years, both ways',
    load: `3 agents, 7 changes, each stood ${standsMs / 1_000} s`,
    outcome: `no lease and no route written; ${refused} reads refused by EC2 and sent again`,
  });
});

/** How often one of them began to lead. */
const elections = (controllers: readonly Controller[]): number =>
  controllers.flatMap(({ log }) => log()).filter(({ msg }) => msg.startsWith('leading: this controller writes')).length;

async function leaderOf(controllers: readonly Controller[]): Promise<Controller> {
  for (const each of controllers) if ((await each.report()).controller?.role === 'leader') return each;
  throw new Error('nobody leads');
}

test('controllers, the one that leads set each time: a clock set forward costs an election and nothing else', async () => {
  const { cluster, controllers } = lab;
  // Agents write for themselves here; what a controller finds is right already, and must stay so.
  for (const name of ['first', 'second']) {
    const clock = await createFakeClock();
    controllerClocks.set(name, clock);
    await lab.startController(name, { env: clock.env }).logged(/leading: this controller writes|standing by/);
  }
  await until('one of them leads', async () => (await leaderOf(controllers).catch(() => undefined)) !== undefined);
  const leases = await leasesNow();
  const before = elections(controllers);
  cluster.aws.proxy.resetLog();
  const survival = await lab.survive(async () => {
    for (const error of errorsOfControllers) {
      const leader = await leaderOf(controllers);
      await controllerClocks.get(leader.name)?.set(error);
      await delay(standsMs);
      await until('one of them leads', async () => (await leaderOf(controllers).catch(() => undefined)) !== undefined);
    }
    for (const clock of controllerClocks.values()) await clock.set('+0');
    await delay(standsMs);
    await until('one of them leads', async () => (await leaderOf(controllers).catch(() => undefined)) !== undefined);
  });
  expectNothingLost(survival);
  expect(await leasesNow()).toEqual(leases);
  expect(writesOf(cluster.aws.proxy.counts())).toEqual({});
  const more = elections(controllers) - before;
  // A clock set back costs none. Of those that are set right at the end one may lead and be set forward.
  expect(more).toBeGreaterThanOrEqual(1);
  expect(more).toBeLessThanOrEqual(errorsOfControllers.length + 1);
  const lines = controllers.flatMap(({ log }) => log());
  expect(lines.filter(worse)).toEqual([]);
  // One that is set forward leads no longer and asks EC2 nothing; one that is set back leads on and says so.
  expect(lines.filter(ofClock).length).toBeGreaterThanOrEqual(1);
  await recordFault('process', survival, {
    what: 'clock of the leading controller set, by up to ten years, both ways',
    load: `2 controllers, ${errorsOfControllers.length + 1} changes, each stood ${standsMs / 1_000} s`,
    outcome: `no route written; ${more} elections`,
  });
});

test('a clock that runs too fast', async () => {
  const { cluster, nodes } = lab;
  const leases = await leasesNow();
  cluster.aws.proxy.resetLog();
  const [rate, ms] = size === 'ci' ? [1.2, 4_000] : [2, 300_000];
  const survival = await lab.survive(async () => {
    await agentClock.set(`+0 x${rate}`);
    await delay(ms);
    await agentClock.set('+0');
    await delay(standsMs);
  }, quick);
  expectNothingLost(survival);
  expect(await leasesNow()).toEqual(leases);
  expect(writesOf(cluster.aws.proxy.counts())).toEqual({});
  for (const { agent } of nodes) expect(agent.log().filter(worse)).toEqual([]);
  await recordFault('process', survival, {
    what: 'clock of all agents too fast',
    load: `3 agents, ${rate} times too fast for ${ms / 1_000} s`,
    outcome: 'no lease and no route written',
  });
});

test('a machine that slept: both clocks of an agent an hour and a day on', async () => {
  const { cluster, nodes } = lab;
  const [, node] = nodes;
  const clock = await createFakeClock('faked');
  try {
    await node.agent.kill('SIGKILL');
    lab.startAgent(node, { env: clock.env });
    await node.agent.ready();
    const leases = await leasesNow();
    cluster.aws.proxy.resetLog();
    const survival = await lab.survive(async () => {
      // A day: by its clock the lease is over. In etcd it is not, and is kept alive.
      for (const ahead of ['+1h', '+25h']) {
        await clock.set(ahead);
        await delay(standsMs);
        await until('it is ready', async () => (await readyz(node)).includes(' 200 '));
      }
      await node.agent.logged(/lease renewed/);
    }, quick);
    expectNothingLost(survival);
    expect(await leasesNow()).toEqual(leases);
    expect(writesOf(cluster.aws.proxy.counts())).toEqual({});
    await recordFault('process', survival, {
      what: 'an agent slept for an hour and for a day',
      load: '1 agent of 3, its monotonic clock set forward too',
      outcome: 'lease kept alive, nothing written',
    });
  } finally {
    await node.agent.kill('SIGKILL');
    lab.startAgent(node);
    await node.agent.ready();
    await clock.remove();
  }
});

test('etcd behind TLS: a clock before and after the certificate’s time is named, and it works once the clock is right', async () => {
  const etcd = await startEtcd({ tls: { clientAuth: false } });
  const caFile = etcd.certificates?.caFile ?? '';
  const recovers = async (wrong: string, words: string): Promise<void> => {
    const clock = await createFakeClock();
    await clock.set(wrong);
    const argv = [program, 'controller', '--healthz-port=0', '--log-format=json', `--etcd-cafile=${caFile}`];
    const child = start([...argv, `--etcd-endpoints=${etcd.endpoint}`], clock.env);
    try {
      const [line] = await child.waitForLog(/.*"code":"STORE_UNAVAILABLE".*/, 30_000);
      expect(line).toContain(words);
      expect(line).toContain('set the clock');
      await clock.set('+0');
      // The store answers: there is no net-conf in it.
      await child.waitForLog(/"code":"(?!STORE_UNAVAILABLE)\w+".*config/, 60_000);
    } finally {
      await child.kill('SIGKILL');
      await clock.remove();
    }
  };
  await Promise.all([recovers('+10y', 'certificate has expired'), recovers('-10y', 'certificate is not yet valid')]);
  await etcd.stop();
  await recordFault('process', undefined, {
    what: 'clock outside the time of etcd’s certificate',
    load: 'ten years before and after',
    outcome: 'the clock is named with what to do; works again once it is right',
  });
});

test('control: a lease that is dropped and had again, as one that ran out by the clock, is seen', async () => {
  const leases = await leasesNow();
  const lease = leases[0]?.lease ?? '';
  await lab.survive(async () => await lab.cluster.etcd.revoke(lease), quick);
  expect(await leasesNow()).not.toEqual(leases);
});
