/** Pods on different nodes reach each other through the VPC's route tables, the first time. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { leasePrefix } from '../fabric/etcd-places.ts';
import { pingMatrix } from '../fabric/matrix.ts';
import { countAnswers, openFlows, startEcho } from '../fabric/traffic.ts';
import { startThreeNodes, type ThreeNodes } from './three-nodes.ts';

let all: ThreeNodes;

beforeAll(async () => {
  all = await startThreeNodes();
});

afterAll(async () => {
  await all.cluster.stop();
});

test('a join costs two reads, a confirming one, and a write for each table and the check', () => {
  expect(all.cluster.aws.proxy.counts()).toEqual({
    DescribeNetworkInterfaces: 3,
    DescribeRouteTables: 6,
    CreateRoute: 6,
    ModifyNetworkInterfaceAttribute: 3,
  });
});

test('every pod and node reaches every other one', async () => {
  const places = [...all.pods, ...all.nodes.map(({ node }) => node)];
  const reached = await pingMatrix(places, 4);
  expect(reached).toHaveLength(places.length * (places.length - 1));
  expect(reached.filter(({ sent, answered }) => answered !== sent)).toEqual([]);
});

test('packets of the full MTU pass whole, and no larger ones', async () => {
  const [from, , to] = all.pods;
  expect(all.cluster.vpc.mtu).toBe(9001);
  expect(await countAnswers({ from, to, packetBytes: 9001 }, 5)).toBe(5);
  expect(await all.nodes[0].node.subnetEnv()).toMatchObject({ FLANNEL_MTU: '9001' });
});

describe('the source address that the receiver sees', () => {
  test('is the pod’s own from pod to pod', async () => {
    const [from, , to] = all.pods;
    const echo = await startEcho(to);
    const flows = await openFlows({ from, to });
    await echo.stop();
    expect(flows.map(({ seen, problem }) => seen ?? problem)).toEqual(flows.map(() => from.address));
  });

  test('is the node’s from pod to outside', async () => {
    const echo = await startEcho(all.cluster.vpc.outside);
    for (const [at, pod] of all.pods.entries()) {
      const flows = await openFlows({ from: pod, to: all.cluster.vpc.outside });
      expect(flows.map(({ seen, problem }) => seen ?? problem)).toEqual(flows.map(() => all.nodes[at]?.node.address));
    }
    await echo.stop();
  });

  test('is the node’s from pod to another node, as with flannel', async () => {
    const { node } = all.nodes[2];
    const echo = await startEcho(node);
    const flows = await openFlows({ from: all.pods[0], to: node });
    await echo.stop();
    expect(flows.map(({ seen, problem }) => seen ?? problem)).toEqual(flows.map(() => all.nodes[0].node.address));
  });
});

test('/healthz, /readyz and /metrics answer', async () => {
  const get = async (path: string): Promise<string> =>
    await all.nodes[0].node.exec(['curl', '-s', '-w', ' %{http_code}', `http://127.0.0.1:8081${path}`]);
  expect(await get('/healthz')).toBe('flanneld is running 200');
  expect(await get('/readyz')).toBe('flanneld is ready 200');
  const metrics = await get('/metrics');
  expect(metrics).toContain('flannel_vpc_ready 1');
  expect(metrics).toContain('flannel_vpc_route_writes_total{action="create"} 2');
});

test('leases are in flannel’s layout, with who holds them', async () => {
  const keys = await all.cluster.etcd.keys(leasePrefix);
  expect(keys).toHaveLength(3);
  for (const { node, instance, podSubnet } of all.nodes) {
    const subnet = await podSubnet();
    const found = keys.find(({ key }) => key === `/coreos.com/network/subnets/${subnet.replace('/', '-')}`);
    expect(found?.lease).not.toBe('0');
    expect(found?.value.startsWith(`{"PublicIP":"${node.address}","PublicIPv6":null,"FlannelVPC":{`)).toBe(true);
    expect(JSON.parse(found?.value ?? '')).toMatchObject({
      FlannelVPC: { instanceId: instance.id, nicId: instance.nicId, zone: instance.subnet.zone },
    });
  }
});

test('SIGTERM ends the agent with 0 and leaves the data path', async () => {
  const [one] = all.nodes;
  const env = await one.node.subnetEnv();
  expect(await one.agent.kill('SIGTERM')).toBe(0);
  expect(await one.node.subnetEnv()).toEqual(env);
  expect(await countAnswers({ from: all.pods[0], to: all.pods[2] }, 10)).toBe(10);
  expect(await all.cluster.etcd.keys(leasePrefix)).toHaveLength(3);
});
