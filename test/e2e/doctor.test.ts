/** `doctor` on a node of a healthy cluster, and on one that is broken one thing at a time. */
import {
  AuthorizeSecurityGroupIngressCommand,
  DescribeNetworkInterfacesCommand,
  RevokeSecurityGroupIngressCommand,
} from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { program } from '../fabric/agent.ts';
import { bridge, type Cluster, type ClusterNode, createCluster, podNetwork } from '../fabric/cluster.ts';
import { rigAddress } from '../fabric/management.ts';

interface Shown {
  readonly code: number | string;
  readonly findings: readonly {
    readonly check: string;
    readonly status: string;
    readonly found: string;
    readonly remedy?: string;
  }[];
}

let cluster: Cluster;
let node: ClusterNode;
/** Undone after each test, in reverse. */
let mending: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  cluster = await createCluster();
  node = await cluster.addNode({ name: 'one', subnet: 'first', address: '10.0.1.11', rpFilter: 1 });
  await cluster.aws.admin.send(new AuthorizeSecurityGroupIngressCommand(await podIngress()));
  // What is broken must stay so until doctor has looked.
  node.start({ args: ['--iptables-resync=86400', '--route-check-interval=24h'] });
  await node.agent.ready();
});

afterAll(async () => {
  await cluster.stop();
});

afterEach(async () => {
  for (const mend of mending.reverse()) await mend();
  mending = [];
});

/** The security group's rule that lets pods in. */
async function podIngress() {
  const { NetworkInterfaces: [nic] = [] } = await cluster.aws.admin.send(
    new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [node.instance.nicId] }),
  );
  return {
    GroupId: nic?.Groups?.[0]?.GroupId,
    IpPermissions: [{ IpProtocol: '-1', IpRanges: [{ CidrIp: podNetwork }] }],
  };
}

async function run(...args: readonly string[]) {
  return await node.node.tryExec(
    [program, 'doctor', `--etcd-endpoints=${cluster.etcd.endpoint}`, '--ip-masq', `--bridge=${bridge}`, ...args],
    {
      env: { AWS_ENDPOINT_URL_EC2: `http://${rigAddress}:${cluster.aws.proxy.port}` },
      timeoutMs: 40_000,
    },
  );
}

async function doctor(): Promise<Shown> {
  const { code, stdout, stderr } = await run('-o', 'json');
  expect(stderr).toBe('');
  const { groups }: { groups: { findings: Shown['findings'] }[] } = JSON.parse(stdout);
  return { code, findings: groups.flatMap(({ findings }) => findings) };
}

const failure = (check: string | RegExp, remedy: RegExp): object =>
  expect.objectContaining({
    check: typeof check === 'string' ? check : expect.stringMatching(check),
    status: 'failed',
    remedy: expect.stringMatching(remedy),
  });

test('nothing fails on a healthy node, and every group is looked at', async () => {
  const { code, stdout } = await run();
  expect(stdout).not.toMatch(/FAIL/);
  expect(code).toBe(0);
  for (const group of ['store', 'net-conf', 'cloud', 'routes', 'node'])
    expect(stdout).toMatch(new RegExp(`^${group}$`, 'm'));
  expect(stdout).toMatch(
    new RegExp(
      `ok {4}route ${await node.podSubnet()} in ${cluster.aws.explicitTableId}: leads to ${node.instance.nicId}`,
    ),
  );
});

test('nothing is changed by it', async () => {
  const seen = async () => [
    await cluster.etcd.revision(),
    (await node.node.exec(['nft', 'list', 'ruleset'])).replace(/counter packets \d+ bytes \d+/g, ''),
    await node.node.exec(['ip', '-j', 'route']),
    await cluster.aws.staticRoutes(cluster.aws.explicitTableId),
  ];
  const before = await seen();
  await doctor();
  expect(await seen()).toEqual(before);
});

