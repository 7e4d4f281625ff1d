/** Three controllers, their leader killed, frozen and cut off: never two that write, and at most what was under way lands late. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ClusterReport } from '../../../src/report/cluster-report.ts';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import type { AwsInstance } from '../../clouds/aws/world.ts';
import { type Controller, startController } from '../../fabric/controller.ts';
import { startTcpProxy } from '../../fabric/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { createLab, elected, type Lab, reported, retryMs, termMs } from './lab.ts';

/** How long a new leader waits for requests of the one before. */
const quietMs = 10_000;
/** For so long nobody writes a route that somebody began to delete. */
const removalMarkMs = 45_000;
/** Time for one pass, resync included, on a busy machine. */
const passMs = 8_000;
const failoverMs = termMs + retryMs + 2_000;

let localstack: LocalStack;
let lab: Lab;
let node: AwsInstance;

beforeAll(async () => {
  localstack = await startLocalStack();
});
afterAll(async () => {
  await localstack?.stop();
});

async function makeLab(): Promise<void> {
  lab = await createLab({ localstack });
  node = await lab.node('10.0.1.10', '10.244.1.0/24');
}

/** The one of them that leads now. */
async function leaderAmong(controllers: readonly Controller[], timeoutMs: number): Promise<Controller> {
  let found: Controller | undefined;
  const leads = async (controller: Controller): Promise<boolean> =>
    (await controller.report().catch(() => undefined))?.controller?.role === 'leader';
  await until(
    'one of them leads',
    async () => {
      for (const each of controllers) if (await leads(each)) found = each;
      return found !== undefined;
    },
    timeoutMs,
  );
  if (!found) throw new Error('nobody leads');
  return found;
}

/** Callers of the writes, in the order of time, each once for as long as it goes on. */
function writers(): readonly string[] {
  return lab.world.proxy.log
    .filter(({ action }) => !action.startsWith('Describe'))
    .map(({ caller }) => caller.replace('controller/', ''))
    .filter((name, index, all) => name !== all[index - 1]);
}

describe('three controllers', () => {
  let first: Controller;
  let second: Controller;
  let last: Controller;
  let latest: AwsInstance;
  const [moved, back] = ['10.244.1.0/24', '10.244.2.0/24'];

  beforeAll(async () => {
    await makeLab();
    await lab.putLease(back, { instance: node });
    // None takes out what it wrote itself within the last minute.
    const writer = lab.start({ name: 'writer' });
    await lab.leads(back, node.nicId);
    await lab.leads(moved, node.nicId);
    await writer.kill();
    first = lab.start({ name: 'first', args: elected });
    await first.logged(/leading: this controller/);
    for (const name of ['second', 'third']) await lab.start({ name, args: elected }).logged(/standing by/);
  });
  afterAll(async () => {
    await lab?.stop();
  });

  const others = (controller: Controller): readonly Controller[] =>
    lab.controllers.filter((each) => each !== controller);

  it('one frozen while EC2 holds its deletion of a route whose lease comes back: another one leads in time', async () => {
    const held = lab.world.proxy.hold('DeleteRoute', 'first');
    await lab.dropLease(back);
    await held.arrived(1);
    first.process.signal('SIGSTOP');
    await lab.putLease(back, { instance: node });
    second = await leaderAmong(others(first), failoverMs + 2_000);
    held.release();
    await until('the deletion lands late', async () => (await lab.targets(back)).includes(undefined));
    first.process.signal('SIGCONT');
    await first.logged(/no longer leading/);
  }, 60_000);

  it('the next one frozen while EC2 holds a replacement that leads to a former owner: the third one writes', async () => {
    const former = await lab.node('10.0.1.11');
    latest = await lab.node('10.0.1.12');
    const held = lab.world.proxy.hold('ReplaceRoute', second.name);
    await lab.putLease(moved, { instance: former });
    // A new leader waits for the requests of the one before until it replaces anything.
    await held.arrived(2);
    second.process.signal('SIGSTOP');
    await lab.putLease(moved, { instance: latest });
    last = await leaderAmong(others(second), failoverMs + 2_000);
    await lab.leads(moved, latest.nicId, quietMs + passMs);
    // Not before the mark of the one that began to delete it is over.
    await lab.leads(back, node.nicId, removalMarkMs + passMs);

    lab.world.proxy.resetLog();
    const landed = new Set<string>();
    const unsubscribe = lab.world.proxy.onChange((change) => {
      if (change.kind === 'route' && change.nicId === former.nicId) landed.add(change.tableId);
    });
    held.release();
    await until('both land late', async () => landed.size === 2);
    unsubscribe();
    second.process.signal('SIGCONT');
    await second.logged(/no longer leading/);
    await lab.leads(moved, latest.nicId, passMs);
    await delay(2_500);
    // One pass, of the one that leads and of nobody else.
    expect(lab.writes()).toEqual([`ReplaceRoute ${moved}`, `ReplaceRoute ${moved}`]);
    expect(writers()).toEqual([last.name]);
    await reported(last, 'all is well', ({ problems }) => problems.length === 0);
  }, 120_000);

  it('the third killed with SIGKILL: one of the two others writes within term, retry period, 2 s and a pass', async () => {
    const killed = performance.now();
    await last.kill('SIGKILL');
    await lab.putLease('10.244.3.0/24', { instance: node });
    await lab.leads('10.244.3.0/24', node.nicId, failoverMs + passMs);
    expect(performance.now() - killed).toBeLessThan(failoverMs + passMs);
    const next = await leaderAmong(others(last), 2_000);
    // Each stopped for good when the next one began.
    expect(writers()).toEqual([last.name, next.name]);
  }, 60_000);
});

