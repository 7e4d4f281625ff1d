/**
 * Nodes that come back as something else than they went: with another address, as another machine at the same address, with the
 * subnet.env of another cluster or another node, or when their subnet is somebody else's. Never two leases of one subnet, and the
 * packets of all others flow.
 *
 * The sizes of CI and of FAULTS=long are the same: each of these happens once.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AssignPrivateIpAddressesCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { InstanceMetadata } from '../../clouds/aws/imds.ts';
import type { ClusterNode, NodeRequest } from '../../fabric/cluster.ts';
import { leaseKeyOf, leasePrefix, subnetOfKey } from '../../fabric/etcd-places.ts';
import { countAnswers } from '../../fabric/traffic.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, type Survival, startFaultLab } from './fault-lab.ts';
import { expectNothingLost, readyz, recordFault } from './survival.ts';

// On a busy machine; what is waited for has deadlines of its own.
jest.setTimeout(900_000);

/** Nothing here goes on for long: what programs hold is compared elsewhere. */
const quick = { leaks: false } as const;

let lab: FaultLab;

beforeAll(async () => {
  lab = await startFaultLab({ writer: 'controller', controllers: 1, controllerArgs: ['--leader-elect=false'] });
}, 240_000);

afterAll(async () => {
  await lab?.stop();
});

async function addNode(request: NodeRequest): Promise<ClusterNode> {
  const node = await lab.cluster.addNode(request);
  lab.added.push(node);
  return node;
}

/** It is gone, with all that stands on it. */
function forget(node: ClusterNode): void {
  lab.added.splice(lab.added.indexOf(node), 1);
}

/** Who holds which subnet: instance ids by subnet. Overlapping leases show as two of one instance or of one subnet. */
async function holders(): Promise<Readonly<Record<string, string>>> {
  const keys = await lab.cluster.etcd.keys(leasePrefix);
  return Object.fromEntries(
    keys.map(({ key, value }) => [
      subnetOfKey(key),
      (JSON.parse(value) as { FlannelVPC: { instanceId: string } }).FlannelVPC.instanceId,
    ]),
  );
}

async function expectReached(node: ClusterNode): Promise<void> {
  const pod = await node.addPod('pod');
  for (const from of lab.pods) expect(await countAnswers({ from, to: pod }, 5)).toBe(5);
}

async function keep(what: string, survival: Survival, outcome: string): Promise<void> {
  expectNothingLost(survival);
  await recordFault('process', survival, { what, load: '1 node of 4, one controller', outcome });
}

test('the same instance with another address has its subnet again, and routes lead to it', async () => {
  const { cluster } = lab;
  const former = await addNode({ name: 'four', subnet: 'second', address: '10.0.2.14' });
  lab.startAgent(former);
  await former.agent.ready(60_000);
  const subnet = await former.podSubnet();
  const before = await holders();
  const { nicId, metadata } = former.instance;
  let node: ClusterNode | undefined;
  const survival = await lab.survive(async () => {
    await former.agent.kill('SIGKILL');
    await cluster.world.stopInstance(former.instance.id);
    const address = { NetworkInterfaceId: nicId, PrivateIpAddresses: ['10.0.2.114'] };
    await cluster.aws.admin.send(new AssignPrivateIpAddressesCommand(address));
    await cluster.world.startInstance(former.instance.id);
    const state = metadata.state as InstanceMetadata;
    const nics = state.nics.map((nic) => ({ ...nic, privateIpv4s: ['10.0.2.114'] }));
    forget(former);
    const changed = { name: 'four-again', address: '10.0.2.114', metadata: { ...state, nics } };
    node = await cluster.comeBack(former, changed);
    lab.added.push(node);
    await cluster.sync();
    lab.startAgent(node);
    await node.agent.ready(60_000);
  }, quick);
  if (!node) throw new Error('it did not come back');
  expect(await node.podSubnet()).toBe(subnet);
  expect(await holders()).toEqual(before);
  const [lease] = await cluster.etcd.keys(leaseKeyOf(subnet));
  expect(JSON.parse(lease?.value ?? '{}')).toMatchObject({ PublicIP: '10.0.2.114' });
  await expectReached(node);
  await keep('an instance comes back with another address', survival, 'the same subnet, the lease has the new address');
});

test('another machine at the address of one that was terminated has its subnet and its routes', async () => {
  const { cluster } = lab;
  const former = await addNode({ name: 'five', subnet: 'second', address: '10.0.2.15' });
  lab.startAgent(former);
  await former.agent.ready(60_000);
  const subnet = await former.podSubnet();
  let node: ClusterNode | undefined;
  const survival = await lab.survive(async () => {
    await former.agent.kill('SIGKILL');
    forget(former);
    await former.destroy();
    await cluster.sync();
    node = await addNode({ name: 'five-new', subnet: 'second', address: '10.0.2.15' });
    lab.startAgent(node);
    await node.agent.ready(90_000);
  }, quick);
  if (!node) throw new Error('it did not come back');
  expect(await node.podSubnet()).toBe(subnet);
  expect((await holders())[subnet]).toBe(node.instance.id);
  expect(Object.values(await holders())).not.toContain(former.instance.id);
  await expectReached(node);
  await keep(
    'a terminated machine replaced by another at its address',
    survival,
    'the same subnet, routes lead to the new machine',
  );
});

