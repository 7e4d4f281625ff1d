/** An hour of a cluster's life by chance: nodes come, go and die; cloud, store and controllers have their bad moments. */

import { FlannelVpcError } from '../../../src/core/errors.ts';
import { seeded } from '../../support/random.ts';
import { type Cluster, type Controller, createCluster } from './cluster.ts';
import { createJudge, type Findings } from './judge.ts';

export interface HourOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly seconds: number;
  /** No leader is lost: what one controller does by itself shows. */
  readonly leadersStay?: boolean;
  /** Starts what writes the routes, by a name; default: the product's controller. */
  readonly controller?: (cluster: Cluster, holder: string) => Controller;
}

export interface Hour {
  readonly findings: Findings;
  /** How much happened. */
  readonly joins: number;
  readonly leaves: number;
  readonly faults: number;
  readonly leaders: number;
  /** Sleepers left when all have ended. */
  readonly timersLeft: number;
}

/** Seconds between two looks. */
const stepSeconds = 5;
/** Seconds before the end without faults, in which what is left must settle. */
const calmSeconds = 300;

export async function liveAnHour(options: HourOptions): Promise<Hour> {
  const { seed, nodes, seconds, leadersStay = false, controller = (each, holder) => each.controller(holder) } = options;
  const random = seeded(seed);
  const names = Array.from({ length: nodes }, (_, index) => `${'abc'[index % 3]}${Math.floor(index / 3) + 1}`);
  const cluster = createCluster(names, random);
  const { clock, world, cloud } = cluster;
  const judge = createJudge(cluster);
  const count = { joins: 0, leaves: 0, faults: 0, leaders: 0 };
  const controllers = [controller(cluster, 'ctl-1'), controller(cluster, 'ctl-2')];
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  let outageUntil = 0;
  let started = 2;

  function join(): void {
    const name = pick(names.filter((each) => !cluster.nodes.has(each)));
    if (name === undefined) return;
    count.joins += 1;
    cluster.join(name);
  }

  /** Drained and released, or dead at once: then its lease runs out by itself. */
  async function leave(): Promise<void> {
    const node = pick([...cluster.nodes.values()]);
    if (!node) return;
    count.leaves += 1;
    cluster.nodes.delete(node.name);
    await node.stop();
    if (random() < 0.5) return;
    for (const { lease } of world.leases())
      if (lease.attributes.node?.nodeName === node.name) world.deleteLease(lease.subnets);
  }

  async function trouble(now: number): Promise<void> {
    count.faults += 1;
    const kind = Math.floor(random() * (leadersStay ? 5 : 7));
    const failure = new FlannelVpcError('TRANSIENT', 'a bad moment of the cloud');
    const throttled = new FlannelVpcError('THROTTLED', 'too many calls', { retryAfterMs: 1_000 + random() * 4_000 });
    if (kind === 0) cloud.inject({ error: failure, times: 1 + Math.floor(random() * 5), when: 'before' });
    else if (kind === 1) cloud.inject({ error: failure, times: 1 + Math.floor(random() * 5), when: 'after' });
    else if (kind === 2) cloud.inject({ error: throttled, times: 1 + Math.floor(random() * 8) });
    else if (kind === 3) cloud.setReadLag(random() * 5_000);
    else if (kind === 4) {
      world.setOutage('the store is away');
      outageUntil = now + 5 + random() * 40;
    } else if (kind === 5) {
      count.leaders += 1;
      judge.leaderLost();
      world.deleteLeader();
    } else {
      count.leaders += 1;
      judge.leaderLost();
      const at = Math.floor(random() * controllers.length);
      await controllers[at]?.stop();
      started += 1;
      controllers[at] = controller(cluster, `ctl-${started}`);
    }
  }

  for (let index = 0; index < nodes / 2; index++) join();
  for (let now = 0; now < seconds; now += stepSeconds) {
    const isCalm = now > seconds - calmSeconds;
    if (!isCalm && random() < 0.12) join();
    if (!isCalm && random() < 0.1) await leave();
    if (!isCalm && random() < 0.05) await trouble(now);
    if (outageUntil > 0 && (now >= outageUntil || isCalm)) {
      world.setOutage(undefined);
      outageUntil = 0;
    }
    if (isCalm) {
      cloud.clearFaults();
      cloud.setReadLag(0);
    }
    await clock.advance(stepSeconds * 1_000);
    judge.look();
  }
  await cluster.stop();
  judge.look();
  judge.stop();
  await clock.settle();
  return { findings: judge.findings(), ...count, timersLeft: clock.pauses().length };
}
