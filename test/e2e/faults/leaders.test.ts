/**
 * Controllers that lead no longer and do not know, or not yet: frozen with requests under way, with their key deleted by hand, deaf to
 * what etcd says while another one leads. What they had sent may land late and is repaired by one pass; nothing more of theirs does.
 *
 * CI: each once. FAULTS=long: the deaf one also with a clock that goes ten times too slowly, by which its term lasts on.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { Controller } from '../../fabric/controller.ts';
import { createFakeClock } from '../../fabric/fake-clock.ts';
import { type GrpcGate, startGrpcGate } from '../../fabric/grpc-gate.ts';
import { rigAddress } from '../../fabric/management.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { patchedProgram } from '../../support/patched-program.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import { putLease } from './put-lease.ts';
import { expectNothingLost, recordFault } from './survival.ts';

// On a busy machine; what is waited for has deadlines of its own.
jest.setTimeout(900_000);

const size = sizeOfRun();
/** What programs hold is compared once, for the frozen one: it takes some seconds each time. */
const quick = { leaks: false } as const;
const leaderKey = '/coreos.com/network/flannel-vpc/leader';
/** Term and retry period of the lab's controllers, and some seconds. */
const failoverMs = 12_000 + 1_000 + 5_000;
/** For so long a new leader replaces nothing: requests of the one before may be under way. */
const quietMs = 10_000;
const passMs = 10_000;

let lab: FaultLab;

beforeAll(async () => {
  lab = await startFaultLab({ writer: 'controller' });
}, 240_000);

afterAll(async () => {
  await lab?.stop();
});

const right = async (): Promise<boolean> => (await lab.problems()).length === 0;
const leads = async (controller: Controller): Promise<boolean> =>
  (await controller.report().catch(() => undefined))?.controller?.role === 'leader';

async function leaderAndOther(): Promise<readonly [Controller, Controller]> {
  let found: readonly [Controller, Controller] | undefined;
  await until(
    'one of two leads',
    async () => {
      const [first, second] = lab.controllers;
      if (!first || !second) throw new Error('two controllers are needed');
      if (await leads(first)) found = [first, second];
      else if (await leads(second)) found = [second, first];
      return found !== undefined;
    },
    failoverMs,
  );
  return found as readonly [Controller, Controller];
}

interface Write {
  readonly text: string;
  readonly by: string;
}

/** Changes asked of EC2 since the last `resetLog`, refused ones included: `CreateRoute 10.244.1.0/24`. */
function writes(): readonly Write[] {
  return lab.cluster.aws.proxy.log
    .filter(({ action }) => !action.startsWith('Describe'))
    .map(({ action, caller, parameters }) => ({
      text: `${action} ${parameters['DestinationCidrBlock'] ?? ''}`.trim(),
      by: caller.replace('controller/', ''),
    }));
}

test('frozen with a creation and a replacement under way, and thawed when another one leads', async () => {
  const { cluster, nodes } = lab;
  const { proxy } = cluster.aws;
  const [created, moved] = ['10.244.210.0/24', '10.244.211.0/24'];
  const [one, two, three] = nodes;
  await putLease(lab.cluster, moved, two);
  await until('its routes stand', right, passMs);
  const [first, second] = await leaderAndOther();
  const survival = await lab.survive(
    async () => {
      const creations = proxy.hold('CreateRoute', first.name);
      const replacements = proxy.hold('ReplaceRoute', first.name);
      // It finds both in one look.
      first.process.signal('SIGSTOP');
      await putLease(lab.cluster, created, one);
      await putLease(lab.cluster, moved, three);
      first.process.signal('SIGCONT');
      await Promise.all([creations.arrived(2), replacements.arrived(2)]);
      first.process.signal('SIGSTOP');
      await putLease(lab.cluster, moved, one);
      await second.logged(/leading: this controller writes/, failoverMs);
      await until('the next one has written all', right, quietMs + passMs);

      proxy.resetLog();
      creations.release();
      replacements.release();
      const landed = async (): Promise<boolean> =>
        (await cluster.aws.staticRoutes(cluster.world.tableIds[0] ?? ''))[moved] === three.instance.nicId;
      await until('the replacement lands late', landed, 5_000);
      first.process.signal('SIGCONT');
      await first.logged(/no longer leading/);
    },
    { settleMs: passMs },
  );
  // The two that landed late have been logged before. One pass of the one that leads repairs them, and that is all.
  expect(writes()).toEqual(Array(2).fill({ text: `ReplaceRoute ${moved}`, by: second.name }));
  expectNothingLost(survival);
  await recordFault('process', survival, {
    what: 'leader frozen with requests under way, thawed when another one leads',
    load: '2 controllers, 2 creations and 2 replacements held by EC2',
    outcome: `both replacements landed late, repaired by one pass after ${survival.settledMs} ms`,
  });
});

test('its key deleted by hand: it stops at once, another leadership begins, and nothing is written twice', async () => {
  const { cluster, nodes } = lab;
  const subnet = '10.244.212.0/24';
  const [first] = await leaderAndOther();
  const survival = await lab.survive(async () => {
    cluster.aws.proxy.resetLog();
    await cluster.etcd.delete(leaderKey);
    await first.logged(/no longer leading/, 5_000);
    await leaderAndOther();
    expect(writes()).toEqual([]);
    await putLease(lab.cluster, subnet, nodes[1]);
  }, quick);
  const [next] = await leaderAndOther();
  expect(writes()).toEqual(Array(2).fill({ text: `CreateRoute ${subnet}`, by: next.name }));
  expectNothingLost(survival);
  await recordFault('process', survival, {
    what: 'leader key deleted by hand',
    load: '2 controllers',
    outcome: 'the leader stopped at once; each route was written once',
  });
});

