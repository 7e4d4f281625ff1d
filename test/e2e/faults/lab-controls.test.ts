/** The lab that all fault tests stand on sees what it is there to see: each thing done wrong by hand turns it red. */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { recordsOf } from '../../fabric/etcd-places.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, foreignDestination, startFaultLab } from './fault-lab.ts';
import { leaksOf, readLeastHeld } from './leaks.ts';

let lab: FaultLab;

beforeAll(async () => {
  lab = await startFaultLab({ writer: 'controller', controllers: 1 });
}, 240_000);

afterAll(async () => {
  await lab?.stop();
});

/** What the lab says while something is wrong that no program mends, for the only one that could is stopped. */
async function problemsWhile(wrong: () => Promise<void>, mend: () => Promise<void>): Promise<string> {
  const { controllers, nodes } = lab;
  const stopped = [...controllers.map(({ process }) => process), ...nodes.map(({ agent }) => agent.process)];
  for (const process of stopped) process.signal('SIGSTOP');
  try {
    await wrong();
    return (await lab.problems()).join('\n');
  } finally {
    await mend();
    for (const process of stopped) process.signal('SIGCONT');
  }
}

test('nothing done: no packet lost, no connection broken, nothing wrong', async () => {
  const survival = await lab.survive(async () => await delay(2_000));
  expect(survival).toMatchObject({ packets: { lost: 0 }, streams: { broken: 0 }, gaps: [] });
  expect(survival.packets.sent).toBeGreaterThan(400);
  expect(survival.streams.bytes).toBeGreaterThan(200);
});

test('a route that is missing for a second loses packets and stalls connections', async () => {
  const { cluster, nodes } = lab;
  const subnet = await nodes[2].podSubnet();
  const [tableId = ''] = cluster.world.tableIds;
  const survival = await lab.survive(async () => {
    lab.controllers[0]?.process.signal('SIGSTOP');
    await cluster.world.removeRoute(tableId, subnet);
    await delay(1_000);
    await cluster.world.putRoute(tableId, subnet, nodes[2].instance);
    lab.controllers[0]?.process.signal('SIGCONT');
  });
  expect(survival.packets.lost).toBeGreaterThan(50);
  expect(survival.streams.longestPauseMs).toBeGreaterThan(900);
});

test.each([0, 1])('a lease without its route in table %i is named', async (index) => {
  const { cluster, nodes } = lab;
  const subnet = await nodes[0].podSubnet();
  const tableId = cluster.world.tableIds[index] ?? '';
  const said = await problemsWhile(
    () => cluster.world.removeRoute(tableId, subnet),
    () => cluster.world.putRoute(tableId, subnet, nodes[0].instance),
  );
  expect(said).toContain(`${tableId}: no route for the lease ${subnet}`);
});

test('a route that leads to another node is named', async () => {
  const { cluster, nodes } = lab;
  const subnet = await nodes[0].podSubnet();
  const [tableId = ''] = cluster.world.tableIds;
  const said = await problemsWhile(
    () => cluster.world.putRoute(tableId, subnet, nodes[1].instance),
    () => cluster.world.putRoute(tableId, subnet, nodes[0].instance),
  );
  expect(said).toContain(`${tableId}: ${subnet} leads to`);
});

test('a route that no lease has is named', async () => {
  const { cluster, nodes } = lab;
  const [tableId = ''] = cluster.world.tableIds;
  const said = await problemsWhile(
    () => cluster.world.putRoute(tableId, '10.244.240.0/24', nodes[1].instance),
    () => cluster.world.removeRoute(tableId, '10.244.240.0/24'),
  );
  expect(said).toContain('a route for 10.244.240.0/24, which no lease has');
});

