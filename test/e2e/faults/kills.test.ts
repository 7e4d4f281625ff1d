/**
 * Agents and controllers killed (SIGKILL) before and after each of their effects on the store, the cloud and the kernel. A join takes
 * as many lives as it has steps, and one more; nothing is doubled or left over, and no packet of the other pods is lost.
 *
 * CI: every step of a join, of a move and of a removal once before it and once after it, and 4 random rounds. FAULTS=long: 40 rounds, and
 * each step of a removal five times. The rounds, and the order of a removal's steps, repeat by the FAULT_SEED that they print.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { ClusterNode } from '../../fabric/cluster.ts';
import { leaseKeyOf, leasePrefix, recordsOf, reportPrefix, subnetOfKey } from '../../fabric/etcd-places.ts';
import type { Process } from '../../fabric/process.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { createRandom, seedOfRun } from '../../support/random.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import { putLease } from './put-lease.ts';
import { killAtCuts, leftOf, removalCuts } from './removal-cuts.ts';
import { createStepGate, EveryStep, type StepGate } from './step-gate.ts';
import { expectNothingLost, recordFault } from './survival.ts';

// On a busy machine; what is waited for has deadlines of its own.
jest.setTimeout(900_000);

const size = sizeOfRun();
/** The mark of a removal is heeded for 45 s; then come two looks. */
const markMs = 120_000;
/** What programs hold is compared in the random rounds: it takes some seconds each time. */
const quick = { leaks: false } as const;

interface Life {
  start(): Process;
  /** Resolves when all is done that it was started for. */
  done(process: Process): Promise<void>;
}

/** Starts it again and again, and kills it at each step at which none was killed before. @returns how many lives it took. */
async function liveAndDie(gate: StepGate, every: EveryStep, life: Life): Promise<number> {
  for (let lives = 1; lives < 80; lives++) {
    const armed = gate.arm(every.holds);
    const process = life.start();
    const reached = await Promise.race([armed.reached, life.done(process)]);
    if (reached) {
      await process.kill('SIGKILL');
      every.killedAt(armed.held);
    }
    armed.release();
    if (!reached) return lives;
  }
  throw new Error(`no end of it after 80 lives: ${every.list.join(', ')}`);
}

/** Nobody need wait any longer for what a process does that was killed. */
async function hasEnded({ ended }: Process): Promise<boolean> {
  return (await Promise.race([ended, delay(1, undefined)])) !== undefined;
}

/** An agent is done when it is ready and has told the store, which it does when that has stood for 3 s. */
async function agentDone(lab: FaultLab, node: ClusterNode, process: Process): Promise<void> {
  await process.waitForLog(/"msg":"ready"/, 60_000);
  const told = async (): Promise<boolean> => {
    if (await hasEnded(process)) return true;
    const name = (await subnetOf(lab, node)).replace('/', '-');
    const [report] = await lab.cluster.etcd.keys(`${reportPrefix}${name}`);
    return report?.value.includes('"ready":true') ?? false;
  };
  await until('it has told that it is ready', told, 60_000);
  // Its own answer comes a moment later than that of who looks.
  await delay(300);
}

async function subnetOf(lab: FaultLab, { instance }: ClusterNode): Promise<string> {
  const keys = await lab.cluster.etcd.keys(leasePrefix);
  const key = keys.find(({ value }) => value.includes(`"${instance.id}"`))?.key ?? '';
  return subnetOfKey(key);
}

/** Both moments of each of these, in any order. */
const bothOf = (...names: readonly string[]): readonly string[] =>
  names.flatMap((name) => [`before ${name}`, `after ${name}`]).sort();

