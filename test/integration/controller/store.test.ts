/** What a controller takes out when leases are missing from etcd, and what it leaves: real backups, restored. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import type { AwsInstance } from '../../clouds/aws/world.ts';
import { createLab, elected, type Lab, problem, reported } from './lab.ts';

let localstack: LocalStack;
let lab: Lab;

beforeAll(async () => {
  localstack = await startLocalStack();
});
afterAll(async () => {
  await localstack?.stop();
});

const subnets = Array.from({ length: 10 }, (_, index) => `10.244.${index + 1}.0/24`);

/** Enough to take out what two resyncs must miss. */
const enough = 3_000;

describe('leases that are gone', () => {
  let node: AwsInstance;

  beforeAll(async () => {
    lab = await createLab({ localstack });
    node = await lab.node('10.0.1.10', ...subnets);
    // Another one, since none takes out what it wrote itself within the last minute: EC2's reads lag behind its writes.
    const writer = lab.start({ name: 'writer' });
    for (const subnet of subnets) await lab.leads(subnet, node.nicId);
    await writer.kill();
  });
  afterAll(async () => {
    await lab?.stop();
  });

  it('lose their routes after two resyncs when they are one or two, though the instance runs on', async () => {
    const controller = lab.start({ name: 'two' });
    await controller.logged(/"msg":"resync"/);
    await lab.dropLease('10.244.1.0/24');
    const dropped = performance.now();
    await lab.leads('10.244.1.0/24', undefined);
    expect(performance.now() - dropped).toBeGreaterThan(900);
    expect(lab.writes('two')).toEqual(['DeleteRoute 10.244.1.0/24', 'DeleteRoute 10.244.1.0/24']);
    await reported(controller, 'all is well', ({ problems }) => problems.length === 0);
    await controller.kill();
  });

  it('are held when they are many, until a person allows it', async () => {
    const controller = lab.start({ name: 'three' });
    for (const subnet of subnets.slice(1, 7)) await lab.dropLease(subnet);
    const said = await problem(controller, 'mass-delete');
    expect(said).toContain('6 of 9 destinations would go at once');
    expect(said).toContain('--allow-mass-delete');
    await delay(enough);
    for (const subnet of subnets.slice(1, 7)) await lab.leads(subnet, node.nicId);
    expect(lab.writes('three')).toEqual([]);
    await controller.kill();

    const allowed = lab.start({ name: 'four', args: ['--allow-mass-delete'] });
    for (const subnet of subnets.slice(1, 7)) await lab.leads(subnet, undefined);
    for (const subnet of subnets.slice(7)) await lab.leads(subnet, node.nicId);
    await allowed.kill();
  });

  it('are no reason to take out anything when all of them are gone', async () => {
    const controller = lab.start({ name: 'five', args: ['--allow-mass-delete'] });
    await controller.logged(/"msg":"resync"/);
    await lab.etcd.etcdctl('del', '--prefix', `${lab.prefix}/subnets/`);
    expect(await problem(controller, 'lease-list-empty')).toContain('routes purge');
    await delay(enough);
    for (const subnet of subnets.slice(7)) await lab.leads(subnet, node.nicId);
    expect(lab.writes('five')).toEqual([]);
  });
});

describe('a store restored from a backup that lacks a lease', () => {
  beforeAll(async () => {
    lab = await createLab({ localstack });
  });
  afterAll(async () => {
    await lab?.stop();
  });

  it('takes no route out, neither under the former leader nor under one that only stood by', async () => {
    const node = await lab.node('10.0.1.10', '10.244.1.0/24', '10.244.2.0/24');
    const first = lab.start({ name: 'first', args: elected });
    await first.logged(/leading: this controller/);
    await lab.leads('10.244.2.0/24', node.nicId);
    const second = lab.start({ name: 'second', args: elected });
    await second.logged(/standing by/);
    // The record of its route is in the backup, and its lease is not: as when the node had just come back.
    await lab.dropLease('10.244.2.0/24');
    const backup = await lab.etcd.backup();
    await lab.putLease('10.244.2.0/24', { instance: node });
    for (let put = 0; put < 5; put += 1) await lab.etcd.put('/elsewhere', String(put));
    await delay(2_500);

    await first.kill('SIGKILL');
    await lab.etcd.restore(backup);
    // That of the one that was killed; its term need not be waited for here.
    await lab.etcd.delete(`${lab.prefix}/flannel-vpc/leader`);
    await second.logged(/leading: this controller/, 40_000);
    expect(await problem(second, 'store-went-back')).toMatch(/went back from revision \d+ to \d+, as after a restored/);
    // Longer than a new leader waits for requests of the one before.
    await delay(10_000 + enough);
    await lab.leads('10.244.2.0/24', node.nicId);
    expect(lab.writes('second')).toEqual([]);

    // That the route was in danger: one that never saw the store before takes it as it is, and says so nowhere.
    await second.kill('SIGKILL');
    lab.start({ name: 'ignorant' });
    await lab.leads('10.244.2.0/24', undefined);
    expect(lab.writes('ignorant')).toEqual(['DeleteRoute 10.244.2.0/24', 'DeleteRoute 10.244.2.0/24']);
  }, 120_000);
});