test('one of another prefix in etcd writes nothing: what it knows no lease and no record of is not its own', async () => {
  const { cluster, controllers } = lab;
  const netConf = (await cluster.etcd.keys('/coreos.com/network/config'))[0]?.value ?? '';
  await cluster.etcd.put('/elsewhere/config', netConf);
  const survival = await lab.survive(async () => {
    cluster.aws.proxy.resetLog();
    const stray = lab.startController('stray', { args: ['--etcd-prefix=/elsewhere'] });
    await stray.logged(/leading: this controller writes/);
    // Three of its resyncs: after two absences it would take out routes of its own.
    await delay(7_000);
    expect((await stray.report()).routes.filter(({ state }) => state === 'foreign').length).toBeGreaterThanOrEqual(6);
    await stray.kill('SIGKILL');
    controllers.splice(controllers.indexOf(stray), 1);
  }, quick);
  expect(writes()).toEqual([]);
  expectNothingLost(survival);
  await recordFault('process', survival, {
    what: 'a second controller with another prefix in etcd leads too',
    load: '2 controllers and one of another prefix, 3 resyncs',
    outcome: 'no route written; it shows them as foreign',
  });
});

interface TwoLeaders {
  readonly deaf: Controller;
  readonly other: Controller;
  readonly gate: GrpcGate;
}

/** Two controllers of which both lead, as each believes: to the first etcd says nothing any more unless it is asked. */
async function twoLeaders(
  how: 'revoked' | 'slow clock',
  program?: string,
): Promise<TwoLeaders & { end(): Promise<void> }> {
  const { cluster, controllers } = lab;
  for (const controller of controllers.splice(0)) await controller.kill('SIGTERM');
  const gate = await startGrpcGate(cluster.etcd.endpoint);
  const clock = await createFakeClock('faked');
  if (how === 'slow clock') await clock.set('+0 x0.1');
  const deaf = lab.startController('deaf', {
    args: [
      `--etcd-endpoints=http://${rigAddress}:${gate.port}`,
      // By its own clock it leads for long; etcd lets the other one lead as soon as its lease is revoked, or after 12 s.
      ...(how === 'revoked' ? ['--leader-elect-lease-duration=90s'] : []),
    ],
    env: how === 'slow clock' ? clock.env : {},
    ...(program === undefined ? {} : { program }),
  });
  await deaf.logged(/leading: this controller writes/);
  const other = lab.startController('other');
  await other.logged(/standing by/);
  gate.muteStreams();
  const [key] = await cluster.etcd.keys(leaderKey);
  if (how === 'revoked') await cluster.etcd.revoke(key?.lease ?? '');
  await other.logged(/leading: this controller writes/, failoverMs);
  return {
    ...{ deaf, other, gate },
    async end() {
      await deaf.kill('SIGKILL');
      controllers.splice(controllers.indexOf(deaf), 1);
      await gate.close();
      await clock.remove();
    },
  };
}

/** A lease that both see while EC2 holds what the other one asks for: the deaf one finds a route missing. Gives who asked for it. */
async function writersOf(subnet: string, { deaf, other }: TwoLeaders): Promise<readonly string[]> {
  const { proxy } = lab.cluster.aws;
  expect([await leads(deaf), await leads(other)]).toEqual([true, true]);
  proxy.resetLog();
  const held = proxy.hold('CreateRoute');
  await putLease(lab.cluster, subnet, lab.nodes[0]);
  await held.arrived(2);
  // At its next resync the deaf one would write it too, or be stopped.
  const over = async (): Promise<boolean> =>
    deaf.log().some(({ msg }) => msg.startsWith('no longer leading')) || writes().some(({ by }) => by === deaf.name);
  await until('the deaf one acts', over, 30_000).finally(() => held.release());
  return writes().map(({ by }) => by);
}

test.each(size === 'ci' ? (['revoked'] as const) : (['revoked', 'slow clock'] as const))(
  'two that both lead, as they believe (%s): the store’s fence stops the former one before it writes a route',
  async (how) => {
    const both = await twoLeaders(how);
    let writers: readonly string[] = [];
    const survival = await lab.survive(async () => {
      writers = await writersOf(how === 'revoked' ? '10.244.213.0/24' : '10.244.214.0/24', both);
      await both.deaf.logged(/no longer leading/);
    }, quick);
    await both.end();
    expect([...new Set(writers)]).toEqual(['other']);
    expectNothingLost(survival);
    await recordFault('process', survival, {
      what: `two controllers that both believe they lead (${how})`,
      load: '2 controllers, one without watches and keepalives',
      outcome: 'the former one was stopped by the fence of the store and wrote no route',
    });
  },
);

test('control: a controller without the fence writes too', async () => {
  const fence = 'leadership.token===""?ownership:ownership.fenced(leadership)';
  const wrong = await patchedProgram(fence, 'ownership');
  const both = await twoLeaders('revoked', wrong.path);
  const writers = await writersOf('10.244.215.0/24', both);
  expect(writers).toContain('deaf');
  await until('its routes stand', right, passMs);
  await both.end();
  await wrong.remove();
});