describe('says what is wrong and what to do, and ends with 1:', () => {
  test('forwarding is off', async () => {
    await node.node.sysctl({ 'ipv4/ip_forward': 0 });
    mending.push(() => node.node.sysctl({ 'ipv4/ip_forward': 1 }));
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(failure('net.ipv4.ip_forward', /sysctl -w net\.ipv4\.ip_forward=1/));
    expect(code).toBe(1);
  });

  test('another table drops what is forwarded, which an accept elsewhere does not overrule', async () => {
    await node.node.exec([
      'nft',
      'add table inet wall; add chain inet wall passing { type filter hook forward priority 0; policy drop; }',
    ]);
    mending.push(() => node.node.exec(['nft', 'delete table inet wall']));
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(
      failure('forward policy of nft inet wall passing', new RegExp(`saddr ${podNetwork} accept`)),
    );
    expect(code).toBe(1);
  });

  test('FORWARD drops, and our rules are gone', async () => {
    await node.node.exec(['iptables', '-P', 'FORWARD', 'DROP']);
    mending.push(() => node.node.exec(['iptables', '-P', 'FORWARD', 'ACCEPT']));
    // With our rules in place the policy does not matter.
    expect((await doctor()).code).toBe(0);
    const rule = ['FORWARD', '-m', 'comment', '--comment', 'flanneld forward', '-j', 'FLANNEL-FWD'];
    await node.node.exec(['iptables', '-D', ...rule]);
    mending.push(() => node.node.exec(['iptables', '-A', ...rule]));
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(
      failure('forward policy of iptables FORWARD', /iptables -I FORWARD -s 10\.244\.0\.0\/16 -j ACCEPT/),
    );
    expect(findings).toContainEqual(failure('rules', /agent/));
    expect(code).toBe(1);
  });

  test('somebody else’s route takes a part of our subnet', async () => {
    const part = (await node.podSubnet()).replace('/24', '/25');
    const other = await cluster.aws.runInstance(cluster.aws.mainSubnet, '10.0.2.99');
    await cluster.aws.putRoute(cluster.aws.mainTableId, part, other.nicId);
    mending.push(() => cluster.aws.removeRoute(cluster.aws.mainTableId, part));
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(failure('foreign route', /Delete it/));
    expect(code).toBe(1);
  });

  test('our route is gone from one of the tables', async () => {
    const subnet = await node.podSubnet();
    await cluster.aws.removeRoute(cluster.aws.mainTableId, subnet);
    mending.push(() => cluster.aws.putRoute(cluster.aws.mainTableId, subnet, node.instance.nicId));
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(failure(`route ${subnet} in ${cluster.aws.mainTableId}`, /agent runs/));
    expect(code).toBe(1);
  });

  test.each([
    ['read the tables', 'ec2:DescribeRouteTables', 'tables'],
    ['write routes', 'ec2:CreateRoute', /^iam ec2:CreateRoute \(rtb-/],
  ])('the role may not %s', async (_, action, check) => {
    const { roles } = cluster.aws.proxy;
    const Statement = [
      { Effect: 'Allow' as const, Action: ['*'], Resource: ['*'] },
      { Effect: 'Deny' as const, Action: [action], Resource: ['*'] },
    ];
    roles.setRole('node', { Version: '2012-10-17', Statement });
    mending.push(async () => roles.setRole('node', undefined));
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(failure(check, new RegExp(action)));
    expect(code).toBe(1);
  });

  test('the security group lets no pods in', async () => {
    const ingress = await podIngress();
    await cluster.aws.admin.send(new RevokeSecurityGroupIngressCommand(ingress));
    mending.push(() => cluster.aws.admin.send(new AuthorizeSecurityGroupIngressCommand(ingress)));
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(failure('security groups', new RegExp(podNetwork)));
    expect(code).toBe(1);
  });

  test('net-conf is wrong in two places', async () => {
    const before = (await cluster.etcd.keys('/coreos.com/network/config'))[0]?.value ?? '';
    await cluster.putNetConf({ Network: '10.244.0.0', Backend: { Type: 'aws-vpc', RouteTableID: 'rtb' } });
    mending.push(() => cluster.putNetConf(JSON.parse(before)));
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(failure('net-conf Network', /etcdctl put/));
    expect(findings).toContainEqual(failure('net-conf Backend.RouteTableID', /etcdctl put/));
    expect(code).toBe(1);
  });

  test('the source/dest check is on', async () => {
    await cluster.aws.setSourceDestCheck(node.instance.nicId, true);
    mending.push(() => cluster.aws.setSourceDestCheck(node.instance.nicId, false));
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(failure('source/dest check', /--no-source-dest-check/));
    expect(code).toBe(1);
  });

  test('etcd is away; what does not need it is looked at all the same', async () => {
    await cluster.etcd.kill();
    mending.push(() => cluster.etcd.restart());
    const { code, findings } = await doctor();
    expect(findings).toContainEqual(failure(/^endpoint http/, /etcd is running/));
    expect(findings).toContainEqual(failure('store writable', /etcd is running/));
    expect(findings).toContainEqual(expect.objectContaining({ check: 'net.ipv4.ip_forward', status: 'ok' }));
    expect(findings).toContainEqual(expect.objectContaining({ check: 'forward policies', status: 'ok' }));
    expect(code).toBe(1);
  });
});

test('a wrong flag ends it with 2', async () => {
  expect((await run('--ip-mask')).code).toBe(2);
  expect((await run('-o', 'xml')).code).toBe(2);
});
