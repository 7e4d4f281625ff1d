/** What the programs of a fault lab say and cost while their store is away, and what stands in it before and after. */

import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type { LogLine } from '../../fabric/agent.ts';
import { countConnections } from '../../fabric/connection-count.ts';
import type { Controller } from '../../fabric/controller.ts';
import { leaseKeyOf, leasePrefix } from '../../fabric/etcd-places.ts';
import type { TcpProxy } from '../../fabric/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import type { FaultLab, Survival } from './fault-lab.ts';
import { expectNothingLost } from './survival.ts';

export const interrupted = /interrupted; trying on/;
export const wentOn = /goes on$/;

/** Lines of a log from a moment on whose message matches. `since`: milliseconds since 1970. */
export function said(
  program: { log(): readonly LogLine[] },
  since: number,
  pattern: RegExp = /./,
  levels: readonly string[] = ['info', 'warn', 'error'],
): readonly string[] {
  return program
    .log()
    .filter(({ time, level, msg }) => Date.parse(time) >= since && levels.includes(level) && pattern.test(msg))
    .map(({ msg }) => msg);
}

/**
 * That its watch (or each of several) was interrupted was said once for each thing there is to do about it: a server that dies resets connections first and
 * refuses them then.
 */
export function expectSaidOnce(program: { log(): readonly LogLine[] }, since: number, watches = 1): void {
  const hints = program
    .log()
    .filter(({ time, msg }) => Date.parse(time) >= since && interrupted.test(msg))
    .map(({ msg, hint }) => `${msg}: ${String(hint)}`);
  expect(hints).toEqual([...new Set(hints)]);
  expect(hints.length).toBeGreaterThanOrEqual(1);
  expect(hints.length).toBeLessThanOrEqual(2 * watches);
}

/** The one that leads by its own word. @throws Error unless it is exactly one. */
export async function leaderOf(lab: FaultLab): Promise<Controller> {
  const roles = await Promise.all(
    lab.controllers.map(async (each) => ({ each, role: (await each.report()).controller?.role })),
  );
  const leaders = roles.filter(({ role }) => role === 'leader').map(({ each }) => each);
  const [leader] = leaders;
  if (!leader || leaders.length > 1) throw new Error(`${leaders.length} controllers lead`);
  return leader;
}

/** Leases as they stand in etcd: key to value and the revision it was written at. */
export async function storedLeases(lab: FaultLab): Promise<Readonly<Record<string, string>>> {
  const keys = await lab.cluster.etcd.keys(leasePrefix);
  return Object.fromEntries(keys.map(({ key, value, modRevision }) => [key, `${modRevision} ${value}`]));
}

/** Calls that change something in the cloud, such as `controller/controller-1 ReplaceRoute`. */
export function cloudWrites(lab: FaultLab): readonly string[] {
  return lab.cluster.world
    .requests()
    .filter(({ changes, caller }) => changes && caller !== 'test')
    .map(({ caller, operation }) => `${caller} ${operation}`);
}

export interface Outage {
  /** Begin of the fault, milliseconds since 1970. */
  readonly since: number;
  readonly seconds: number;
  /** Tries to connect to etcd meanwhile, of nodes' and of the rig's own programs (controllers, etcdctl). */
  readonly tries: { readonly nodes: number; readonly rig: number };
  readonly survival: Survival;
}

/** Does a fault to etcd itself, and counts who comes to its port meanwhile. */
export async function surviveOutage(
  lab: FaultLab,
  fault: () => Promise<void>,
  options?: Parameters<FaultLab['survive']>[1],
): Promise<Outage> {
  const count = await countConnections(Number(new URL(lab.cluster.etcd.endpoint).port));
  let since = 0;
  let seconds = 0;
  let tries = { nodes: 0, rig: 0 };
  lab.cluster.world.resetRequests();
  const survival = await lab.survive(async () => {
    since = Date.now();
    const before = await count.read();
    await fault();
    const after = await count.read();
    tries = { nodes: after.nodes - before.nodes, rig: after.rig - before.rig };
    seconds = (Date.now() - since) / 1_000;
  }, options);
  await count.remove();
  return { since, seconds, tries, survival };
}

/**
 * No retry storm. A node has one watch to resume, and its pauses grow to 5 s; a controller has a handful of loops with pauses of up to
 * a second, of which each goes through a call's own retries.
 */
export function expectFewTries(lab: FaultLab, { tries, seconds }: Outage): void {
  expect(tries.nodes).toBeLessThanOrEqual(lab.nodes.length * (10 + 2 * seconds));
  expect(tries.rig).toBeLessThanOrEqual(lab.controllers.length * (30 + 15 * seconds) + 10 * seconds + 40);
}

/** All that is to be seen of etcd killed and started again many times in a row. */
export async function surviveRestarts(lab: FaultLab, times: number): Promise<Outage> {
  const outage = await surviveOutage(lab, async () => {
    for (let time = 0; time < times; time++) {
      await lab.cluster.etcd.kill();
      await lab.cluster.etcd.restart();
      await delay(500);
    }
  });
  expectNothingLost(outage.survival);
  expectFewTries(lab, outage);
  return outage;
}

/** The third node's lease ends while the cable to etcd is cut, for so long; it is made again on the same subnet, and the cloud hears nothing of it. */
export async function surviveLeaseEnd(
  lab: FaultLab,
  cable: TcpProxy,
  { goneMs, noticeMs }: { readonly goneMs: number; readonly noticeMs: number },
): Promise<Outage> {
  const { etcd } = lab.cluster;
  const [, , three] = lab.nodes;
  const subnet = await three.podSubnet();
  const key = leaseKeyOf(subnet);
  const outage = await surviveOutage(
    lab,
    async () => {
      cable.cut();
      const [stored] = await etcd.keys(key);
      await etcd.revoke(stored?.lease ?? '');
      await delay(goneMs);
      expect(await etcd.keys(key)).toEqual([]);
      cable.mend();
      await until('the lease is there', async () => (await etcd.keys(key)).length === 1, noticeMs);
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  expect(said(three.agent, outage.since, /lease restored|Lease has been revoked/)).toEqual([
    'Lease has been revoked; creating it again',
    'lease restored',
  ]);
  expect(await three.podSubnet()).toBe(subnet);
  expect(cloudWrites(lab)).toEqual([]);
  return outage;
}