describe('agents that write their own routes', () => {
  let lab: FaultLab;
  let gate: StepGate;
  let node: ClusterNode;

  beforeAll(async () => {
    lab = await startFaultLab({ writer: 'node', agentArgs: ['--route-check-interval=1s'] });
    node = await lab.cluster.addNode({ name: 'four', subnet: 'second', address: '10.0.2.14' });
    lab.added.push(node);
    gate = await createStepGate(lab.cluster, node.instance.id);
  }, 240_000);
  afterAll(async () => {
    await gate?.close();
    await lab?.stop();
  });

  const life: Life = {
    start() {
      lab.startAgent(node, { args: gate.args, env: gate.env });
      return node.agent.process;
    },
    done: async (process) => await agentDone(lab, node, process),
  };

  test('a join, killed at every step', async () => {
    const every = new EveryStep();
    let lives = 0;
    const survival = await lab.survive(async () => {
      lives = await liveAndDie(gate, every, life);
    }, quick);
    const [first, second] = lab.cluster.world.tableIds;
    const kernel = every.list.filter((step) => step.includes('kernel: '));
    expect(every.list.filter((step) => !kernel.includes(step)).toSorted()).toEqual(
      bothOf(
        ...['store: LeaseGrant', 'store: Txn subnets', 'store: Txn flannel-vpc/routes', 'store: Txn flannel-vpc/nodes'],
        ...['cloud: ModifyNetworkInterfaceAttribute', `cloud: CreateRoute ${first}`, `cloud: CreateRoute ${second}`],
      ),
    );
    for (const words of ['address replace', 'link add name cni0', 'restore']) {
      expect(kernel.filter((step) => step.includes(words)).length).toBeGreaterThanOrEqual(2);
    }
    expectNothingLost(survival);
    expect(await node.podSubnet()).toBe(await subnetOf(lab, node));
    await recordFault('process', survival, {
      what: 'a joining agent killed before and after each step',
      load: `${every.list.length} kills, ${lives} lives, 3 other nodes`,
      outcome: 'one lease, one route in each table, no rule twice',
    });
  });

  test('a move of its route, killed at every step', async () => {
    const every = new EveryStep();
    const { cluster, nodes } = lab;
    const subnet = await node.podSubnet();
    await node.agent.kill('SIGKILL');
    for (const tableId of cluster.world.tableIds) await cluster.world.putRoute(tableId, subnet, nodes[0].instance);
    let lives = 0;
    const survival = await lab.survive(async () => {
      lives = await liveAndDie(gate, every, life);
    }, quick);
    const [first, second] = cluster.world.tableIds;
    expect(every.list).toEqual(
      expect.arrayContaining([...bothOf(`cloud: ReplaceRoute ${first}`, `cloud: ReplaceRoute ${second}`)]),
    );
    expectNothingLost(survival);
    await recordFault('process', survival, {
      what: 'an agent that moves its route killed before and after each step',
      load: `${every.list.length} kills, ${lives} lives, 3 other nodes`,
      outcome: 'the route leads to its lease in each table',
    });
  });

  test('a removal of its own former routes, killed at every step', async () => {
    const seed = seedOfRun();
    const cuts = removalCuts(createRandom(seed), 1);
    const subnets = cuts.map((_, index) => `10.244.${211 + index}.0/24`);
    const { cluster } = lab;
    const { etcd, world } = cluster;
    const { id: holder, nicId: target } = node.instance;
    const record = JSON.stringify({ target, holder, writtenAt: new Date().toISOString() });
    // What an earlier lease of this node would have left. A record without its route would be forgotten at once.
    const abandon = async (subnet: string): Promise<void> => {
      for (const tableId of world.tableIds) {
        await world.putRoute(tableId, subnet, node.instance);
        await etcd.put(`${recordsOf(subnet)}${tableId}`, record);
      }
    };
    const survival = await lab
      .survive(
        async () => {
          await killAtCuts({
            ...{ cluster, gate, cuts, subnets, abandon },
            async start() {
              await node.agent.kill('SIGKILL');
              const process = life.start();
              await process.waitForLog(/"msg":"ready"/, 60_000);
              return process;
            },
          });
          lab.startAgent(node);
          await node.agent.ready(60_000);
        },
        { ...quick, settleMs: markMs },
      )
      .catch((error: unknown) => {
        throw new Error(`FAULT_SEED=${seed}: ${String(error)}`);
      });
    // An agent looks at records only when there is a route to collect (ADR 4), and then at all of them.
    await delay(45_000);
    const last = '10.244.220.0/24';
    await abandon(last);
    await until('nothing is left', async () => (await leftOf(cluster, [...subnets, last])).length === 0, 30_000);
    expect(await lab.problems()).toEqual([]);
    expectNothingLost(survival);
    await recordFault('process', survival, {
      what: 'an agent killed before and after each step of a removal',
      load: `${cuts.length} kills, ${cuts.length} routes in 2 tables, seed ${seed}`,
      outcome: 'no route without its lease and no record left, once the marks had run out (45 s)',
    });
  });

  test('random things taken away from it, and kills at random steps of their repair', async () => {
    const seed = seedOfRun();
    const random = createRandom(seed);
    const rounds = size === 'ci' ? 4 : 40;
    const { cluster } = lab;
    const { etcd, world } = cluster;
    const subnet = await node.podSubnet();
    const recordKeys = async (): Promise<readonly string[]> =>
      (await etcd.keys(recordsOf(subnet))).map(({ key }) => key);
    const damages: Readonly<Record<string, () => Promise<unknown>>> = {
      lease: async () => await etcd.delete(leaseKeyOf(subnet)),
      records: async () => await Promise.all((await recordKeys()).map((key) => etcd.delete(key))),
      routes: async () => await Promise.all(world.tableIds.map((tableId) => world.removeRoute(tableId, subnet))),
      rules: async () => await node.node.exec(['iptables', '-w', '-t', 'nat', '-F', 'FLANNEL-POSTRTG']),
      bridge: async () => await node.node.exec(['ip', 'link', 'delete', 'cni0']),
      'subnet.env': async () => await node.node.exec(['rm', '-f', '/run/flannel/subnet.env']),
    };
    const done: string[] = [];
    const survival = await lab
      .survive(async () => {
        for (let round = 0; round < rounds; round++) {
          await node.agent.kill('SIGKILL');
          const chosen = random.some(Object.keys(damages));
          for (const name of chosen) await damages[name]?.();
          const kills = 1 + random.below(3);
          for (let kill = 0; kill < kills; kill++) {
            let left = random.below(6);
            const when = random.below(2) === 0 ? 'before' : 'after';
            const armed = gate.arm((step) => step.when === when && left-- === 0);
            const process = life.start();
            const step = await Promise.race([armed.reached, process.waitForLog(/"msg":"ready"/, 60_000)]);
            done.push(
              `${round}: without ${chosen.join(', ')}; ${'name' in step ? `${when} ${step.name}` : 'when ready'}`,
            );
            await process.kill('SIGKILL');
            armed.release();
          }
          lab.startAgent(node);
          await node.agent.ready(60_000);
          await until('all is right', async () => (await lab.problems()).length === 0, 30_000);
        }
      })
      .catch((error: unknown) => {
        throw new Error(`FAULT_SEED=${seed}: ${String(error)}\n${done.join('\n')}`);
      });
    expectNothingLost(survival);
    expect(await node.podSubnet()).toBe(subnet);
    await recordFault('process', survival, {
      what: 'an agent killed at random steps of repairs',
      load: `${rounds} rounds, ${done.length} kills, seed ${seed}`,
      outcome: 'all right after each round',
    });
  });

  test('control: what a kill between record and route leaves is seen while nobody starts the agent again', async () => {
    const { cluster } = lab;
    const other = await cluster.addNode({ name: 'five', subnet: 'first', address: '10.0.1.15' });
    const otherGate = await createStepGate(cluster, other.instance.id);
    const armed = otherGate.arm(({ when, name }) => when === 'before' && name.startsWith('cloud: CreateRoute'));
    lab.startAgent(other, { args: otherGate.args, env: otherGate.env });
    await armed.reached;
    const said = (await lab.problems()).join('\n');
    await other.agent.kill('SIGKILL');
    armed.release();
    expect(said).toMatch(/no route for the lease/);
    expect(said).toMatch(/a record of \S+, for which no route stands/);
    lab.startAgent(other);
    await other.agent.ready(60_000);
    await until('all is right', async () => (await lab.problems()).length === 0, 30_000);
    await otherGate.close();
  });
});