test('a route without its record, and a record without a route, are named', async () => {
  const { cluster, nodes } = lab;
  const [own, tableId = ''] = [await nodes[0].podSubnet(), cluster.world.tableIds[0]];
  const keyOf = (subnet: string): string => `${recordsOf(subnet)}${tableId}`;
  const [record] = await cluster.etcd.keys(keyOf(own));
  const said = await problemsWhile(
    async () => {
      await cluster.etcd.delete(keyOf(own));
      await cluster.etcd.put(keyOf('10.244.241.0/24'), record?.value ?? '');
    },
    async () => {
      await cluster.etcd.put(keyOf(own), record?.value ?? '');
      await cluster.etcd.delete(keyOf('10.244.241.0/24'));
    },
  );
  expect(said).toContain(`${tableId}: no record says that the route ${own} is ours`);
  expect(said).toContain(`${tableId}: a record of 10.244.241.0/24, for which no route stands`);
});

test('a change of somebody else’s route is named', async () => {
  const { cluster, nodes } = lab;
  const [tableId = ''] = cluster.world.tableIds;
  const document = await cluster.world.document(tableId, []);
  const stranger = /"NetworkInterfaceId":"(eni-[0-9a-f]+)"/.exec(document.slice(document.indexOf(foreignDestination)));
  const said = await problemsWhile(
    () => cluster.world.putRoute(tableId, foreignDestination, nodes[1].instance),
    () => cluster.aws.replaceRoute(tableId, foreignDestination, stranger?.[1] ?? ''),
  );
  expect(said).toContain(`${tableId}: others' routes changed`);
});

test('a rule that stands twice is named', async () => {
  const { node } = lab.nodes[1];
  const words = ['FORWARD', '-m', 'comment', '--comment', 'flanneld forward', '-j', 'FLANNEL-FWD'];
  const said = await problemsWhile(
    async () => void (await node.exec(['iptables', '-A', ...words])),
    async () => void (await node.exec(['iptables', '-D', ...words])),
  );
  expect(said).toContain('two: more than once: -A FORWARD');
});

test('a child and open files that stay are named', async () => {
  const leaky = [
    "const { openSync } = require('node:fs');",
    "const { spawn } = require('node:child_process');",
    // Its children end by themselves: one that stayed would keep the node's namespace, and links of it, beyond this file.
    "process.stdin.once('data', () => {",
    "  for (let index = 0; index < 20; index++) { openSync('/dev/null'); setTimeout(() => {}, 1e6); }",
    "  for (const seconds of ['3', '4']) spawn('sleep', [seconds]).once('spawn', () => console.log('grown ' + seconds));",
    '});',
    "console.log('here');",
  ].join('\n');
  const child = lab.nodes[0].node.spawn([process.execPath, '-e', leaky]);
  await child.waitForLog(/here/);
  const holder = { name: 'leaky', pid: child.pid, metrics: async () => 'nodejs_active_resources{type="Timeout"} 1\n' };
  const before = await readLeastHeld(holder, 0);
  child.write('go\n');
  await child.waitForLog(/grown[\s\S]*grown/);
  const after = await readLeastHeld(holder, 0);
  await child.kill('SIGKILL');
  expect(leaksOf('leaky', before, { ...after, timers: 21 }).join('\n')).toMatch(
    /leaky: \d+ files before, \d+ after \(.*; now .*2\d \/dev\/null.*\)\nleaky: 1 timers before, 21 after\nleaky: 0 children before, 2 after/,
  );
});

test('a fault that is not made good in time fails its test', async () => {
  const { cluster, nodes, controllers } = lab;
  const subnet = await nodes[2].podSubnet();
  const [tableId = ''] = cluster.world.tableIds;
  const survival = lab.survive(
    async () => {
      controllers[0]?.process.signal('SIGSTOP');
      await cluster.world.removeRoute(tableId, subnet);
    },
    { settleMs: 3_000, leaks: false },
  );
  try {
    await expect(survival).rejects.toThrow(`${tableId}: no route for the lease ${subnet}`);
  } finally {
    controllers[0]?.process.signal('SIGCONT');
  }
});

test('all is right again in the end', async () => {
  await until('all mended', async () => (await lab.problems()).length === 0, 30_000);
});
