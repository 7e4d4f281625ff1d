/** Instances that stop, start, are terminated and replaced, and what becomes of their leases and routes. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import type { AwsInstance } from '../../clouds/aws/world.ts';
import type { Controller } from '../../fabric/controller.ts';
import { until } from '../../support/until.ts';
import { createLab, type Lab, problem, reported } from './lab.ts';

let localstack: LocalStack;
let lab: Lab;
let controller: Controller;
let nodes: readonly AwsInstance[];
const subnets = ['10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24', '10.244.4.0/24'] as const;

beforeAll(async () => {
  localstack = await startLocalStack();
  lab = await createLab({ localstack });
  const made: AwsInstance[] = [];
  for (const [index, subnet] of subnets.entries()) made.push(await lab.node(`10.0.1.${index + 11}`, subnet));
  nodes = made;
  // What it wrote itself a moment ago a controller takes out of no table.
  const writer = lab.start({ name: 'writer' });
  for (const [index, subnet] of subnets.entries()) await lab.leads(subnet, node(index).nicId);
  await reported(writer, 'all of them forward', ({ problems }) => problems.length === 0);
  await writer.kill();
  controller = lab.start({ name: 'two', args: ['--reap-terminated'] });
  await controller.logged(/"msg":"resync"/);
});
beforeEach(() => {
  lab.world.proxy.resetLog();
});
afterAll(async () => {
  await lab?.stop();
  await localstack?.stop();
});

function node(index: number): AwsInstance {
  const found = nodes[index];
  if (!found) throw new Error(`there is no node ${index}`);
  return found;
}

const holderOf = async (subnet: string): Promise<string | undefined> => {
  const [lease] = await lab.etcd.keys(`${lab.prefix}/subnets/${subnet.replace('/', '-')}`);
  return lease && (JSON.parse(lease.value) as { FlannelVPC: { instanceId: string } }).FlannelVPC.instanceId;
};

it('one that is stopped keeps route and lease, and is well again when it is started', async () => {
  const [subnet] = subnets;
  await lab.world.stopInstance(node(0).id);
  expect(await problem(controller, 'not-active')).toContain('Start the instance, or end the lease');
  await delay(3_000);
  await lab.world.startInstance(node(0).id);
  await reported(controller, 'all is well', ({ problems }) => problems.length === 0);
  expect(lab.writes()).toEqual([]);
  await lab.leads(subnet, node(0).nicId);
  expect(await holderOf(subnet)).toBe(node(0).id);
});

it('one that is terminated loses its routes, its lease and the records at once', async () => {
  const [, subnet] = subnets;
  await lab.world.terminateInstance(node(1).id);
  await lab.leads(subnet, undefined);
  await until('its lease is gone', async () => (await holderOf(subnet)) === undefined);
  expect(lab.writes()).toEqual([`DeleteRoute ${subnet}`, `DeleteRoute ${subnet}`]);
  await until('its records are gone', async () => {
    const records = await lab.etcd.keys(`${lab.prefix}/flannel-vpc/routes/${subnet.replace('/', '-')}/`);
    return records.length === 0;
  });
  await reported(controller, 'all is well', ({ problems }) => problems.length === 0);
});

it('a lease that another machine takes while the routes of the terminated one are being removed survives, and gets its routes', async () => {
  const [, , subnet] = subnets;
  const held = lab.world.proxy.hold('DeleteRoute');
  await lab.world.terminateInstance(node(2).id);
  await held.arrived(1);
  const heir = await lab.node('10.0.2.50', subnet);
  held.release();
  await lab.leads(subnet, heir.nicId);
  await delay(2_500);
  expect(await holderOf(subnet)).toBe(heir.id);
  await lab.leads(subnet, heir.nicId);
  await reported(controller, 'all is well', ({ problems }) => problems.length === 0);
});

it('one with the address of a terminated one takes over its subnet by a replacement in place', async () => {
  const [, , , subnet] = subnets;
  await controller.kill();
  await lab.world.terminateInstance(node(3).id);
  const heir = await lab.node(node(3).address, subnet);
  expect(heir.nicId).not.toBe(node(3).nicId);
  const next = lab.start({ name: 'three', args: ['--reap-terminated'] });
  await lab.leads(subnet, heir.nicId);
  await reported(next, 'all is well', ({ problems }) => problems.length === 0);
  expect(lab.writes('three').filter((write) => write.includes('Route'))).toEqual([
    `ReplaceRoute ${subnet}`,
    `ReplaceRoute ${subnet}`,
  ]);
  expect(await holderOf(subnet)).toBe(heir.id);
});
