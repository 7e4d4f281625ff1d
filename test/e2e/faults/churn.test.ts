/**
 * Nodes that come and go at random, and controllers with them, while the pods of those that stay talk. Joining, SIGTERM, SIGKILL, starts,
 * restarts and terminated instances follow one another in an order that FAULT_SEED decides (default 7). Sizes: CI has 3 nodes that stay
 * and up to 5 that don't for 20 s; FAULTS=long up to 17 for a minute.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { ClusterNode } from '../../fabric/cluster.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { seeded } from '../../support/random.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import { cloudWrites, leaderOf, said, storedLeases } from './store-faults.ts';
import { expectNothingLost, recordFault } from './survival.ts';

const sizes = { ci: { slots: 5, ms: 20_000 }, long: { slots: 17, ms: 60_000 } }[sizeOfRun()];
// What is waited for has deadlines of its own.
jest.setTimeout(600_000);

const noticeMs = 60_000;
const seed = Number(process.env['FAULT_SEED'] ?? 7);

let lab: FaultLab;

beforeAll(async () => {
  lab = await startFaultLab({ writer: 'controller', controllerArgs: ['--reap-terminated'] });
}, 240_000);

afterAll(async () => {
  await lab?.stop();
});

type Action = 'join' | 'SIGTERM' | 'SIGKILL' | 'start' | 'restart' | 'terminate' | 'controller';

/** A place for a node that comes and goes. */
interface Slot {
  node: ClusterNode | undefined;
  /** Does its agent run? */
  runs: boolean;
}

/** What may happen to it next. */
function actionsOf({ node, runs }: Slot): readonly Action[] {
  if (!node) return ['join'];
  return runs ? ['SIGTERM', 'SIGKILL', 'restart', 'terminate'] : ['start', 'start', 'terminate'];
}

test('nodes and controllers come and go: those that stay lose no packet, and all is right in the end', async () => {
  console.log(`churn: FAULT_SEED=${seed}`);
  const random = seeded(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const slots: Slot[] = Array.from({ length: sizes.slots }, () => ({ node: undefined, runs: false }));
  const counts: Partial<Record<Action, number>> = {};
  let joined = 0;
  const subnets = await Promise.all(lab.nodes.map((node) => node.podSubnet()));
  const began = Date.now();

  async function join(slot: Slot): Promise<void> {
    // A new machine each time, with an address of its own.
    const [first, , third] = lab.nodes;
    const base = (joined % 2 === 0 ? first : third).node.address.replace(/\d+$/, '');
    const node = await lab.cluster.addNode({
      ...{ name: `c${joined}`, subnet: joined % 2 === 0 ? 'first' : 'second', address: `${base}${20 + joined}` },
    });
    joined += 1;
    slot.node = node;
    lab.startAgent(node);
    slot.runs = true;
  }

  async function replaceLeader(signal: NodeJS.Signals): Promise<void> {
    const leader = await leaderOf(lab).catch(() => pick(lab.controllers));
    lab.controllers.splice(lab.controllers.indexOf(leader), 1);
    await leader.kill(signal);
    const next = lab.startController(leader.name);
    await next.logged(/standing by|leading: this controller writes/, noticeMs);
  }

  async function act(action: Action, slot: Slot): Promise<void> {
    const { node } = slot;
    if (action === 'controller') await replaceLeader(pick(['SIGTERM', 'SIGKILL']));
    else if (!node) await join(slot);
    else if (action === 'terminate') {
      slot.node = undefined;
      slot.runs = false;
      await node.destroy();
    } else {
      if (action !== 'start') await node.agent.kill(action === 'SIGKILL' ? 'SIGKILL' : 'SIGTERM');
      slot.runs = action === 'start' || action === 'restart';
      if (slot.runs) lab.startAgent(node);
    }
  }

  lab.cluster.world.resetRequests();
  const survival = await lab.survive(
    async () => {
      const end = performance.now() + sizes.ms;
      while (performance.now() < end) {
        const slot = pick(slots);
        const action = random() < 0.08 ? 'controller' : pick(actionsOf(slot));
        counts[action] = (counts[action] ?? 0) + 1;
        await act(action, slot);
        await delay(random() * 400);
      }
      for (const slot of slots) if (slot.node && !slot.runs) await act('start', slot);
      // Who leads next has written nothing lately, so that it need not wait a minute before it removes.
      await replaceLeader('SIGTERM');
      for (const { node } of slots) await node?.agent.ready(noticeMs);
    },
    { settleMs: 150_000 },
  );
  expectNothingLost(survival);

  const here = slots.flatMap(({ node }) => node ?? []);
  const theirs = await Promise.all(here.map((node) => node.podSubnet()));
  expect(new Set([...subnets, ...theirs]).size).toBe(subnets.length + theirs.length);
  expect(Object.keys(await storedLeases(lab))).toHaveLength(subnets.length + theirs.length);
  expect(await Promise.all(lab.nodes.map((node) => node.podSubnet()))).toEqual(subnets);
  // True while nobody leads who would write its route, or while the peers it asks are going.
  const unreached = 'this node is not reached by its peers';
  for (const node of here) {
    expect(said(node.agent, began, /./, ['error']).filter((line) => line !== unreached)).toEqual([]);
  }
  for (const { agent } of lab.nodes) expect(said(agent, began, /./, ['warn', 'error'])).toEqual([]);
  // For each join two routes and a source/dest check, for each end two routes; twice, where a leader was killed between.
  expect(cloudWrites(lab).length).toBeLessThanOrEqual(2 * (3 * joined + 2 * (counts.terminate ?? 0)));
  await until('all is still right', async () => (await lab.problems()).length === 0, noticeMs);

  const told = Object.entries(counts).map(([action, count]) => `${count} × ${action}`);
  await recordFault('churn', survival, {
    what: 'nodes and controllers come and go at random',
    load: `3 nodes that stay, up to ${sizes.slots} that don't, 2 controllers; ${sizes.ms / 1_000} s, seed ${seed}: ${told.join(', ')}`,
    outcome: `all leases, routes and records right ${Math.round(survival.settledMs / 1_000)} s later`,
  });
});