describe('two controllers', () => {
  beforeEach(makeLab);
  afterEach(async () => {
    await lab?.stop();
  });

  it('without an election both write at one moment, and what the other tests look at shows it', async () => {
    const held = lab.world.proxy.hold('CreateRoute');
    for (const name of ['first', 'second']) lab.start({ name });
    await held.arrived(4);
    held.release();
    await lab.leads('10.244.1.0/24', node.nicId);
    const names = writers();
    expect(new Set(names)).toEqual(new Set(['first', 'second']));
    expect(lab.writes().filter((write) => write.startsWith('CreateRoute'))).toHaveLength(4);
  });

  it('cut off from etcd: it stops writing before another one begins, and stands by when it is back', async () => {
    const proxy = await startTcpProxy(Number(new URL(lab.etcd.endpoint).port));
    const first = startController(
      { world: lab.world, etcd: { endpoint: `http://127.0.0.1:${proxy.port}` } },
      { name: 'first', args: elected },
    );
    try {
      await first.logged(/leading: this controller/);
      await lab.leads('10.244.1.0/24', node.nicId);
      const second = lab.start({ name: 'second', args: elected });
      await second.logged(/standing by/);
      proxy.blackhole();
      const cut = performance.now();
      await lab.putLease('10.244.2.0/24', { instance: node });
      await first.logged(/no longer leading/, termMs + 2_000);
      const told = second.log().some(({ msg }) => msg.startsWith('leading'));
      await lab.leads('10.244.2.0/24', node.nicId, failoverMs + passMs);
      expect(performance.now() - cut).toBeLessThan(failoverMs + passMs);
      // The old one has given up by its own clock by then.
      expect(told).toBe(false);
      proxy.mend();
      await reported(first, 'it stands by', ({ controller }) => controller?.role === 'standby');
      expect(writers()).toEqual(['first', 'second']);
    } finally {
      await first.kill('SIGKILL');
      await proxy.close();
    }
  }, 60_000);

  it('etcd away for longer than a term: both say so, where a person looks and where a probe does', async () => {
    const both: Controller[] = [];
    for (const name of ['first', 'second']) {
      const controller = lab.start({ name, args: elected });
      await controller.logged(/leading: this controller|standing by/);
      both.push(controller);
    }
    await lab.etcd.kill();
    for (const each of both) {
      const knowsNone = ({ problems }: ClusterReport): boolean => /read who leads/.test(problems[0]?.text ?? '');
      const { healthy, problems } = await reported(each, 'it knows no leader', knowsNone, 45_000);
      expect({ healthy, codes: problems.map(({ code }) => code) }).toEqual({
        healthy: false,
        codes: ['STORE_UNAVAILABLE'],
      });
      const { status, headers } = await each.get('/readyz');
      expect([status, headers.get('X-Flannel-VPC-Waiting-For')]).toEqual([
        503,
        expect.stringMatching(/^leader: can't/),
      ]);
    }
    await lab.etcd.restart();
    await leaderAmong(both, 30_000);
    for (const each of both) {
      await reported(each, 'it knows who leads', ({ problems }) => problems.length === 0, 30_000);
      await until('it is ready', async () => (await each.get('/readyz')).status === 200, 30_000);
    }
  }, 150_000);

  it('etcd killed and started again under them: the routes stay, and one of them goes on', async () => {
    const first = lab.start({ name: 'first', args: elected });
    await first.logged(/leading: this controller/);
    await lab.start({ name: 'second', args: elected }).logged(/standing by/);
    await lab.leads('10.244.1.0/24', node.nicId);
    await lab.etcd.kill();
    await delay(3_000);
    await lab.etcd.restart();
    await lab.putLease('10.244.2.0/24', { instance: node });
    await lab.leads('10.244.2.0/24', node.nicId, failoverMs + passMs);
    await lab.leads('10.244.1.0/24', node.nicId);
    // The term had not run out, so the one that led leads on.
    expect(writers()).toEqual(['first']);
    const creations = lab.writes().filter((write) => write.startsWith('CreateRoute'));
    expect(creations.sort()).toEqual(
      ['10.244.1.0/24', '10.244.1.0/24', '10.244.2.0/24', '10.244.2.0/24'].map((cidr) => `CreateRoute ${cidr}`),
    );
  }, 60_000);
});