async function putSubnetFile({ node }: ClusterNode, network: string, address: string): Promise<void> {
  await mkdir(join(node.runFolder, 'flannel'), { recursive: true });
  const lines = [`FLANNEL_NETWORK=${network}`, `FLANNEL_SUBNET=${address}`, 'FLANNEL_MTU=8951', 'FLANNEL_IPMASQ=true'];
  await writeFile(join(node.runFolder, 'flannel', 'subnet.env'), `${lines.join('\n')}\n`);
}

test('a subnet.env of another cluster, and one of an image cloned from another node, give nobody’s subnet away', async () => {
  const victim = lab.nodes[1];
  const theirs = await victim.podSubnet();
  const [before] = await lab.cluster.etcd.keys(leaseKeyOf(theirs));
  const stranger = await addNode({ name: 'six', subnet: 'first', address: '10.0.1.16' });
  const clone = await addNode({ name: 'seven', subnet: 'first', address: '10.0.1.17' });
  await putSubnetFile(stranger, '10.99.0.0/16', '10.99.5.1/24');
  await putSubnetFile(clone, '10.244.0.0/16', theirs.replace('.0/24', '.1/24'));
  const survival = await lab.survive(async () => {
    for (const node of [stranger, clone]) lab.startAgent(node);
    for (const node of [stranger, clone]) await node.agent.ready(60_000);
  }, quick);
  for (const node of [stranger, clone]) {
    const subnet = await node.podSubnet();
    expect(subnet).toMatch(/^10\.244\.\d+\.0\/24$/);
    expect(subnet).not.toBe(theirs);
    expect((await holders())[subnet]).toBe(node.instance.id);
    await expectReached(node);
  }
  expect((await lab.cluster.etcd.keys(leaseKeyOf(theirs)))[0]).toEqual(before);
  expect(await victim.podSubnet()).toBe(theirs);
  await keep(
    'subnet.env of another cluster and of a cloned image',
    survival,
    'subnets of their own; no other lease written',
  );
});

test('a node whose subnet was leased to another while it was away leaves it alone, says so, and goes on once its pods are gone', async () => {
  const { cluster } = lab;
  const node = await addNode({ name: 'eight', subnet: 'first', address: '10.0.1.18' });
  lab.startAgent(node);
  await node.agent.ready(60_000);
  await node.addPod('pod');
  const subnet = await node.podSubnet();
  await node.agent.kill('SIGKILL');
  // Its lease runs out, and another node is given the subnet.
  await cluster.etcd.delete(leaseKeyOf(subnet));
  const heir = await addNode({ name: 'nine', subnet: 'second', address: '10.0.2.19' });
  await putSubnetFile(heir, '10.244.0.0/16', subnet.replace('.0/24', '.1/24'));
  lab.startAgent(heir);
  await heir.agent.ready(90_000);
  expect(await heir.podSubnet()).toBe(subnet);
  await expectReached(heir);
  const before = await holders();

  const survival = await lab.survive(async () => {
    lab.startAgent(node);
    await node.agent.logged(/failed to acquire lease/, 30_000);
    const answer = await readyz(node);
    expect(answer).toContain(' 503 ');
    expect(answer.toLowerCase()).toContain('x-flannel-vpc-waiting-for');
    expect(await holders()).toEqual(before);
    // Once, however often it is tried.
    expect(node.agent.log().filter(({ msg }) => msg === 'failed to acquire lease')).toHaveLength(1);
    await node.node.exec(['ip', 'link', 'delete', 'cni0']);
    await node.agent.ready(60_000);
  }, quick);
  expect(await heir.podSubnet()).toBe(subnet);
  expect(await node.podSubnet()).not.toBe(subnet);
  expect(Object.keys(await holders())).toHaveLength(Object.keys(before).length + 1);
  await until('all is right', async () => (await lab.problems()).length === 0, 30_000);
  await keep(
    'a node returns whose subnet is another’s by now',
    survival,
    'it waited, named it once, and leased another subnet without its pods',
  );
});

test('control: a lease of the subnet put over another’s is seen, and so are its routes', async () => {
  const theirs = await lab.nodes[1].podSubnet();
  const [before] = await lab.cluster.etcd.keys(leaseKeyOf(theirs));
  const [thief] = await lab.cluster.etcd.keys(leaseKeyOf(await lab.nodes[0].podSubnet()));
  for (const { agent } of lab.nodes) agent.process.signal('SIGSTOP');
  try {
    await lab.cluster.etcd.put(leaseKeyOf(theirs), thief?.value ?? '');
    expect((await lab.cluster.etcd.keys(leaseKeyOf(theirs)))[0]).not.toEqual(before);
    expect(Object.values(await holders()).filter((id) => id === lab.nodes[0].instance.id)).toHaveLength(2);
  } finally {
    await lab.cluster.etcd.put(leaseKeyOf(theirs), before?.value ?? '');
    for (const { agent } of lab.nodes) agent.process.signal('SIGCONT');
  }
});
