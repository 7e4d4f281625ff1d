/**
 * An etcd that is away for a while, killed, frozen and restarted, while pods talk and a controller leads. Sizes: CI is away for 5 to 20 s and restarts 5 times;
 * FAULTS=long is away for 15 s to 3 minutes and restarts 20 times.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { reportPrefix } from '../../fabric/etcd-places.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import {
  cloudWrites,
  expectFewTries,
  expectSaidOnce,
  interrupted,
  leaderOf,
  said,
  storedLeases,
  surviveOutage,
  surviveRestarts,
  wentOn,
} from './store-faults.ts';
import { expectNothingLost, readyzOf, recordFault } from './survival.ts';

const sizes = {
  ci: { shortMs: 5_000, longMs: 20_000, frozenMs: 15_000, restarts: 5 },
  long: { shortMs: 15_000, longMs: 180_000, frozenMs: 90_000, restarts: 20 },
}[sizeOfRun()];
/** As the lab sets it. */
const termMs = 12_000;
/** Until a program that was told of nothing notices by itself: a candidate looks after its pause, a watch after its back-off. */
const noticeMs = 45_000;

const load = '3 nodes, 2 controllers';

let lab: FaultLab;
let leases: Readonly<Record<string, string>>;

beforeAll(async () => {
  lab = await startFaultLab({ writer: 'controller' });
  // Reports are stored 3 s after a change: later ones would be writes of their own.
  await until('all have reported', async () => (await lab.cluster.etcd.keys(reportPrefix)).length === lab.nodes.length);
  leases = await storedLeases(lab);
}, 240_000);

afterAll(async () => {
  await lab?.stop();
});

/** All hear of etcd again, each lease stands as it stood, and nothing was written to the cloud. */
async function expectAllAsBefore(): Promise<void> {
  expect(await storedLeases(lab)).toEqual(leases);
  expect(cloudWrites(lab)).toEqual([]);
  for (const node of lab.nodes) expect(await readyzOf(node)).toEqual({ status: 200, waits: '' });
  for (const each of lab.controllers) {
    await until('it is ready', async () => (await each.get('/readyz')).status === 200, noticeMs);
  }
  await until('one leads', async () => !!(await leaderOf(lab).catch(() => false)), noticeMs);
}

test('killed, and back before a leader’s term is over: the leader leads on, and nobody writes', async () => {
  const before = await leaderOf(lab);
  const outage = await surviveOutage(lab, async () => {
    await lab.cluster.etcd.kill();
    await delay(sizes.shortMs);
    for (const node of lab.nodes) expect(await readyzOf(node)).toEqual({ status: 200, waits: '' });
    await lab.cluster.etcd.restart();
  });
  expectNothingLost(outage.survival);
  expectFewTries(lab, outage);
  for (const { agent } of lab.nodes) {
    await until('its watch goes on', async () => said(agent, outage.since, wentOn).length === 1, noticeMs);
    expectSaidOnce(agent, outage.since);
  }
  if (sizes.shortMs < termMs) expect(await leaderOf(lab)).toBe(before);
  await expectAllAsBefore();
  await recordFault('store', outage.survival, {
    what: `etcd killed and started again, routes written by a controller`,
    load: `${load}; away ${sizes.shortMs / 1_000} s`,
    outcome: 'no write to the cloud, leases as they were, each program says so once',
  });
});

test('killed for longer than a term: nobody leads, all say so once, and one leads again when it is back', async () => {
  const outage = await surviveOutage(
    lab,
    async () => {
      await lab.cluster.etcd.kill();
      await delay(sizes.longMs);
      for (const node of lab.nodes) expect(await readyzOf(node)).toEqual({ status: 200, waits: '' });
      for (const each of lab.controllers) {
        await until('it knows no leader', async () => (await each.get('/readyz')).status === 503, noticeMs);
        expect((await each.get('/readyz')).headers.get('X-Flannel-VPC-Waiting-For')).toMatch(/^leader: can't read who/);
        const { healthy, problems } = await each.report();
        expect({ healthy, codes: problems.map(({ code }) => code) }).toEqual({
          ...{ healthy: false, codes: ['STORE_UNAVAILABLE'] },
        });
      }
      await lab.cluster.etcd.restart();
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  expectFewTries(lab, outage);
  for (const { agent } of lab.nodes) {
    await until('its watch goes on', async () => said(agent, outage.since, wentOn).length === 1, noticeMs);
    // Again only after five minutes.
    expectSaidOnce(agent, outage.since);
  }
  for (const each of lab.controllers) {
    // Of leases and of the leader, and the campaign to lead.
    expectSaidOnce(each, outage.since, 3);
  }
  await expectAllAsBefore();
  await recordFault('store', outage.survival, {
    what: `etcd killed for longer than a leader's term, routes written by a controller`,
    load: `${load}; away ${Math.round(outage.seconds)} s, term ${termMs / 1_000} s`,
    outcome: `${outage.tries.nodes} tries of all nodes to connect; no write to the cloud, leases as they were`,
  });
});

test('frozen, its connections up, and thawed', async () => {
  const outage = await surviveOutage(
    lab,
    async () => {
      lab.cluster.etcd.pause();
      await delay(sizes.frozenMs);
      for (const node of lab.nodes) expect(await readyzOf(node)).toEqual({ status: 200, waits: '' });
      lab.cluster.etcd.resume();
    },
    { leaks: false },
  );
  expectNothingLost(outage.survival);
  expectFewTries(lab, outage);
  // A watch notices silence after 40 s.
  for (const { agent } of lab.nodes) expect(said(agent, outage.since, interrupted).length).toBeLessThanOrEqual(2);
  await expectAllAsBefore();
  await recordFault('store', outage.survival, {
    what: `etcd frozen and thawed, routes written by a controller`,
    load: `${load}; frozen ${sizes.frozenMs / 1_000} s`,
    outcome: 'no write to the cloud, leases as they were',
  });
});

test('killed and restarted many times in a row: nothing leaks', async () => {
  const outage = await surviveRestarts(lab, sizes.restarts);
  for (const { agent } of lab.nodes) {
    expect(said(agent, outage.since, interrupted).length).toBeLessThanOrEqual(2 * sizes.restarts);
    expect(said(agent, outage.since, /./, ['error'])).toEqual([]);
  }
  await expectAllAsBefore();
  await recordFault('store', outage.survival, {
    what: `etcd killed and restarted ${sizes.restarts} times in a row, routes written by a controller`,
    load,
    outcome: 'no write to the cloud, leases as they were, nothing leaks',
  });
});
