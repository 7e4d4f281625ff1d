/** What is wrong is said clearly, changes nothing, and where it can mend itself the agent goes on by itself. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { allowAll } from '../clouds/aws/iam-policy.ts';
import { type Cluster, type ClusterNode, createCluster, podNetwork } from '../fabric/cluster.ts';

let cluster: Cluster;
let node: ClusterNode;
let count = 10;
const prefix = '/coreos.com/network';
const good = (): object => ({
  Network: podNetwork,
  Backend: { Type: 'aws-vpc', RouteTableID: [cluster.aws.explicitTableId, cluster.aws.mainTableId] },
});

beforeAll(async () => {
  cluster = await createCluster();
});

afterAll(async () => {
  await cluster.stop();
});

beforeEach(async () => {
  await cluster.putNetConf(good());
  count += 1;
  node = await cluster.addNode({ name: `n${count}`, subnet: 'first', address: `10.0.1.${count}` });
  cluster.aws.proxy.resetLog();
});

afterEach(async () => {
  await node.agent.kill('SIGKILL');
  await cluster.etcd.etcdctl('del', '--prefix', `${prefix}/subnets/`);
  cluster.aws.proxy.roles.setRole('node', allowAll);
  await node.destroy();
});

/** Nothing was leased, written to EC2, or handed to a runtime. */
async function expectNothingDone(): Promise<void> {
  expect(await cluster.etcd.keys(`${prefix}/subnets/`)).toEqual([]);
  expect(Object.keys(cluster.aws.proxy.counts()).filter((action) => !action.startsWith('Describe'))).toEqual([]);
  expect(await node.node.subnetEnv()).toBeUndefined();
}

/** Takes one right from the nodes' role. */
function deny(action: string): void {
  const denial = { Effect: 'Deny' as const, Action: [action], Resource: ['*'] };
  cluster.aws.proxy.roles.setRole('node', { ...allowAll, Statement: [...allowAll.Statement, denial] });
}

async function readyz(): Promise<string> {
  return await node.node.exec(['curl', '-si', 'http://127.0.0.1:8081/readyz']);
}