describe('a controller that writes the routes', () => {
  let lab: FaultLab;
  let gate: StepGate;
  const moved = '10.244.210.0/24';

  beforeAll(async () => {
    // Alone and without an election: a term would have to run out after each kill. What elections do is shown in leaders.test.ts.
    lab = await startFaultLab({ writer: 'controller', controllers: 1, controllerArgs: ['--leader-elect=false'] });
    gate = await createStepGate(lab.cluster, 'controller/controller-1');
  }, 240_000);
  afterAll(async () => {
    await gate?.close();
    await lab?.stop();
  });

  const right = async (): Promise<boolean> => (await lab.problems()).length === 0;

  /** In place of the one before: a life of the controller, done when all routes stand as they should. */
  const life: Life = {
    start() {
      lab.controllers.splice(0);
      return lab.startController('controller-1', { args: gate.args, env: gate.env }).process;
    },
    async done(process) {
      await process.waitForLog(/leading: this controller writes/, 30_000);
      await until('all is right', async () => (await hasEnded(process)) || (await right()), 60_000);
    },
  };

  async function kill(): Promise<void> {
    await lab.controllers[0]?.kill('SIGKILL');
  }

  test('a removal, killed at every step: a later life ends it, once its mark has run out', async () => {
    const seed = seedOfRun();
    const cuts = removalCuts(createRandom(seed), size === 'ci' ? 1 : 5);
    const subnets = cuts.map((_, index) => `10.244.${211 + index}.0/24`);
    const { cluster, nodes } = lab;
    const survival = await lab
      .survive(
        async () => {
          for (const subnet of subnets) await putLease(lab.cluster, subnet, nodes[1]);
          await until('their routes stand', right, 60_000);
          await killAtCuts({
            ...{ cluster, gate, cuts, subnets },
            async start() {
              await kill();
              const process = life.start();
              await process.waitForLog(/leading: this controller writes/, 30_000);
              return process;
            },
            abandon: (subnet) => cluster.etcd.delete(leaseKeyOf(subnet)),
          });
          life.start();
        },
        { ...quick, settleMs: markMs },
      )
      .catch((error: unknown) => {
        throw new Error(`FAULT_SEED=${seed}: ${String(error)}`);
      });
    await until('nothing is left', async () => (await leftOf(cluster, subnets)).length === 0, markMs);
    expect(await lab.problems()).toEqual([]);
    expectNothingLost(survival);
    await recordFault('process', survival, {
      what: 'a controller killed before and after each step of a removal',
      load: `${cuts.length} kills, ${cuts.length} routes in 2 tables, seed ${seed}`,
      outcome: 'no route without its lease and no record left, once the marks had run out (45 s)',
    });
  });

  test('a join, killed at every step', async () => {
    const every = new EveryStep();
    const { cluster } = lab;
    const node = await cluster.addNode({ name: 'four', subnet: 'second', address: '10.0.2.14' });
    lab.added.push(node);
    let lives = 0;
    const survival = await lab.survive(async () => {
      await kill();
      lab.startAgent(node);
      await until('it has a lease', async () => (await subnetOf(lab, node)) !== '');
      lives = await liveAndDie(gate, every, life);
      await node.agent.ready(60_000);
    }, quick);
    const [first, second] = cluster.world.tableIds;
    expect(every.list.toSorted()).toEqual(
      bothOf(
        ...['store: Txn flannel-vpc/routes', 'cloud: ModifyNetworkInterfaceAttribute'],
        ...[`cloud: CreateRoute ${first}`, `cloud: CreateRoute ${second}`],
      ),
    );
    expectNothingLost(survival);
    await recordFault('process', survival, {
      what: 'a controller killed before and after each step of a join',
      load: `${every.list.length} kills, ${lives} lives, 4 nodes`,
      outcome: 'one record and one route in each table',
    });
  });

  test('an agent without rights in the cloud joins, killed at every step', async () => {
    const every = new EveryStep();
    const { cluster } = lab;
    const node = await cluster.addNode({ name: 'five', subnet: 'first', address: '10.0.1.15' });
    lab.added.push(node);
    const agentGate = await createStepGate(cluster, node.instance.id);
    const agentLife: Life = {
      start() {
        lab.startAgent(node, { args: agentGate.args, env: agentGate.env });
        return node.agent.process;
      },
      done: async (process) => await agentDone(lab, node, process),
    };
    let lives = 0;
    const survival = await lab.survive(async () => {
      lives = await liveAndDie(agentGate, every, agentLife);
    }, quick);
    await agentGate.close();
    const inStore = every.list.filter((step) => step.includes('store: '));
    expect(inStore.toSorted()).toEqual(
      bothOf('store: LeaseGrant', 'store: Txn subnets', 'store: Txn flannel-vpc/nodes'),
    );
    expect(every.list.filter((step) => step.includes('kernel: ')).length).toBeGreaterThanOrEqual(6);
    expect(every.list.filter((step) => step.includes('cloud: '))).toEqual([]);
    expectNothingLost(survival);
    await recordFault('process', survival, {
      what: 'a joining agent without credentials killed before and after each step',
      load: `${every.list.length} kills, ${lives} lives, 4 other nodes`,
      outcome: 'one lease, one route in each table, no rule twice',
    });
  });

  test('a move, killed at every step', async () => {
    const every = new EveryStep();
    const [, two, three] = lab.nodes;
    await putLease(lab.cluster, moved, two);
    await until('its routes stand', right, 30_000);
    let lives = 0;
    const survival = await lab.survive(async () => {
      await kill();
      await putLease(lab.cluster, moved, three);
      lives = await liveAndDie(gate, every, life);
    }, quick);
    const [first, second] = lab.cluster.world.tableIds;
    expect(every.list.toSorted()).toEqual(
      bothOf('store: Txn flannel-vpc/routes', `cloud: ReplaceRoute ${first}`, `cloud: ReplaceRoute ${second}`),
    );
    expectNothingLost(survival);
    await recordFault('process', survival, {
      what: 'a controller killed before and after each step of a move',
      load: `${every.list.length} kills, ${lives} lives, 5 nodes`,
      outcome: 'the route leads to its lease in each table',
    });
  });
});