describe('waited for, and gone on from', () => {
  test('a wrong net-conf: every problem in one line', async () => {
    await cluster.putNetConf({ Network: podNetwork, SubnetLen: 40, Backend: { Type: 'aws-vpc', RouteTableID: 7 } });
    node.start();
    await node.agent.logged(/Couldn't fetch network config/);
    const [line] = node.agent.log().filter(({ level }) => level === 'error');
    expect(line?.['error']).toMatch(
      /SubnetLen: .*found 40.*allowed: .*Backend\.RouteTableID: .*found 7.*allowed: a route table id/,
    );
    expect(await readyz()).toMatch(/503[\s\S]*X-Flannel-VPC-Waiting-For: lease: SubnetLen/);
    await expectNothingDone();
    await cluster.putNetConf(good());
    await node.agent.ready();
  });

  test('no net-conf at all', async () => {
    await cluster.etcd.delete(`${prefix}/config`);
    node.start();
    await node.agent.logged(/Did you create your config using etcdv3 API/);
    await expectNothingDone();
    await cluster.putNetConf(good());
    await node.agent.ready();
  });

  test('a table that does not exist: no lease is taken', async () => {
    await cluster.putNetConf({
      Network: podNetwork,
      Backend: { Type: 'aws-vpc', RouteTableID: 'rtb-00000000000000000' },
    });
    node.start();
    await node.agent.logged(/rtb-00000000000000000/);
    await expectNothingDone();
    expect(node.agent.log().find(({ level }) => level === 'error')).toMatchObject({ code: 'NOT_FOUND' });
  });

  test('no permission to write routes: said with the action’s name, no file, and on by itself when it is given', async () => {
    deny('ec2:CreateRoute');
    node.start();
    await node.agent.logged(/PERMISSION_DENIED/);
    const line = node.agent.log().find(({ level }) => level === 'error');
    expect(line?.['error']).toMatch(/ec2:CreateRoute/);
    expect(line?.['hint']).toBeDefined();
    expect(await node.node.subnetEnv()).toBeUndefined();
    expect(await readyz()).toMatch(/503[\s\S]*route: /);
    cluster.aws.proxy.roles.setRole('node', allowAll);
    await node.agent.ready();
  });

  test('no permission to read tables: no lease is taken', async () => {
    deny('ec2:DescribeRouteTables');
    node.start();
    await node.agent.logged(/no lease is taken until this is mended/);
    await expectNothingDone();
    cluster.aws.proxy.roles.setRole('node', allowAll);
    await node.agent.ready();
  });

  test('the metadata server is off', async () => {
    await node.metadata.setFaults({ disabled: true });
    node.start();
    await node.agent.logged(/METADATA_UNAVAILABLE/);
    await expectNothingDone();
    await node.metadata.setFaults({ disabled: false });
    await node.agent.ready();
  });

  test('etcd is away: said once', async () => {
    await cluster.etcd.kill();
    node.start();
    await node.agent.logged(/STORE_UNAVAILABLE/);
    expect(node.agent.log().filter(({ level }) => level === 'error')).toHaveLength(1);
    await cluster.etcd.restart();
    await node.agent.ready();
  });

  test('leases that are none, and a subnet outside the network: skipped, and the node joins', async () => {
    await cluster.etcd.put(`${prefix}/subnets/10.244.5.0-24`, '{broken');
    await cluster.etcd.put(`${prefix}/subnets/10.99.0.0-24`, '{"PublicIP":"10.0.1.99","PublicIPv6":null}');
    node.start();
    await node.agent.ready();
    expect(await node.podSubnet()).toMatch(/^10\.244\./);
    expect(await node.podSubnet()).not.toBe('10.244.5.0/24');
    expect(await cluster.aws.staticRoutes(cluster.aws.explicitTableId)).not.toHaveProperty('10.99.0.0/24');
  });

  test('a full network: waits with the reason, and takes what becomes free', async () => {
    await cluster.putNetConf({ ...good(), SubnetMin: '10.244.1.0', SubnetMax: '10.244.1.0' });
    await cluster.etcd.put(`${prefix}/subnets/10.244.1.0-24`, '{"PublicIP":"10.0.1.99","PublicIPv6":null}', 600);
    node.start();
    await node.agent.logged(/NETWORK_FULL/);
    expect(await node.node.subnetEnv()).toBeUndefined();
    await cluster.etcd.delete(`${prefix}/subnets/10.244.1.0-24`);
    await node.agent.ready();
    expect(await node.podSubnet()).toBe('10.244.1.0/24');
  });
});

describe('ended by', () => {
  test.each([
    ['an interface that does not exist', ['--iface=eth7'], 1, /eth7/],
    ['an unknown flag', ['--ip-mask'], 2, /did you mean --ip-masq/],
    ['a value out of range', ['--subnet-lease-renew-margin=0'], 1, /out of acceptable range/],
    ['a certificate that is not there', ['--etcd-cafile=/nowhere.pem'], 1, /\/nowhere\.pem/],
    ['an address that is no interface’s', ['--public-ip=10.0.1.250'], 1, /10\.0\.1\.250/],
  ])('%s', async (_, args, code, words) => {
    node.start({ args });
    expect(await node.agent.process.ended).toBe(code);
    expect(node.agent.process.log()).toMatch(words);
    await expectNothingDone();
  });

  test('an unknown backend', async () => {
    await cluster.putNetConf({ Network: podNetwork, Backend: { Type: 'aws-vcp' } });
    node.start();
    expect(await node.agent.process.ended).toBe(1);
    expect(node.agent.process.log()).toMatch(/unknown backend type: aws-vcp, did you mean aws-vpc/);
    await expectNothingDone();
  });

  test('another node that takes our subnet', async () => {
    node.start();
    await node.agent.ready();
    const subnet = (await node.podSubnet()).replace('/', '-');
    await cluster.etcd.put(`${prefix}/subnets/${subnet}`, '{"PublicIP":"10.0.1.99","PublicIPv6":null}', 600);
    expect(await node.agent.process.ended).toBe(1);
    expect(node.agent.process.log()).toMatch(/LEASE_LOST/);
  });
});
